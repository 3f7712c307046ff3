/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What one guest holds: the structs, their text in the journal, and lines for people. */
#include "journal/holding.h"

#include <string.h>

#include "base/error.h"
#include "host/page-words.h"

#define VERSION 1
#define MAX_GROUPS 65536u

static const char *const state_names[] = { "taking", "starting", "running", "releasing", NULL };
static const char *const kind_names[VP_N_HOLDING_KINDS + 1] = { "pages", "file", "slice", "handover", NULL };

gboolean
vp_holding_uuid_is_valid (const char *uuid)
{
  return uuid != NULL &&
         g_regex_match_simple ("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\\z", uuid, G_REGEX_CASELESS, 0);
}

static void
record_free (VpHoldingRecord *record)
{
  g_free (record->key);
  g_free (record->before);
  g_free (record->after);
  g_free (record);
}

VpHolding *
vp_holding_new (const char *uuid, const char *name)
{
  VpHolding *holding = g_new0 (VpHolding, 1);

  holding->uuid = g_strdup (uuid);
  holding->name = g_strdup (name);
  holding->uses = g_array_new (FALSE, TRUE, sizeof (VpHoldingUse));
  holding->records = g_ptr_array_new_with_free_func ((GDestroyNotify) record_free);
  holding->devices = g_array_new (FALSE, FALSE, sizeof (VpPciAddress));
  return holding;
}

void
vp_holding_free (VpHolding *holding)
{
  if (holding == NULL)
    return;
  g_free (holding->uuid);
  g_free (holding->name);
  g_free (holding->silent);
  g_array_unref (holding->uses);
  g_ptr_array_unref (holding->records);
  g_array_unref (holding->devices);
  hwloc_bitmap_free (holding->cpus);
  hwloc_bitmap_free (holding->live_cpus);
  g_clear_pointer (&holding->live_devices, g_array_unref);
  g_free (holding);
}

VpHoldingRecord *
vp_holding_add_record (VpHolding *holding, VpHoldingKind kind, const char *key, const char *before, const char *after)
{
  VpHoldingRecord *record = g_new0 (VpHoldingRecord, 1);

  record->kind = kind;
  record->key = g_strdup (key);
  record->before = g_strdup (before);
  record->after = g_strdup (after);
  g_ptr_array_add (holding->records, record);
  return record;
}

VpHolding *
vp_holding_copy (const VpHolding *holding)
{
  VpHolding *copy = vp_holding_new (holding->uuid, holding->name);

  copy->state = holding->state;
  copy->run = holding->run;
  copy->silent = g_strdup (holding->silent);
  copy->cpus = holding->cpus != NULL ? hwloc_bitmap_dup (holding->cpus) : NULL;
  g_array_append_vals (copy->uses, holding->uses->data, holding->uses->len);
  g_array_append_vals (copy->devices, holding->devices->data, holding->devices->len);
  for (guint i = 0; i < holding->records->len; i++) {
    const VpHoldingRecord *record = holding->records->pdata[i];
    VpHoldingRecord *new = vp_holding_add_record (copy, record->kind, record->key, record->before, record->after);
    new->pending = record->pending;
    new->pages = record->pages;
  }
  return copy;
}

VpHoldingRecord *
vp_holding_find_record (const VpHolding *holding, VpHoldingKind kind, const char *key)
{
  for (guint i = 0; i < holding->records->len; i++) {
    VpHoldingRecord *record = holding->records->pdata[i];
    if (record->kind == kind && g_strcmp0 (record->key, key) == 0)
      return record;
  }
  return NULL;
}

VpHoldingRecord *
vp_holding_find_pages (const VpHolding *holding, int node, guint64 page_kib)
{
  for (guint i = 0; i < holding->records->len; i++) {
    VpHoldingRecord *record = holding->records->pdata[i];
    if (record->kind == VP_HOLDING_PAGES && record->pages.node == node && record->pages.page_kib == page_kib)
      return record;
  }
  return NULL;
}

