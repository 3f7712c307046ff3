/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files of the journal; what is in one is holding.c's. */
#include "journal/journal.h"

#define FOLDER "holds"
#define MAX_DAMAGED 1000

struct VpJournal {
  const VpRoot *root;
  char *folder;
};

VpJournal *
vp_journal_new (const VpRoot *root, const char *run_folder)
{
  VpJournal *journal = g_new0 (VpJournal, 1);

  journal->root = root;
  journal->folder = g_build_filename (run_folder[0] == '/' ? run_folder + 1 : run_folder, FOLDER, NULL);
  return journal;
}

void
vp_journal_free (VpJournal *journal)
{
  if (journal == NULL)
    return;
  g_free (journal->folder);
  g_free (journal);
}

static char *
dup_path (const VpJournal *journal, const char *name)
{
  return g_build_filename (journal->folder, name, NULL);
}

GStrv
vp_journal_list (const VpJournal *journal, GError **error)
{
  g_auto (GStrv) names = vp_root_read_folder (journal->root, journal->folder, error);
  g_autoptr (GStrvBuilder) uuids = g_strv_builder_new ();

  for (guint i = 0; names != NULL && names[i] != NULL; i++)
    if (vp_holding_uuid_is_valid (names[i]))
      g_strv_builder_add (uuids, names[i]);
  return names != NULL ? g_strv_builder_end (uuids) : NULL;
}

VpHolding *
vp_journal_read (const VpJournal *journal, const char *uuid, GError **error)
{
  g_autofree char *path = dup_path (journal, uuid);
  g_autofree char *text = vp_root_load_own (journal->root, path, VP_JOURNAL_MAX_BYTES, error);
  VpHolding *holding = text != NULL ? vp_holding_parse (uuid, text, error) : NULL;

  if (text != NULL && holding == NULL)
    g_prefix_error (error, "%s: ", path);
  return holding;
}

gboolean
vp_journal_open (const VpJournal *journal, GError **error)
{
  g_auto (GStrv) names = vp_root_read_folder (journal->root, journal->folder, error);

  for (guint i = 0; names != NULL && names[i] != NULL; i++) {
    g_autofree char *path = g_str_has_suffix (names[i], VP_ROOT_TEMPORARY) ? dup_path (journal, names[i]) : NULL;
    if (path != NULL)
      (void) vp_root_remove (journal->root, path, NULL); /* never came into force */
  }
  return names != NULL && vp_root_make_folder (journal->root, journal->folder, error);
}

gboolean
vp_journal_write (const VpJournal *journal, const char *uuid, const char *text, GError **error)
{
  g_autofree char *path = dup_path (journal, uuid);

  return text != NULL ? vp_root_store (journal->root, path, text, error) : vp_root_remove (journal->root, path, error);
}

char *
vp_journal_set_aside (const VpJournal *journal, const char *uuid)
{
  g_autofree char *path = dup_path (journal, uuid);

  for (guint i = 1; i <= MAX_DAMAGED; i++) {
    g_autofree char *aside = g_strdup_printf ("%s.damaged-%u", uuid, i);
    if (vp_root_rename (journal->root, path, aside, NULL))
      return g_steal_pointer (&aside);
  }
  return NULL;
}
