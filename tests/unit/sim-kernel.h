/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A kernel of files, as far as hugepage pools go: below a temporary root, with the
 * shim of VpRoot as its system calls. Its state is in the files alone, so it goes on
 * when the process that used it dies. Pages are of 2M and 1G; the text of "knob"
 * files below sim/ makes it behave badly.
 */
#pragma once

#include "base/root.h"

#define SIM_HOLDS "run/holds"
#define SIM_2M G_GUINT64_CONSTANT (2048)
#define SIM_1G G_GUINT64_CONSTANT (1048576)

typedef struct {
  char *path;
  VpRoot *root;
  GRecMutex mutex;
  guint steps;   /* changes of files so far; two for each, before and after, and one amid a pool's growth */
  guint exit_at; /* the step at which the process ends as if it was killed; 0: none */
} Sim;

/* `nodes` 0: a host without NUMA. Pools are empty, and nothing can be allocated. */
Sim *sim_new (guint nodes);
Sim *sim_new_at (const char *path); /* another process's view of the same kernel */
void sim_free (Sim *sim);           /* and the files, if sim_new made them */
void sim_close (Sim *sim);          /* without the files */

/* Pages there from the start, and pages that the kernel could still make. */
void sim_set_pool (Sim *sim, int node, guint64 kib, guint64 pages, guint64 room);
/*
 * Knobs: "refuse" errno: that many more writes fail; "slow" n: a pool gets smaller by n pages at most for each
 * write; "compact-at" n: the n-th compaction makes room for "compact-gain" pages in each pool.
 */
void sim_set_knob (Sim *sim, const char *name, guint64 value);
guint64 sim_get_knob (Sim *sim, const char *name);

guint64 sim_read (Sim *sim, int node, guint64 kib, const char *file);
void sim_admin (Sim *sim, int node, guint64 kib, guint64 pages); /* echo PAGES > nr_hugepages */
void sim_use (Sim *sim, int node, guint64 kib, guint64 pages);   /* a guest maps free pages */
void sim_let_go (Sim *sim, int node, guint64 kib, guint64 pages);
void sim_write_file (Sim *sim, const char *path, const char *text);
char *sim_read_file (Sim *sim, const char *path);
/* Everything that a guest could leave changed, and the names in the journal. */
char *sim_snapshot (Sim *sim);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Sim, sim_free)
