/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A made host whose desktop is on its one card, with systemd and logind on a bus of our own, and guests on it. */
#pragma once

#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "daemon/handover/handover.h"
#include "fake-systemd.h"
#include "journal/story.h"
#include "made-claim.h"
#include "made-desktop.h"
#include "profile/profile.h"

#define A "aaaaaaaa-0000-4000-8000-000000000001"
#define B "bbbbbbbb-0000-4000-8000-000000000002"
#define DM "lightdm.service"
#define KILLED 99                              /* the exit status of a daemon that was */
#define SECOND (100 * G_TIME_SPAN_MILLISECOND) /* between two looks of the handover */

typedef struct {
  MadeTree *tree;
  VpRoot *root; /* the daemon's: the shim is here */
  VpBook *book;
  VpHandover *handover;
  FakeSystemd *systemd; /* NULL: it is another process's */
  char *bus;
  GArray *hostdevs;
  gboolean bios;    /* a console that was taken off does not come back */
  gboolean libvirt; /* it gives the card back to its driver */
  int left;         /* changes until the daemon is killed; 0: it is not */
} DesktopHost;

/* Who draws on the card. */
static inline void
desktop_host_set_drawn (const MadeTree *tree, gboolean runs)
{
  if (runs)
    made_holder (tree, 578, "Xorg", "/system.slice/" DM, "/dev/dri/card0");
  else {
    g_autofree char *folder = g_build_filename (tree->folder, "proc/578", NULL);
    if (g_file_test (folder, G_FILE_TEST_IS_DIR))
      made_tree_remove (folder);
  }
}

static inline void
desktop_host_set_module (const MadeTree *tree, const char *name, gboolean loaded)
{
  g_autofree char *file = g_strdup_printf ("sys/module/%s/refcnt", name);
  g_autofree char *folder = g_strdup_printf ("%s/sys/module/%s", tree->folder, name);

  if (loaded)
    made_file (tree, file, "0\n");
  else if (g_file_test (folder, G_FILE_TEST_IS_DIR))
    made_tree_remove (folder);
}

/* In the bus's thread. */
static inline void
desktop_host_on_change (const char *name, gboolean start, gpointer data)
{
  const DesktopHost *host = data;

  if (strcmp (name, DM) == 0)
    desktop_host_set_drawn (host->tree, start);
  else if (g_str_has_prefix (name, "vfio-profile-unload@"))
    desktop_host_set_module (host->tree, "nvidia_drm", FALSE);
  else if (g_str_has_prefix (name, "vfio-profile-load@"))
    desktop_host_set_module (host->tree, "nvidia_drm", TRUE);
}

static inline void
desktop_host_set_driver (const DesktopHost *host, const char *driver)
{
  g_autofree char *target = g_strconcat ("../../../bus/pci/drivers/", driver, NULL);
  g_autofree char *link = g_build_filename (host->tree->folder, "sys/devices/" CARD_FOLDER "/driver", NULL);

  (void) g_unlink (link);
  if (driver != NULL)
    made_link (host->tree, "sys/devices/" CARD_FOLDER "/driver", target);
}

/* The kernel. */
static inline int
desktop_host_on_write (const char *path, const char *text, gpointer data)
{
  const DesktopHost *host = data;

  if (strcmp (path, "sys/bus/pci/drivers_probe") == 0) {
    desktop_host_set_driver (host, "amdgpu");
    return 0;
  }
  if (!host->bios || strcmp (text, "1") != 0)
    made_file (host->tree, path, text);
  return 0;
}

/* Of what matters: the story is no ground that anybody stands on. */
static inline void
desktop_host_on_step (const char *what, const char *path, gpointer data)
{
  DesktopHost *host = data;

  (void) what;
  if (host->left > 0 && (g_str_has_prefix (path, "run/holds") || g_str_has_prefix (path, "sys/")) && --host->left == 0)
    _exit (KILLED);
}

static inline void
desktop_host_start_daemon (DesktopHost *host)
{
  g_autoptr (GError) error = NULL;
  const VpRootShim shim = { .write = desktop_host_on_write, .step = desktop_host_on_step, .data = host };

  host->root = vp_root_open (host->tree->folder, &error);
  g_assert_no_error (error);
  vp_root_set_shim (host->root, &shim);
  host->book = vp_book_new (host->root, "run", &error);
  g_assert_no_error (error);
  host->handover = vp_handover_new (host->root, host->book, "run", host->bus, SECOND);
}

static inline void
desktop_host_stop_daemon (DesktopHost *host)
{
  g_clear_pointer (&host->handover, vp_handover_free);
  g_clear_pointer (&host->book, vp_book_free);
  g_clear_pointer (&host->root, vp_root_free);
}

static inline void
desktop_host_add_hostdev (GArray *hostdevs, const char *address)
{
  VpHostdev hostdev = { .managed = TRUE };

  g_assert_true (vp_pci_address_parse (address, &hostdev.address));
  g_array_append_val (hostdevs, hostdev);
}

static inline DesktopHost *
desktop_host_new_without (void)
{
  DesktopHost *host = g_new0 (DesktopHost, 1);

  host->hostdevs = g_array_new (FALSE, TRUE, sizeof (VpHostdev));
  desktop_host_add_hostdev (host->hostdevs, CARD);
  desktop_host_add_hostdev (host->hostdevs, CARD_AUDIO);
  return host;
}

