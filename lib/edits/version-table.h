/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The versions of definitions that were seen and are still needed, by domain, within bounds.
 * Has no lock: whoever owns it has one (versions.c).
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct {
  guint64 serial;  /* counts up over all domains */
  gboolean missed; /* one or more versions before this one could not be read, or were dropped */
  gboolean deleted;
  GBytes *text; /* the file; NULL: deleted, or written over before it could be read */
} VpVersion;

VpVersion *vp_version_copy (const VpVersion *version); /* the text is shared; the caller's */
void vp_version_free (VpVersion *version);

typedef struct VpVersionTable VpVersionTable;

VpVersionTable *vp_version_table_new (void);        /* empty; the caller's */
void vp_version_table_free (VpVersionTable *table); /* not NULL */

/* `version` is the table's then. Where it grows too long, or all texts together too large, this domain's oldest go. */
void vp_version_table_add (VpVersionTable *table, const char *domain, VpVersion *version);
/* The first after that serial is noted as one before which others were missed: a copy of it; NULL: there is none. */
VpVersion *vp_version_table_mark_missed (VpVersionTable *table, const char *domain, guint64 after);
/* Copies, oldest first; of VpVersion. The caller's. */
GPtrArray *vp_version_table_list (const VpVersionTable *table, const char *domain, guint64 after);
void vp_version_table_forget (VpVersionTable *table, const char *domain, guint64 up_to);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpVersion, vp_version_free)

G_END_DECLS
