/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading and writing that end by one overall deadline, for the hook: libvirt waits for
 * it with the domain's lock held. Clock: CLOCK_MONOTONIC. Failures are in errno, ETIMEDOUT
 * when the deadline has passed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct {
  int64_t end_ms; /* milliseconds of that clock */
} VpDeadline;

typedef struct {
  char *data; /* owned, from malloc; NULL while empty */
  size_t size;
  size_t allocated;
} VpBytes;

/* That long from now on. */
VpDeadline vp_deadline_new (unsigned int seconds);

/* Milliseconds left, never negative. */
int vp_deadline_get_left (const VpDeadline *deadline);

/* Reads what is there, once; 0 at the end of file, -1 and errno on failure. EFBIG when more than `limit` bytes came. */
ssize_t vp_bytes_read_some (VpBytes *bytes, int fd, size_t limit, const VpDeadline *deadline);

/* Reads to the end of file; false and errno as above. */
bool vp_bytes_read_all (VpBytes *bytes, int fd, size_t limit, const VpDeadline *deadline);

/* A copy of `size` bytes; false with ENOMEM. */
bool vp_bytes_append (VpBytes *bytes, const void *data, size_t size);

/* Empty again, as { 0 } is. */
void vp_bytes_clear (VpBytes *bytes);

/* Writes all of it; false and errno on failure, then some of it may be written. */
bool vp_write_all (int fd, const void *data, size_t size, const VpDeadline *deadline);
