/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The host as boxes within boxes, and where each of them stands. The units are
 * the caller's: characters for a terminal, pixels for a picture.
 *
 *   host > package > [node >] L3 > core > CPU
 *
 * A package that has one node has no box for it. Boxes are laid in rows, as many
 * as fit, in columns of the same width; a row's boxes are made equally high.
 */
#pragma once

#include "host/topology.h"

G_BEGIN_DECLS

typedef enum {
  VP_BOX_HOST,
  VP_BOX_PACKAGE,
  VP_BOX_NODE,
  VP_BOX_L3,
  VP_BOX_CORE,
  VP_BOX_CPU,
  VP_N_BOXES,
} VpBoxKind;

typedef struct {
  VpBoxKind kind;
  guint position; /* of a core or CPU in the topology's tables; offline CPUs are counted on */
  char *title;    /* NULL: none */
  int x, y, width, height;
  GPtrArray *children; /* of VpBox */
} VpBox;

typedef struct {
  int left, top, right, bottom; /* between the box and what is in it */
  int title;                    /* the part of `top` that is not needed without a title */
  int gap_x, gap_y;             /* between the boxes in it; -1: they share a wall */
  guint most_columns;           /* 0: as many as fit */
} VpBoxSpace;

typedef struct {
  int width; /* the most that the host may take */
  int cpu_width, cpu_height;
  int letter, margin; /* a title is as wide as its letters, and this much */
  VpBoxSpace space[VP_N_BOXES];
} VpBoxMetrics;

/* The whole tree, laid out. The caller's: the box that is handed out owns those in it. */
VpBox *vp_boxes_new (const VpTopology *topology, const VpBoxMetrics *metrics);
void vp_box_free (VpBox *box);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpBox, vp_box_free)

G_END_DECLS