/* The numbers of a record of pages, one table for writing and reading; `node` stands apart, it may be -1. */
static const struct {
  const char *name;
  gsize offset;
} page_numbers[] = {
  { "page-kib", G_STRUCT_OFFSET (VpHoldingPages, page_kib) },
  { "count", G_STRUCT_OFFSET (VpHoldingPages, count) },
  { "base", G_STRUCT_OFFSET (VpHoldingPages, base) },
  { "from", G_STRUCT_OFFSET (VpHoldingPages, from) },
  { "to", G_STRUCT_OFFSET (VpHoldingPages, to) },
};

static void
save_record (GKeyFile *file, const char *group, const VpHoldingRecord *record)
{
  g_key_file_set_string (file, group, "kind", kind_names[record->kind]);
  g_key_file_set_boolean (file, group, "pending", record->pending);
  if (record->kind == VP_HOLDING_PAGES) {
    g_key_file_set_integer (file, group, "node", record->pages.node);
    for (gsize i = 0; i < G_N_ELEMENTS (page_numbers); i++)
      g_key_file_set_uint64 (file, group, page_numbers[i].name,
                             G_STRUCT_MEMBER (guint64, &record->pages, page_numbers[i].offset));
    return;
  }
  g_key_file_set_string (file, group, "key", record->key);
  g_key_file_set_string (file, group, "before", record->before);
  g_key_file_set_string (file, group, "after", record->after);
}

static GStrv
dup_devices (const VpHolding *holding)
{
  GStrv texts = g_new0 (char *, holding->devices->len + 1);

  for (guint i = 0; i < holding->devices->len; i++)
    texts[i] = vp_pci_address_dup_text (&g_array_index (holding->devices, VpPciAddress, i));
  return texts;
}

char *
vp_holding_dup_text (const VpHolding *holding)
{
  g_autoptr (GKeyFile) file = g_key_file_new ();

  g_key_file_set_integer (file, "guest", "version", VERSION);
  g_key_file_set_string (file, "guest", "name", holding->name);
  g_key_file_set_string (file, "guest", "state", state_names[holding->state]);
  if (holding->run != 0)
    g_key_file_set_integer (file, "guest", "run", holding->run);
  if (holding->silent != NULL)
    g_key_file_set_string (file, "guest", "silent", holding->silent);
  g_autofree char *cpus = holding->cpus != NULL ? vp_list_dup (holding->cpus) : NULL;
  if (cpus != NULL)
    g_key_file_set_string (file, "guest", "cpus", cpus);
  g_auto (GStrv) devices = dup_devices (holding);
  g_key_file_set_string_list (file, "guest", "devices", (const char *const *) devices, holding->devices->len);
  for (guint i = 0; i < holding->uses->len; i++) {
    const VpHoldingUse *use = &g_array_index (holding->uses, VpHoldingUse, i);
    g_autofree char *group = g_strdup_printf ("use-%u", i);
    g_key_file_set_integer (file, group, "node", use->node);
    g_key_file_set_uint64 (file, group, "page-kib", use->page_kib);
    g_key_file_set_uint64 (file, group, "pages", use->pages);
  }
  for (guint i = 0; i < holding->records->len; i++) {
    g_autofree char *group = g_strdup_printf ("record-%u", i);
    save_record (file, group, holding->records->pdata[i]);
  }
  return g_key_file_to_data (file, NULL, NULL);
}

/* A text that ends in a lone backslash is given by GLib, and an error with it. FALSE: `text` may be there all the same. */
static gboolean
load_text (GKeyFile *file, const char *group, const char *key, char **text, GError **error)
{
  g_autoptr (GError) problem = NULL;

  *text = g_key_file_get_string (file, group, key, &problem);
  if (problem == NULL)
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&problem));
  return FALSE;
}

static gboolean
load_word (GKeyFile *file, const char *group, const char *key, const char *const *words, int *position, GError **error)
{
  g_autofree char *text = NULL;

  if (!load_text (file, group, key, &text, error))
    return FALSE;
  for (*position = 0; words[*position] != NULL; (*position)++)
    if (strcmp (words[*position], text) == 0)
      return TRUE;
  g_set_error (error, VP_ERROR, VP_ERROR_IO, "[%s] %s is '%s'", group, key, text);
  return FALSE;
}

