/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which functions may be taken from the host. A caller gives addresses, and gets what belongs
 * together, or why one of them may not go. Writes nothing.
 */
#pragma once

#include "cli/cards/groups.h"

G_BEGIN_DECLS

typedef struct {
  const VpRoot *root; /* all of this is borrowed */
  VpGroups *groups;
  VpDeviceNames *names;
  gboolean force; /* the boot display as well, and what cannot be judged */
} VpSequesterHost;

typedef struct {
  const VpPciDevice *device; /* borrowed from the groups */
  char *reason;              /* why it comes along; NULL: it was asked for */
} VpSequesterPick;

/* Of VpPciAddress; a person may leave the domain out, as lspci does. NULL, and `wrong`: the word that is none. */
GArray *vp_addresses_parse (char *const *words, const char **wrong);

/* Of VpSequesterPick: those named, and what belongs to them; an error where one of them may not be taken. */
GArray *vp_sequester_choose (const VpSequesterHost *host, const GArray *addresses, GError **error);
/* Every graphics card but the boot display; those that may not be taken are warned of. */
GArray *vp_sequester_choose_cards (const VpSequesterHost *host, GError **error);
gboolean vp_sequester_is_picked (const GArray *picks, const VpPciDevice *device);

G_END_DECLS