/* X in the display manager's cgroup, the text console on the card. */
static inline DesktopHost *
desktop_host_new (void)
{
  DesktopHost *host = desktop_host_new_without ();

  host->tree = made_tree_new ();
  host->systemd = fake_systemd_new ();
  host->bus = g_strdup (fake_systemd_get_address (host->systemd));
  made_file (host->tree, "run/here", "");
  made_card (host->tree, "030000 1002 67df", "amdgpu");
  made_file (host->tree, "sys/devices/" CARD_FOLDER "/drm/card0/dev", "226:0\n");
  made_console (host->tree, "1\n");
  desktop_host_set_drawn (host->tree, TRUE);
  fake_systemd_set_service (host->systemd, DM, "active");
  fake_systemd_on_change (host->systemd, desktop_host_on_change, host);
  desktop_host_start_daemon (host);
  return host;
}

static inline void
desktop_host_free (DesktopHost *host)
{
  desktop_host_stop_daemon (host);
  fake_systemd_free (host->systemd);
  made_tree_free (host->tree);
  g_array_unref (host->hostdevs);
  g_free (host->bus);
  g_free (host);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DesktopHost, desktop_host_free)

static inline VpSettings *
desktop_host_new_settings (const char *deadline)
{
  VpSettings *settings = vp_settings_new ();

  settings->values[VP_KEY_DEVICES_HANDOVER] = g_strdup ("yes");
  settings->values[VP_KEY_DEVICES_HANDOVER_DEADLINE] = g_strdup (deadline);
  return settings;
}

static inline gboolean
desktop_host_take (DesktopHost *host, const char *uuid, const char *deadline, GError **error)
{
  g_autoptr (VpSettings) settings = desktop_host_new_settings (deadline);
  g_autofree char *name = g_strndup (uuid, 1);
  const VpHandoverRequest request = { uuid, name, host->hostdevs, settings };

  made_claim_ok (host->book, uuid, name, NULL, CARD);
  return vp_handover_take (host->handover, &request, error);
}

static inline void
desktop_host_take_ok (DesktopHost *host, const char *uuid)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (desktop_host_take (host, uuid, "5", &error));
  g_assert_no_error (error);
}

static inline void
desktop_host_take_fails (DesktopHost *host, const char *uuid, const char *deadline, const char *words)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (desktop_host_take (host, uuid, deadline, &error));
  g_assert_nonnull (error);
  if (strstr (error->message, words) == NULL)
    g_error ("no \"%s\" in: %s", words, error->message);
}

static inline void
desktop_host_release (DesktopHost *host, const char *uuid)
{
  g_assert_true (vp_book_release (host->book, uuid, g_get_monotonic_time () + 5 * G_TIME_SPAN_SECOND));
  vp_handover_poke (host->handover);
}

static inline gboolean
desktop_host_is_held (const DesktopHost *host, const char *uuid)
{
  g_autoptr (VpHolding) holding = vp_book_dup (host->book, uuid);

  return holding != NULL;
}

static inline void
desktop_host_await_end (const DesktopHost *host, const char *uuid)
{
  for (int i = 0; i < 400 && desktop_host_is_held (host, uuid); i++)
    g_usleep (50000);
  g_assert_false (desktop_host_is_held (host, uuid));
}

static inline void
desktop_host_assert_console (const DesktopHost *host, const char *expected)
{
  g_autofree char *bound = vp_root_dup_text (host->tree->root, CONSOLE "/bind");

  g_assert_cmpstr (bound, ==, expected);
}

static inline void
desktop_host_assert_service (const DesktopHost *host, const char *expected)
{
  g_autofree char *state = fake_systemd_dup_service (host->systemd, DM);

  g_assert_cmpstr (state, ==, expected);
}

static inline gboolean
desktop_host_is_told (const DesktopHost *host, const char *words)
{
  g_autoptr (VpStory) story = vp_story_load (host->tree->root, "/run");
  const GPtrArray *lines = vp_story_get_lines (story);

  for (guint i = 0; i < lines->len; i++)
    if (strstr (lines->pdata[i], words) != NULL)
      return TRUE;
  return FALSE;
}

static inline void
desktop_host_assert_told (const DesktopHost *host, const char *words)
{
  if (!desktop_host_is_told (host, words))
    g_error ("the story does not say '%s'", words);
}

static inline void
desktop_host_await_told (const DesktopHost *host, const char *words)
{
  for (int i = 0; i < 400 && !desktop_host_is_told (host, words); i++)
    g_usleep (50000);
  desktop_host_assert_told (host, words);
}

static inline void
desktop_host_assert_back (const DesktopHost *host)
{
  g_auto (GStrv) files = vp_root_list (host->tree->root, "run/holds");

  desktop_host_assert_service (host, "active");
  desktop_host_assert_console (host, "1");
  g_assert_cmpuint (g_strv_length (files), ==, 0);
}

/* Its end is closed, and the bus carries that to the other one. */
static inline void
desktop_host_await_no_inhibitor (const DesktopHost *host)
{
  for (int i = 0; i < 50 && fake_systemd_is_inhibited (host->systemd); i++)
    g_usleep (100000);
  g_assert_false (fake_systemd_is_inhibited (host->systemd));
}
