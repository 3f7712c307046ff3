/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libvirt's file of a definition, opened and read. Decides nothing. */
#include "edits/version-file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/xml.h"

static int
open_file (const char *folder, const char *domain, const char *suffix)
{
  g_autofree char *name = g_strconcat (domain, suffix, NULL);
  g_autofree char *path = g_build_filename (folder, name, NULL);
  struct stat info;
  int fd = open (path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

  if (fd < 0 || (fstat (fd, &info) == 0 && S_ISREG (info.st_mode)))
    return fd;
  (void) close (fd);
  return -1;
}

int
vp_version_file_open (const char *folder, const char *domain)
{
  return open_file (folder, domain, ".xml");
}

int
vp_version_file_open_made (const char *folder, const char *domain, dev_t device, ino_t inode)
{
  int present = inode != 0 ? vp_version_file_open (folder, domain) : -1;
  struct stat info;

  if (present < 0)
    return open_file (folder, domain, ".xml.new");
  if (fstat (present, &info) == 0 && (info.st_ino != inode || info.st_dev != device))
    return present;
  (void) close (present);
  return open_file (folder, domain, ".xml.new");
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