static gboolean
load_integer (GKeyFile *file, const char *group, const char *key, int least, int most, int *number, GError **error)
{
  g_autoptr (GError) problem = NULL;

  *number = g_key_file_get_integer (file, group, key, &problem);
  if (problem == NULL && *number >= least && *number <= most)
    return TRUE;
  g_set_error (error, VP_ERROR, VP_ERROR_IO, "[%s] %s is no number from %d to %d", group, key, least, most);
  return FALSE;
}

static gboolean
load_uint64 (GKeyFile *file, const char *group, const char *key, guint64 *number, GError **error)
{
  g_autoptr (GError) problem = NULL;

  /* Up to a size at which sums cannot overflow. */
  *number = g_key_file_get_uint64 (file, group, key, &problem);
  if (problem == NULL && *number <= G_MAXUINT32 * G_GUINT64_CONSTANT (1024))
    return TRUE;
  g_set_error (error, VP_ERROR, VP_ERROR_IO, "[%s] %s is no number of pages or KiB", group, key);
  return FALSE;
}

static gboolean
load_pages (GKeyFile *file, const char *group, VpHoldingPages *pages, GError **error)
{
  if (!load_integer (file, group, "node", -1, G_MAXINT, &pages->node, error))
    return FALSE;
  for (gsize i = 0; i < G_N_ELEMENTS (page_numbers); i++)
    if (!load_uint64 (file, group, page_numbers[i].name, &G_STRUCT_MEMBER (guint64, pages, page_numbers[i].offset),
                      error))
      return FALSE;
  if (pages->page_kib > 0)
    return TRUE;
  g_set_error (error, VP_ERROR, VP_ERROR_IO, "[%s] page-kib is 0", group);
  return FALSE;
}

static gboolean
load_record (GKeyFile *file, const char *group, VpHolding *holding, GError **error)
{
  g_autoptr (GError) problem = NULL;
  int kind = 0;

  if (!load_word (file, group, "kind", kind_names, &kind, error))
    return FALSE;
  VpHoldingRecord *record = vp_holding_add_record (holding, (VpHoldingKind) kind, NULL, NULL, NULL);
  record->pending = g_key_file_get_boolean (file, group, "pending", &problem);
  if (problem != NULL) {
    g_propagate_error (error, g_steal_pointer (&problem));
    return FALSE;
  }
  return kind == VP_HOLDING_PAGES ? load_pages (file, group, &record->pages, error)
                                  : load_text (file, group, "key", &record->key, error) &&
                                      load_text (file, group, "before", &record->before, error) &&
                                      load_text (file, group, "after", &record->after, error);
}

static gboolean
load_use (GKeyFile *file, const char *group, VpHolding *holding, GError **error)
{
  VpHoldingUse use = { 0 };

  if (!load_integer (file, group, "node", -1, G_MAXINT, &use.node, error) ||
      !load_uint64 (file, group, "page-kib", &use.page_kib, error) ||
      !load_uint64 (file, group, "pages", &use.pages, error))
    return FALSE;
  g_array_append_val (holding->uses, use);
  return TRUE;
}

static gboolean
load_cpus (GKeyFile *file, VpHolding *holding, GError **error)
{
  g_autofree char *text = g_key_file_get_string (file, "guest", "cpus", NULL);
  g_autoptr (VpBitmap) cpus = vp_list_parse (text);

  if (text != NULL && cpus == NULL)
    g_set_error (error, VP_ERROR, VP_ERROR_IO, "[guest] cpus is '%s'", text);
  if (cpus != NULL && !hwloc_bitmap_iszero (cpus))
    holding->cpus = hwloc_bitmap_dup (cpus);
  return text == NULL || cpus != NULL;
}

static gboolean
load_devices (GKeyFile *file, VpHolding *holding, GError **error)
{
  g_auto (GStrv) texts = g_key_file_get_string_list (file, "guest", "devices", NULL, NULL);
  VpPciAddress address;

  for (guint i = 0; texts != NULL && texts[i] != NULL; i++) {
    if (!vp_pci_address_parse (texts[i], &address)) {
      g_set_error (error, VP_ERROR, VP_ERROR_IO, "[guest] devices has '%s'", texts[i]);
      return FALSE;
    }
    g_array_append_val (holding->devices, address);
  }
  return TRUE;
}

