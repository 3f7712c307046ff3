/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The journal of what guests hold: a folder in the run folder with a file for each
 * guest, named by its UUID. Everybody reads it here; the daemon alone writes.
 */
#pragma once

#include "base/root.h"
#include "journal/holding.h"

G_BEGIN_DECLS

#define VP_JOURNAL_MAX_BYTES (256u * 1024) /* of one file: a host has some thousand interrupts */

typedef struct VpJournal VpJournal;

/* `root` stays the caller's; `run_folder` is a path below it, its first slash does not matter. Nothing is read yet. */
VpJournal *vp_journal_new (const VpRoot *root, const char *run_folder);
void vp_journal_free (VpJournal *journal);

/* The UUIDs that have a file, sorted; empty where there is no folder; NULL with VP_ERROR_HOST: it cannot be read. */
GStrv vp_journal_list (const VpJournal *journal, GError **error);
/*
 * The caller's. NULL: there is no such file, it is not ours to trust, or it is damaged (VP_ERROR_IO); or it cannot be
 * read now (VP_ERROR_HOST), and may be as good as ever.
 */
VpHolding *vp_journal_read (const VpJournal *journal, const char *uuid, GError **error);

/* For the daemon. Makes the folder (its parent is there), and removes what a daemon died in writing. */
gboolean vp_journal_open (const VpJournal *journal, GError **error);
/* All is on the disk, or the file is as it was. `text` NULL: no file shall be there. One thread at a time. */
gboolean vp_journal_write (const VpJournal *journal, const char *uuid, const char *text, GError **error);
/* A damaged file, to a name that no guest has, for a person to look at: that name, the caller's; NULL: it stays. */
char *vp_journal_set_aside (const VpJournal *journal, const char *uuid);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpJournal, vp_journal_free)

G_END_DECLS
