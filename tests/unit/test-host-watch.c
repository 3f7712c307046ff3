/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the daemon reads again when it changes: files and folders, and what the kernel says of its devices. */
#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "daemon/keep/host-watch.h"
#include "made-tree.h"

#define GUARD_SECONDS 60

/* In place of the kernel's socket: what is sent here comes there, until more came than it holds. */
static int kernel = -1;
static gboolean overrun;

int
socket (int domain, int type, int protocol)
{
  int pair[2];

  if (domain != AF_NETLINK)
    return (int) syscall (SYS_socket, domain, type, protocol);
  if (kernel >= 0)
    (void) close (kernel);
  g_assert_cmpint (socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), ==, 0);
  kernel = pair[0];
  return pair[1];
}

int
bind (int fd, __CONST_SOCKADDR_ARG address, socklen_t length)
{
  const struct sockaddr *own = address.__sockaddr__; /* glibc has a union of all kinds of addresses there */

  return own->sa_family == AF_NETLINK ? 0 : (int) syscall (SYS_bind, fd, own, length);
}

ssize_t
recv (int fd, void *text, size_t size, int flags)
{
  if (!overrun)
    return syscall (SYS_recvfrom, fd, text, size, flags, NULL, NULL);
  overrun = FALSE;
  errno = ENOBUFS;
  return -1;
}

static void
on_changed (gpointer data)
{
  (*(guint *) data)++;
}

static gboolean
on_guard (gpointer data)
{
  (void) data;
  g_error ("nothing was noticed");
  return G_SOURCE_REMOVE;
}

static void
run_until_changed (const guint *changed)
{
  guint guard = g_timeout_add_seconds (GUARD_SECONDS, on_guard, NULL);

  while (*changed == 0)
    g_main_context_iteration (NULL, TRUE);
  g_source_remove (guard);
}

static void
test_folder (void)
{
  g_autoptr (MadeTree) tree = made_tree_new ();
  g_autofree char *folder = g_build_filename (tree->folder, "profiles.d", NULL);
  g_autofree char *file = g_build_filename (folder, "a.conf", NULL);
  const char *const folders[] = { folder, folder, NULL };
  guint changed = 0;

  made_file (tree, "profiles.d/.keep", "");
  g_autoptr (VpHostWatch) watch = vp_host_watch_new (on_changed, &changed);
  vp_host_watch_add_folders (watch, folders);
  made_file (tree, "profiles.d/a.conf", "[cpu]\n");
  made_file (tree, "profiles.d/b.conf", "[cpu]\n");
  run_until_changed (&changed);
  g_assert_cmpuint (changed, ==, 1); /* several at once are one */
  changed = 0;
  g_assert_cmpint (g_unlink (file), ==, 0);
  run_until_changed (&changed);
}

/* One that is made later is watched from its making on. */
static void
test_missing (void)
{
  g_autoptr (MadeTree) tree = made_tree_new ();
  g_autofree char *folder = g_build_filename (tree->folder, "rules.d", NULL);
  const char *const folders[] = { folder, NULL };
  guint changed = 0;
  g_autoptr (VpHostWatch) watch = vp_host_watch_new (on_changed, &changed);

  vp_host_watch_add_folders (watch, folders);
  made_file (tree, "rules.d/a.conf", "[rule]\n");
  run_until_changed (&changed);
}

static void
test_file (void)
{
  g_autoptr (MadeTree) tree = made_tree_new ();
  g_autofree char *file = g_build_filename (tree->folder, "qemu", NULL);
  guint changed = 0;

  made_file (tree, "qemu", "1");
  g_autoptr (VpHostWatch) watch = vp_host_watch_new (on_changed, &changed);
  vp_host_watch_add_file (watch, file);
  made_file (tree, "qemu", "2");
  run_until_changed (&changed);
}

static void
say (const char *text)
{
  g_assert_cmpint (write (kernel, text, strlen (text) + 1), ==, (gssize) strlen (text) + 1);
}

static void
test_uevents (void)
{
  guint changed = 0;
  g_autoptr (VpHostWatch) watch = vp_host_watch_new (on_changed, &changed);

  say ("change@/devices/pci0000:00/0000:00:02.0/drm/card0");
  say ("add@/devices/virtual/net/vnet0");
  while (g_main_context_iteration (NULL, FALSE))
    ;
  vp_host_watch_note (watch);
  run_until_changed (&changed);
  g_assert_cmpuint (changed, ==, 1);
  changed = 0;
  say ("offline@/devices/system/cpu/cpu3");
  run_until_changed (&changed);
}

/* What was lost may have mattered; what comes after it is read all the same. */
static void
test_overrun (void)
{
  guint changed = 0;
  g_autoptr (VpHostWatch) watch = vp_host_watch_new (on_changed, &changed);

  overrun = TRUE;
  say ("add@/devices/virtual/net/vnet0");
  run_until_changed (&changed);
  g_assert_cmpint (overrun, ==, FALSE);
}

/* What is noted is told once, and not any more after the end. */
static void
test_note (void)
{
  guint changed = 0;
  VpHostWatch *watch = vp_host_watch_new (on_changed, &changed);

  vp_host_watch_note (watch);
  vp_host_watch_note (watch);
  run_until_changed (&changed);
  g_assert_cmpuint (changed, ==, 1);
  vp_host_watch_note (watch);
  vp_host_watch_free (watch);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_assert_cmpuint (changed, ==, 1);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/host-watch/folder", test_folder);
  g_test_add_func ("/host-watch/missing", test_missing);
  g_test_add_func ("/host-watch/file", test_file);
  g_test_add_func ("/host-watch/uevents", test_uevents);
  g_test_add_func ("/host-watch/overrun", test_overrun);
  g_test_add_func ("/host-watch/note", test_note);
  return g_test_run ();
}
