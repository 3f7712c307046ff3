/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The list of granted cards, and whose a group is. Writes nothing. */
#include "devices/grant.h"

#include <string.h>

#include "base/error.h"
#include "config.h"

#define MAX_BYTES (64u * 1024)
#define SEQUESTERED "sequestered"

static void
grant_free (gpointer data)
{
  VpGrant *grant = data;

  g_free (grant->user);
  g_free (grant);
}

GPtrArray *
vp_grants_new (void)
{
  return g_ptr_array_new_with_free_func (grant_free);
}

void
vp_grants_add (GPtrArray *grants, guint uid, const char *user, const VpDeviceIds *ids, gboolean sequestered)
{
  VpGrant *grant = g_new0 (VpGrant, 1);

  grant->uid = uid;
  grant->user = g_strdup (user);
  grant->ids = *ids;
  grant->sequestered = sequestered;
  g_ptr_array_add (grants, grant);
}

static gboolean
parse_line (const char *line, GPtrArray *grants)
{
  g_autoptr (GRegex) form =
    g_regex_new ("^([1-9][0-9]{0,8}) (\\S+) (\\S+) ([0-9a-f]{4}):([0-9a-f]{4})( " SEQUESTERED ")?$", G_REGEX_RAW, 0,
                 NULL);
  g_autoptr (GMatchInfo) match = NULL;
  VpDeviceIds ids = { .vendor = 0 };

  if (!g_regex_match (form, line, 0, &match))
    return FALSE;
  g_auto (GStrv) words = g_match_info_fetch_all (match);
  if (!vp_pci_address_parse (words[3], &ids.address) || vp_grants_find (grants, &ids.address) != NULL)
    return FALSE;
  ids.vendor = (guint16) g_ascii_strtoull (words[4], NULL, 16);
  ids.device = (guint16) g_ascii_strtoull (words[5], NULL, 16);
  vp_grants_add (grants, (guint) g_ascii_strtoull (words[1], NULL, 10), words[2], &ids,
                 g_str_has_suffix (line, " " SEQUESTERED));
  return TRUE;
}

GPtrArray *
vp_grants_parse (const char *text, GError **error)
{
  g_autoptr (GPtrArray) grants = vp_grants_new ();
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);

  for (guint i = 0; lines[i] != NULL; i++) {
    const char *line = g_strstrip (lines[i]);
    if (line[0] == '\0' || line[0] == '#' || parse_line (line, grants))
      continue;
    g_autofree char *shown = g_strescape (line, NULL);
    g_set_error (error, VP_ERROR, VP_ERROR_IO,
                 "/%s, line %u: '%s' is no grant such as '1000 alice 0000:01:00.0 10de:1381', or the second one of its "
                 "card: correct it or take it out",
                 &VP_GRANTS_FILE[1], i + 1, shown);
    return NULL;
  }
  return g_steal_pointer (&grants);
}

GPtrArray *
vp_grants_load (const VpRoot *root, GError **error)
{
  gsize length = 0;
  g_autofree char *text = NULL;

  if (!vp_root_read_bytes (root, &VP_GRANTS_FILE[1], MAX_BYTES, &text, &length, error))
    return NULL;
  return vp_grants_parse (text != NULL ? text : "", error);
}

char *
vp_grants_dup_text (const GPtrArray *grants)
{
  g_autoptr (GString) text = g_string_new (VP_GRANT_MARK);

  for (guint i = 0; i < grants->len; i++) {
    const VpGrant *grant = grants->pdata[i];
    g_autofree char *address = vp_pci_address_dup_text (&grant->ids.address);
    g_autofree char *ids = vp_device_ids_dup_text (&grant->ids);
    g_string_append_printf (text, "%u %s %s %s%s\n", grant->uid, grant->user, address, ids,
                            grant->sequestered ? " " SEQUESTERED : "");
  }
  return g_strdup (text->str);
}

const VpGrant *
vp_grants_find (const GPtrArray *grants, const VpPciAddress *address)
{
  for (guint i = 0; i < grants->len; i++) {
    const VpGrant *grant = grants->pdata[i];
    if (vp_pci_address_equal (&grant->ids.address, address))
      return grant;
  }
  return NULL;
}

/* A part of the board that no driver has stays so: the user's node does not lead to it. */
static gboolean
is_nobodys (const VpPciDevice *device)
{
  return vp_pci_is_port (device) || (vp_pci_is_board_part (device) && device->driver == NULL);
}

gboolean
vp_grants_find_owner (const GPtrArray *grants, const GArray *devices, int group, guint *uid)
{
  gboolean found = FALSE;

  for (guint i = 0; i < devices->len; i++) {
    const VpPciDevice *device = &g_array_index (devices, VpPciDevice, i);
    if (device->iommu_group != group || is_nobodys (device))
      continue;
    const VpGrant *grant = vp_grants_find (grants, &device->address);
    if (grant == NULL || grant->ids.vendor != device->vendor || grant->ids.device != device->device ||
        (found && grant->uid != *uid))
      return FALSE;
    found = TRUE;
    *uid = grant->uid;
  }
  return found;
}
