/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A map for a terminal, as a picture and for programs, and the words that the first two share. */
#pragma once

#include <json-c/json.h>

#include "cli/base/output.h"
#include "cli/map/map.h"

G_BEGIN_DECLS

#define VP_MAP_HOST_MARK "·" /* the host's share */

/* A line of the legend. */
typedef struct {
  char *mark;
  int guest;     /* whose line it is, a position; -1: nobody's */
  VpStyle style; /* of the mark, where it is nobody's */
  char *text;    /* clean */
  char *note;    /* clean; NULL: none */
} VpMapEntry;

/* "8 CPUs on 4 cores; 1 package, 1 node, 1 L3". */
char *vp_map_dup_title (const VpMap *map);
/* "4 vCPUs on 2 whole cores of L3 0, node 0". */
char *vp_map_dup_summary (const VpMap *map, guint guest);
/* All texts below are the caller's. Of VpMapEntry: guests, conflicts, and what the signs mean that are in the map. */
GPtrArray *vp_map_legend (const VpMap *map);
/* At most `most` characters; what is cut off shows as "+" at the end. */
char *vp_map_dup_short_mark (const char *mark, guint most);
/* In lines of at most `columns`, broken at blanks and behind commas where that is possible. */
GStrv vp_map_wrap (const char *text, guint columns);
/* Clean, and without the characters that reorder or hide text. */
char *vp_map_dup_clean (const char *text);

/* 80 columns at most. */
char *vp_map_dup_text (const VpMap *map, gboolean ascii, gboolean colours);
/* A picture that needs nothing beside it. */
char *vp_map_dup_svg (const VpMap *map, GError **error);
/* The object of `vfio-profile map --json`, whose fields vfio-profile(1) lists. */
json_object *vp_map_to_json (const VpMap *map);

G_END_DECLS
