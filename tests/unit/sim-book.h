/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tests of holds share: guests, the usual calls with their checks, and what was logged. */
#pragma once

#include "daemon/hold/book.h"
#include "sim-kernel.h"

#define A "aaaaaaaa-0000-4000-8000-000000000001"
#define B "bbbbbbbb-0000-4000-8000-000000000002"
#define C "cccccccc-0000-4000-8000-000000000003"

VpBook *sim_load (Sim *sim);  /* as a daemon does that starts */
gint64 sim_in_ms (gint64 ms); /* a deadline */
GArray *sim_need (guint64 page_kib, guint64 pages, const char *nodes, gboolean strict); /* `nodes` NULL: any */
void sim_take_ok (VpBook *book, const char *uuid, guint64 kib, guint64 pages, const char *nodes);
/* The message has all parts, which are separated by "|". */
void sim_take_refused (VpBook *book, const char *uuid, const GArray *needs, gboolean allocate, gint64 ms,
                       const char *parts);
void sim_release_ok (VpBook *book, const char *uuid);
void sim_assert_pool (Sim *sim, int node, guint64 kib, guint64 nr, guint64 free_pages);
void sim_assert_lines (VpBook *book, const char *uuid, const char *expected);
void sim_assert_said (const char *part); /* to the log, since the test began */

typedef struct {
  const char *name;
  void (*func) (void);
} SimTest;

int sim_run_tests (int argc, char **argv, const char *prefix, const SimTest *tests, gsize count);
