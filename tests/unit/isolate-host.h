/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A made host of eight CPUs, two to a core, with a daemon's journal; and guests on it. */
#pragma once

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/list.h"
#include "daemon/hold/isolate.h"
#include "made-claim.h"
#include "made-tree.h"

#define A "aaaaaaaa-0000-4000-8000-000000000001"
#define B "bbbbbbbb-0000-4000-8000-000000000002"
#define C "cccccccc-0000-4000-8000-000000000003"

typedef struct {
  MadeTree *tree;
  VpRoot *root; /* of the daemon: the shim's is here */
  VpBook *book;
  VpIsolate *isolate;
  char *bus;
  GPtrArray *warnings; /* of the last prepare */
} IsolateHost;

static inline void
isolate_host_start (IsolateHost *host)
{
  g_autoptr (GError) error = NULL;

  host->book = vp_book_new (host->root, "run", &error);
  g_assert_no_error (error);
  host->isolate = vp_isolate_new (host->root, host->book, host->bus);
}

/* The kernel; it manages the CPUs of interrupts above 100 itself. */
static inline int
isolate_host_write (const char *path, const char *text, gpointer data)
{
  const IsolateHost *host = data;
  guint irq = 0;

  if (sscanf (path, "proc/irq/%u/", &irq) == 1 && irq > 100)
    return EIO;
  made_file (host->tree, path, text);
  return 0;
}

/* As a daemon that is killed. */
static inline void
isolate_host_stop (IsolateHost *host)
{
  g_clear_pointer (&host->book, vp_book_free);
  g_clear_pointer (&host->isolate, vp_isolate_free);
}

static inline IsolateHost *
isolate_host_new (const char *bus)
{
  IsolateHost *host = g_new0 (IsolateHost, 1);
  g_autoptr (GError) error = NULL;

  host->tree = made_tree_new ();
  host->root = vp_root_open (host->tree->folder, &error);
  g_assert_no_error (error);
  host->bus = g_strdup (bus != NULL ? bus : "unix:path=/nonexistent/bus");
  host->warnings = g_ptr_array_new_with_free_func (g_free);
  made_file (host->tree, "run/here", "");
  made_file (host->tree, "sys/devices/system/cpu/online", "0-7\n");
  made_file (host->tree, "sys/devices/system/cpu/present", "0-7\n");
  made_file (host->tree, "sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory hugetlb pids\n");
  const VpRootShim shim = { .write = isolate_host_write, .data = host };
  vp_root_set_shim (host->root, &shim);
  isolate_host_start (host);
  return host;
}

static inline void
isolate_host_free (IsolateHost *host)
{
  isolate_host_stop (host);
  vp_root_free (host->root);
  made_tree_free (host->tree);
  g_ptr_array_unref (host->warnings);
  g_free (host->bus);
  g_free (host);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (IsolateHost, isolate_host_free)

static inline gint64
isolate_in (gint64 seconds)
{
  return g_get_monotonic_time () + seconds * G_TIME_SPAN_SECOND;
}

/* `wishes`: of "isolate", "irqs" and "governor". The guest's name is its UUID's first letter. */
static inline void
isolate_start (IsolateHost *host, const char *uuid, const char *cpus, const char *wishes)
{
  g_autoptr (VpSettings) settings = vp_settings_new ();
  g_autofree char *name = g_strndup (uuid, 1);
  g_autoptr (VpBitmap) set = vp_list_parse (cpus);
  g_autoptr (GError) error = NULL;
  const VpIsolateRequest request = { uuid, name, set, settings, isolate_in (10) };

  settings->values[VP_KEY_CPU_ISOLATE] = strstr (wishes, "isolate") != NULL ? g_strdup ("yes") : NULL;
  settings->values[VP_KEY_CPU_IRQS] = strstr (wishes, "irqs") != NULL ? g_strdup ("move") : NULL;
  settings->values[VP_KEY_CPU_GOVERNOR] = strstr (wishes, "governor") != NULL ? g_strdup ("performance") : NULL;
  g_ptr_array_set_size (host->warnings, 0);
  if (cpus != NULL)
    made_claim_ok (host->book, uuid, name, cpus, NULL);
  vp_isolate_apply (host->isolate, &request, host->warnings, &error);
  g_assert_no_error (error);
  vp_book_started (host->book, uuid);
}

static inline void
isolate_end (IsolateHost *host, const char *uuid)
{
  g_assert_true (vp_book_release (host->book, uuid, isolate_in (5)));
}

/* `part` NULL: nothing is warned of; else one line, which has it. */
static inline void
isolate_assert_warned (const IsolateHost *host, const char *part)
{
  const char *first = host->warnings->len > 0 ? host->warnings->pdata[0] : NULL;

  if (part == NULL)
    g_assert_cmpstr (first, ==, NULL);
  else if (host->warnings->len != 1 || strstr (first, part) == NULL)
    g_error ("%u warnings, '%s' was expected, the first is '%s'", host->warnings->len, part, first);
  if (first != NULL)
    g_assert_null (strchr (first, '\n'));
}

static inline char *
isolate_read (const IsolateHost *host, const char *path)
{
  char *text = vp_root_dup_text (host->tree->root, path);

  g_assert_nonnull (text);
  return text;
}

static inline void
isolate_assert_file (const IsolateHost *host, const char *path, const char *expected)
{
  g_autofree char *text = isolate_read (host, path);

  g_assert_cmpstr (text, ==, expected);
}

/* Nobody holds anything. */
static inline void
isolate_assert_clean (const IsolateHost *host)
{
  g_auto (GStrv) uuids = vp_book_list (host->book);
  g_auto (GStrv) files = vp_root_list (host->tree->root, "run/holds");

  g_assert_cmpuint (g_strv_length (uuids), ==, 0);
  g_assert_cmpuint (g_strv_length (files), ==, 0);
}
