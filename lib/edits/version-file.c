/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libvirt's file of a definition, opened and read; and nothing waited for. */
#include "edits/version-file.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/xml.h"

#define FLAGS (O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)

static int
open_plain (const char *path)
{
  return open (path, FLAGS);
}

/*
 * -1 where the kernel does not know at once whether it is there: it would wait until libvirt lets the folder go. So
 * too, rarely, where it does: somebody mounts something in this moment.
 */
static int
open_cached (const char *path)
{
  struct open_how how = { .flags = FLAGS, .resolve = RESOLVE_CACHED };

  return (int) syscall (SYS_openat2, AT_FDCWD, path, &how, sizeof how); /* Linux 5.12, and -1 before */
}

static int
open_file (const char *folder, const char *domain, const char *suffix, int (*open_path) (const char *path))
{
  g_autofree char *name = g_strconcat (domain, suffix, NULL);
  g_autofree char *path = g_build_filename (folder, name, NULL);
  struct stat info;
  int fd = open_path (path);

  if (fd < 0 || (fstat (fd, &info) == 0 && S_ISREG (info.st_mode)))
    return fd;
  (void) close (fd);
  return -1;
}

int
vp_version_file_open (const char *folder, const char *domain)
{
  return open_file (folder, domain, ".xml", open_plain);
}

int
vp_version_file_open_made (const char *folder, const char *domain)
{
  int made = open_file (folder, domain, ".xml.new", open_cached);

  if (made >= 0)
    return made;
  int present = open_file (folder, domain, ".xml", open_cached);
  made = open_file (folder, domain, ".xml.new", open_plain); /* this may take a while */
  if (made < 0)
    return present;
  if (present >= 0)
    (void) close (present);
  return made;
}

gboolean
vp_version_file_is_of_event (int made, int present)
{
  struct stat a;
  struct stat b;

  if (made < 0 || fstat (made, &a) != 0)
    return FALSE;
  return a.st_nlink == 0 || (present >= 0 && fstat (present, &b) == 0 && a.st_ino == b.st_ino);
}

GBytes *
vp_version_file_read (int fd)
{
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  guint8 chunk[16 * 1024];
  gssize got = 0;

  while ((got = pread (fd, chunk, sizeof chunk, bytes->len)) > 0 && bytes->len <= VP_XML_MAX_BYTES)
    g_byte_array_append (bytes, chunk, (guint) got);
  if (got != 0)
    return NULL;
  return g_byte_array_free_to_bytes (g_steal_pointer (&bytes));
}
