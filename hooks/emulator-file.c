/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whoever writes a wrapper file decides what libvirt runs as QEMU, so the checks are made on
 * the open file, not on its name. What is behind the emulator's own path is QEMU's package's.
 */
#include "hooks/emulator-file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The kernel looks no further for an interpreter (BINPRM_BUF_SIZE). */
#define SHEBANG_MAX 256

/* Keeps the first `size` bytes of an open file; -1 and errno on failure. */
static ssize_t
read_start (int fd, char *buffer, size_t size)
{
  size_t n_read = 0;

  while (n_read < size) {
    const ssize_t n = read (fd, buffer + n_read, size - n_read);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return -1;
    if (n == 0)
      break;
    n_read += (size_t) n;
  }
  return (ssize_t) n_read;
}

static bool
check_owner (int fd, VpEmulatorFile *file)
{
  struct stat status;

  if (fstat (fd, &status) < 0) {
    snprintf (file->reason, sizeof file->reason, "%s", strerror (errno));
    return false;
  }
  if (!S_ISREG (status.st_mode)) {
    snprintf (file->reason, sizeof file->reason, "it is not a regular file");
    return false;
  }
  if (status.st_uid != 0 && status.st_uid != geteuid ()) {
    snprintf (file->reason, sizeof file->reason, "it belongs to user %u, needed is root or user %u",
              (unsigned int) status.st_uid, (unsigned int) geteuid ());
    return false;
  }
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    snprintf (file->reason, sizeof file->reason, "its mode is %04o: others than its owner can write it, needed is 0755",
              (unsigned int) (status.st_mode & 07777));
    return false;
  }
  return true;
}

static bool
is_path (const char *text, size_t size)
{
  if (size < 2 || size >= PATH_MAX || text[0] != '/')
    return false;
  for (size_t i = 0; i < size; i++) {
    if ((unsigned char) text[i] < 0x20 || text[i] == 0x7f)
      return false;
  }
  return true;
}

/* One emulator= line with an absolute path; other lines are for those who write and read the file. */
static bool
parse (const char *text, VpEmulatorFile *file)
{
  const size_t key_size = strlen (VP_EMULATOR_FILE_KEY);
  int n_found = 0;

  for (const char *line = text; *line != '\0';) {
    const size_t size = strcspn (line, "\n");

    if (size >= key_size && memcmp (line, VP_EMULATOR_FILE_KEY, key_size) == 0) {
      if (!is_path (line + key_size, size - key_size)) {
        snprintf (file->reason, sizeof file->reason,
                  "its line " VP_EMULATOR_FILE_KEY " is not followed by an absolute path");
        return false;
      }
      memcpy (file->emulator, line + key_size, size - key_size);
      file->emulator[size - key_size] = '\0';
      n_found++;
    }
    line += size + (line[size] == '\n' ? 1 : 0);
  }

  if (n_found != 1) {
    snprintf (file->reason, sizeof file->reason, "it has %d lines " VP_EMULATOR_FILE_KEY "PATH, needed is 1", n_found);
    return false;
  }
  return true;
}

static bool
read_text (int fd, VpEmulatorFile *file)
{
  char text[VP_EMULATOR_FILE_MAX + 2];
  const ssize_t size = read_start (fd, text, VP_EMULATOR_FILE_MAX + 1);

  if (size < 0) {
    snprintf (file->reason, sizeof file->reason, "%s", strerror (errno));
    return false;
  }
  if (size > VP_EMULATOR_FILE_MAX) {
    snprintf (file->reason, sizeof file->reason, "it is larger than %d bytes", VP_EMULATOR_FILE_MAX);
    return false;
  }
  text[size] = '\0';
  if (strlen (text) != (size_t) size || strncmp (text, "#!", 2) != 0) {
    snprintf (file->reason, sizeof file->reason, "it is not a text that begins with #!");
    return false;
  }
  return parse (text, file);
}

static bool
is_same_file (const char *a, const char *b)
{
  struct stat status_a;
  struct stat status_b;

  return stat (a, &status_a) == 0 && stat (b, &status_b) == 0 && status_a.st_dev == status_b.st_dev &&
         status_a.st_ino == status_b.st_ino;
}

/* By name too: confinement may hide /proc/self/exe from us. */
static bool
is_interpreter (const char *path)
{
  const char *slash = strrchr (path, '/');

  return strcmp (slash != NULL ? slash + 1 : path, VP_EMULATOR_INTERPRETER) == 0 ||
         is_same_file (path, "/proc/self/exe");
}

/* The interpreter that the script at `path` names; false for what is no script or cannot be
 * read: then execv() has the last word. */
static bool
read_interpreter (const char *path, char *interpreter)
{
  char start[SHEBANG_MAX + 1];
  /* Not to wait for a writer if somebody put a pipe there. */
  const int fd = open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

  if (fd < 0)
    return false;
  const ssize_t size = read_start (fd, start, SHEBANG_MAX);
  close (fd);
  if (size < 2)
    return false;

  start[size] = '\0';
  if (strncmp (start, "#!", 2) != 0)
    return false;
  const char *name = start + 2 + strspn (start + 2, " \t");
  const size_t name_size = strcspn (name, " \t\n");
  memcpy (interpreter, name, name_size);
  interpreter[name_size] = '\0';
  return true;
}

/* Two wrappers that name each other would exec for ever. */
static bool
check_loop (VpEmulatorFile *file)
{
  char interpreter[SHEBANG_MAX + 1];

  if (is_interpreter (file->emulator) ||
      (read_interpreter (file->emulator, interpreter) && is_interpreter (interpreter))) {
    snprintf (file->reason, sizeof file->reason, "its emulator %.150s is such a wrapper again, needed is a QEMU",
              file->emulator);
    return false;
  }
  return true;
}

bool
vp_emulator_file_read (const char *path, VpEmulatorFile *file)
{
  *file = (VpEmulatorFile){ 0 };

  /* O_NONBLOCK: not to wait for a writer if it is a pipe; it means nothing for regular files. */
  const int fd = open (path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) {
    snprintf (file->reason, sizeof file->reason, "%s",
              errno == ELOOP ? "it is a symbolic link, needed is the file itself" : strerror (errno));
    return false;
  }

  const bool is_good = check_owner (fd, file) && read_text (fd, file);
  close (fd);
  return is_good && check_loop (file);
}
