/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Asks libselinux; without it, nothing. */
#include "base/label.h"

#include "config.h"

#if VP_HAVE_LIBSELINUX

#include <errno.h>
#include <linux/magic.h>
#include <selinux/context.h>
#include <selinux/label.h>
#include <selinux/selinux.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define NOT_OURS ".unknown" /* no policy names such a folder */
#define SELINUX "/sys/fs/selinux"

typedef struct selabel_handle Labels;

G_DEFINE_AUTO_CLEANUP_FREE_FUNC (context_t, context_free, NULL)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Labels, selabel_close)

/* is_selinux_enabled() and security_getenforce() say no where this is mounted read-only, as it is for our unit. */
static gboolean
is_enabled (void)
{
  struct statfs mounted;

  return statfs (SELINUX, &mounted) == 0 && (guint32) mounted.f_type == SELINUX_MAGIC;
}

static gboolean
is_enforcing (void)
{
  g_autofree char *text = NULL;

  return is_enabled () && g_file_get_contents (SELINUX "/enforce", &text, NULL, NULL) && text[0] == '1';
}

char *
vp_label_dup_mended (const char *current, const char *wanted, const char *unknown)
{
  g_auto (context_t) now = context_new (current);
  g_auto (context_t) want = context_new (wanted);
  g_auto (context_t) other = context_new (unknown);

  if (now == NULL || want == NULL || other == NULL)
    return NULL;
  const char *type = context_type_get (want);
  if (strcmp (context_type_get (now), type) == 0 || strcmp (context_type_get (other), type) == 0)
    return NULL;
  return context_type_set (now, type) == 0 ? g_strdup (context_str (now)) : NULL;
}

/* NULL: the policy says nothing about it. */
static char *
dup_wanted (Labels *labels, const char *path, mode_t mode)
{
  char *label = NULL;

  if (selabel_lookup_raw (labels, &label, path, (int) mode) != 0)
    return NULL;
  char *copy = g_strdup (label);
  freecon (label);
  return copy;
}

static char *
dup_current (const char *path)
{
  char *label = NULL;

  if (lgetfilecon_raw (path, &label) < 0)
    return NULL;
  char *copy = g_strdup (label);
  freecon (label);
  return copy;
}

/* The folder that the path is in or is, of those that the module labels. */
static const char *
find_top (const char *path)
{
  static const char *const tops[] = { VP_STATE_FOLDER, VP_RUN_FOLDER };

  for (gsize i = 0; i < G_N_ELEMENTS (tops); i++)
    if (g_str_has_prefix (path, tops[i]) && (path[strlen (tops[i])] == '/' || path[strlen (tops[i])] == '\0'))
      return tops[i];
  return NULL;
}

static char *
dup_mended_label (const char *path, const char *top)
{
  struct stat info;
  g_autoptr (Labels) labels = selabel_open (SELABEL_CTX_FILE, NULL, 0);

  if (labels == NULL || lstat (path, &info) != 0)
    return NULL;
  g_autofree char *not_ours = g_strconcat (top, NOT_OURS, path + strlen (top), NULL);
  g_autofree char *current = dup_current (path);
  g_autofree char *wanted = dup_wanted (labels, path, info.st_mode);
  g_autofree char *unknown = dup_wanted (labels, not_ours, info.st_mode);
  if (current == NULL || wanted == NULL || unknown == NULL)
    return NULL;
  return vp_label_dup_mended (current, wanted, unknown);
}

void
vp_label_ensure (const char *path)
{
  const char *top = find_top (path);

  if (top == NULL || !is_enabled ())
    return;
  g_autofree char *label = dup_mended_label (path, top);
  if (label == NULL)
    return;
  if (lsetfilecon_raw (path, label) == 0)
    g_message ("%s had a wrong SELinux label: it is %s now", path, label);
  else
    g_warning ("%s needs the SELinux label %s, and it cannot be set: %s; run 'restorecon -Rv %s'", path, label,
               g_strerror (errno), top);
}

char *
vp_label_dup_difference (const char *path)
{
  struct stat info;
  g_autoptr (Labels) labels = is_enforcing () ? selabel_open (SELABEL_CTX_FILE, NULL, 0) : NULL;

  if (labels == NULL)
    return NULL;
  g_autofree char *current = lstat (path, &info) == 0 ? dup_current (path) : NULL;
  g_autofree char *wanted = current != NULL ? dup_wanted (labels, path, info.st_mode) : NULL;
  g_auto (context_t) now = wanted != NULL ? context_new (current) : NULL;
  g_auto (context_t) want = now != NULL ? context_new (wanted) : NULL;
  if (want == NULL || strcmp (context_type_get (now), context_type_get (want)) == 0)
    return NULL;
  return g_strdup_printf ("%s, not %s", context_type_get (now), context_type_get (want));
}

#else

char *
vp_label_dup_difference (const char *path)
{
  (void) path;
  return NULL;
}

char *
vp_label_dup_mended (const char *current, const char *wanted, const char *unknown)
{
  (void) current, (void) wanted, (void) unknown;
  return NULL;
}

void
vp_label_ensure (const char *path)
{
  (void) path;
}

#endif
