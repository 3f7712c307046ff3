/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The parts of `vfio-profile sequester`: which functions may be taken from the host,
 * the files that say so, and what became of them.
 */
#pragma once

#include "cli/cards/groups.h"
#include "devices/sequester.h"

G_BEGIN_DECLS

/* --- what may be taken: sequester-choose.c; writes nothing --- */

typedef struct {
  const VpRoot *root;
  VpGroups *groups;
  VpDeviceNames *names;
  gboolean force; /* the boot display as well, and what cannot be judged */
} VpSequesterHost;

typedef struct {
  const VpPciDevice *device; /* borrowed from the groups */
  char *reason;              /* why it comes along; NULL: it was asked for */
} VpSequesterPick;

/* Of VpSequesterPick: those named, and what belongs to them; an error where one of them may not be taken. */
GArray *vp_sequester_choose (const VpSequesterHost *host, const GArray *addresses, GError **error);
/* Every graphics card but the boot display; those that may not be taken are warned of. */
gboolean vp_sequester_is_picked (const GArray *picks, const VpPciDevice *device);
GArray *vp_sequester_choose_cards (const VpSequesterHost *host, GError **error);

/* --- the files: sequester-files.c --- */

typedef struct {
  const VpRoot *root;  /* borrowed */
  char *list_path;     /* with the root's folder before it */
  char *modprobe_path;
  GArray *ids;         /* of VpDeviceIds: listed now */
  GPtrArray *modules;  /* of char *: named to modprobe now */
} VpSequester;

/* Without `read` it can only be removed. */
gboolean vp_sequester_open (VpSequester *self, const VpRoot *root, const char *folder, gboolean read, GError **error);
void vp_sequester_clear (VpSequester *self);
/* Each file is written at once or not at all; `changed`: paths (of char *) of those that are not as they were. */
gboolean vp_sequester_add (VpSequester *self, const GArray *picks, GPtrArray *changed, GError **error);
gboolean vp_sequester_drop (VpSequester *self, const GArray *addresses, GPtrArray *changed, GError **error);
gboolean vp_sequester_remove (const VpSequester *self, GPtrArray *removed, GError **error);

/* --- what a person is told: sequester-words.c --- */

/* Of VpPciAddress; a person may leave the domain out, as lspci does. NULL and the word that is none. */
GArray *vp_addresses_parse (char *const *words, const char **wrong);
/* Drivers that cannot be kept off, and what stays on a boot display. */
void vp_sequester_warn (const VpSequesterHost *host, const GArray *picks);
void vp_sequester_say (const VpSequesterHost *host, const GArray *picks);
void vp_files_say (const GPtrArray *files, const char *verb);
/* Makes the initramfs anew, or says how. */
gboolean vp_sequester_finish (const VpRoot *root, gboolean initramfs, gboolean changed, GError **error);

/* --- what became of it: sequester-view.c --- */

typedef enum {
  VP_SEQUESTER_READY,   /* on vfio-pci */
  VP_SEQUESTER_WAITING, /* listed since the boot */
  VP_SEQUESTER_MISSED,  /* listed at boot, and not on vfio-pci */
  VP_SEQUESTER_MOVED,   /* another device is there */
  VP_SEQUESTER_GONE,    /* none is there */
} VpSequesterState;

VpSequesterState vp_sequester_get_state (const VpRoot *root, const GArray *devices, const VpDeviceIds *ids);
const char *vp_sequester_state_word (VpSequesterState state);
void vp_sequester_print (const VpRoot *root, const GArray *ids);
json_object *vp_sequester_to_json (const VpRoot *root, const GArray *ids);

/* --- the initramfs: sequester-initramfs.c --- */

/* The command that makes all images anew, NULL-ended; NULL: none that we know is here. */
const char *const *vp_initramfs_command (const VpRoot *root);
char *vp_initramfs_dup_advice (const VpRoot *root); /* "run 'update-initramfs -u -k all' and boot" */
gboolean vp_initramfs_make (const VpRoot *root, GError **error);
/* That of the running kernel is older than the list; FALSE: it is not, or cannot be looked at. */
gboolean vp_initramfs_is_stale (const VpRoot *root);

static inline void
vp_sequester_pick_clear (gpointer data)
{
  g_free (((VpSequesterPick *) data)->reason);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (VpSequester, vp_sequester_clear)

G_END_DECLS