static gboolean
load_guest (GKeyFile *file, VpHolding *holding, GError **error)
{
  int version = 0;
  int state = 0;

  if (!load_text (file, "guest", "name", &holding->name, error) ||
      !load_integer (file, "guest", "version", VERSION, VERSION, &version, error) ||
      !load_word (file, "guest", "state", state_names, &state, error))
    return FALSE;
  holding->state = (VpHoldingState) state;
  if (g_key_file_has_key (file, "guest", "run", NULL) &&
      !load_integer (file, "guest", "run", 0, G_MAXINT, &holding->run, error))
    return FALSE;
  holding->silent = g_key_file_get_string (file, "guest", "silent", NULL);
  return load_cpus (file, holding, error) && load_devices (file, holding, error);
}

VpHolding *
vp_holding_parse (const char *uuid, const char *text, GError **error)
{
  g_autoptr (GKeyFile) file = g_key_file_new ();
  g_autoptr (VpHolding) holding = vp_holding_new (uuid, NULL);

  if (!g_key_file_load_from_data (file, text, strlen (text), G_KEY_FILE_NONE, error) ||
      !load_guest (file, holding, error))
    return NULL;
  g_auto (GStrv) groups = g_key_file_get_groups (file, NULL);
  for (guint i = 0; groups[i] != NULL && i < MAX_GROUPS; i++) {
    if (g_str_has_prefix (groups[i], "record-") && !load_record (file, groups[i], holding, error))
      return NULL;
    if (g_str_has_prefix (groups[i], "use-") && !load_use (file, groups[i], holding, error))
      return NULL;
  }
  return g_steal_pointer (&holding);
}

static char *
dup_pages_line (int node, guint64 page_kib, guint64 pages, const char *what)
{
  g_autofree char *size = vp_hugepages_dup_size (page_kib);
  g_autofree char *place = vp_hugepages_dup_place (node);

  return g_strdup_printf ("%" G_GUINT64_FORMAT " hugepage%s of %s on %s%s", pages, pages == 1 ? "" : "s", size, place,
                          what);
}

static char *
dup_record_line (const VpHoldingRecord *record, gboolean ended)
{
  if (record->kind == VP_HOLDING_PAGES)
    return dup_pages_line (record->pages.node, record->pages.page_kib, record->pages.count, ", allocated for it");
  if (record->kind == VP_HOLDING_HANDOVER && ended)
    return g_strdup_printf ("%s is not back yet", record->key);
  if (record->kind == VP_HOLDING_HANDOVER)
    return g_strdup_printf ("a card that the host let go: %s, was %s", record->key, record->before);
  return g_strdup_printf ("%s%s is '%s', was '%s'", record->kind == VP_HOLDING_FILE ? "/" : "", record->key,
                          record->after, record->before);
}

GStrv
vp_holding_describe (const VpHolding *holding)
{
  GPtrArray *lines = g_ptr_array_new ();

  for (guint i = 0; holding->state != VP_HOLDING_RELEASING && i < holding->uses->len; i++) {
    const VpHoldingUse *use = &g_array_index (holding->uses, VpHoldingUse, i);
    g_ptr_array_add (lines, dup_pages_line (use->node, use->page_kib, use->pages,
                                            holding->state == VP_HOLDING_RUNNING ? "" : ", promised"));
  }
  g_autofree char *cpus = holding->cpus != NULL ? vp_list_dup (holding->cpus) : NULL;
  if (cpus != NULL)
    g_ptr_array_add (lines, g_strdup_printf ("CPUs %s", cpus));
  g_auto (GStrv) devices = dup_devices (holding);
  for (guint i = 0; devices[i] != NULL; i++)
    g_ptr_array_add (lines, g_strdup_printf ("device %s", devices[i]));
  for (guint i = 0; i < holding->records->len; i++)
    g_ptr_array_add (lines, dup_record_line (holding->records->pdata[i], holding->state == VP_HOLDING_RELEASING));
  g_ptr_array_add (lines, NULL);
  return (GStrv) g_ptr_array_free (lines, FALSE);
}
