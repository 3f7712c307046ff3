/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A list a domain, and a sum over all. Each version was made from the one before it, so the oldest is needed least. */
#include "edits/version-table.h"

#define MAX_VERSIONS 1024 /* of one domain, between two looks of the main thread */
#define MAX_BYTES (64 * (gsize) 1024 * 1024)

struct VpVersionTable {
  gsize bytes;
  GHashTable *lists; /* char * -> GPtrArray of VpVersion */
};

void
vp_version_free (VpVersion *version)
{
  g_clear_pointer (&version->text, g_bytes_unref);
  g_free (version);
}

VpVersion *
vp_version_copy (const VpVersion *version)
{
  VpVersion *copy = g_memdup2 (version, sizeof *version);

  if (copy->text != NULL)
    (void) g_bytes_ref (copy->text);
  return copy;
}

static GPtrArray *
list_new (void)
{
  return g_ptr_array_new_with_free_func ((GDestroyNotify) vp_version_free);
}

VpVersionTable *
vp_version_table_new (void)
{
  VpVersionTable *table = g_new0 (VpVersionTable, 1);

  table->lists = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) g_ptr_array_unref);
  return table;
}

void
vp_version_table_free (VpVersionTable *table)
{
  g_hash_table_unref (table->lists);
  g_free (table);
}

static gsize
size_of (const VpVersion *version)
{
  return version->text != NULL ? g_bytes_get_size (version->text) : 0;
}

/* The oldest `n`. */
static void
drop (VpVersionTable *table, GPtrArray *list, guint n)
{
  for (guint i = 0; i < n; i++)
    table->bytes -= size_of (list->pdata[i]);
  if (n > 0)
    g_ptr_array_remove_range (list, 0, n);
}

static void
bound (VpVersionTable *table, GPtrArray *list)
{
  gsize bytes = table->bytes;
  guint n = 0;

  for (; n + 1 < list->len && (list->len - n > MAX_VERSIONS || bytes > MAX_BYTES); n++)
    bytes -= size_of (list->pdata[n]);
  if (n == 0)
    return;
  drop (table, list, n);
  ((VpVersion *) list->pdata[0])->missed = TRUE;
}

void
vp_version_table_add (VpVersionTable *table, const char *domain, VpVersion *version)
{
  GPtrArray *list = g_hash_table_lookup (table->lists, domain);

  if (list == NULL) {
    list = list_new ();
    g_hash_table_insert (table->lists, g_strdup (domain), list);
  }
  g_ptr_array_add (list, version);
  table->bytes += size_of (version);
  bound (table, list);
}

VpVersion *
vp_version_table_mark_missed (VpVersionTable *table, const char *domain, guint64 after)
{
  const GPtrArray *list = g_hash_table_lookup (table->lists, domain);

  for (guint i = 0; list != NULL && i < list->len; i++) {
    VpVersion *version = list->pdata[i];
    if (version->serial <= after)
      continue;
    version->missed = TRUE;
    return vp_version_copy (version);
  }
  return NULL;
}

GPtrArray *
vp_version_table_list (const VpVersionTable *table, const char *domain, guint64 after)
{
  const GPtrArray *list = g_hash_table_lookup (table->lists, domain);
  GPtrArray *found = list_new ();

  for (guint i = 0; list != NULL && i < list->len; i++)
    if (((const VpVersion *) list->pdata[i])->serial > after)
      g_ptr_array_add (found, vp_version_copy (list->pdata[i]));
  return found;
}

void
vp_version_table_forget (VpVersionTable *table, const char *domain, guint64 up_to)
{
  GPtrArray *list = g_hash_table_lookup (table->lists, domain);
  guint old = 0;

  if (list == NULL)
    return;
  while (old < list->len && ((const VpVersion *) list->pdata[old])->serial <= up_to)
    old++;
  drop (table, list, old);
  if (list->len == 0)
    g_hash_table_remove (table->lists, domain);
}
