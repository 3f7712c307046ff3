/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The list of sequestered cards, and the modules that want them. Writes nothing. */
#include "devices/sequester.h"

#include <fnmatch.h>
#include <string.h>

#include "base/error.h"
#include "config.h"

#define MAX_ALIASES (32u * 1024 * 1024)
#define SOFTDEP "softdep "

static gboolean
parse_line (const char *line, VpDeviceIds *ids)
{
  g_autoptr (GRegex) form = g_regex_new ("^(\\S+) ([0-9a-f]{4}):([0-9a-f]{4})$", 0, 0, NULL);
  g_autoptr (GMatchInfo) match = NULL;

  if (!g_regex_match (form, line, 0, &match))
    return FALSE;
  g_autofree char *address = g_match_info_fetch (match, 1);
  g_autofree char *vendor = g_match_info_fetch (match, 2);
  g_autofree char *device = g_match_info_fetch (match, 3);
  ids->vendor = (guint16) g_ascii_strtoull (vendor, NULL, 16);
  ids->device = (guint16) g_ascii_strtoull (device, NULL, 16);
  return vp_pci_address_parse (address, &ids->address);
}

GArray *
vp_sequester_parse (const char *text, GError **error)
{
  g_autoptr (GArray) all = g_array_new (FALSE, TRUE, sizeof (VpDeviceIds));
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);

  for (guint i = 0; lines[i] != NULL; i++) {
    VpDeviceIds ids = { .vendor = 0 };
    const char *line = g_strstrip (lines[i]);
    if (line[0] == '\0' || line[0] == '#')
      continue;
    if (!parse_line (line, &ids)) {
      g_autofree char *shown = g_strescape (line, NULL);
      g_set_error (error, VP_ERROR, VP_ERROR_IO,
                   "/%s, line %u: '%s' is not an address and ids such as '0000:01:00.0 10de:1381': correct it or take "
                   "it out",
                   &VP_SEQUESTER_LIST[1], i + 1, shown);
      return NULL;
    }
    if (vp_device_ids_find (all, &ids.address) == NULL)
      g_array_append_val (all, ids);
  }
  return g_steal_pointer (&all);
}

GArray *
vp_sequester_load (const VpRoot *root, GError **error)
{
  gsize length = 0;
  g_autofree char *text = NULL;

  if (!vp_root_read_bytes (root, &VP_SEQUESTER_LIST[1], VP_SEQUESTER_MOST, &text, &length, error))
    return NULL;
  return vp_sequester_parse (text != NULL ? text : "", error);
}

char *
vp_sequester_dup_list (const GArray *ids)
{
  g_autoptr (GString) text = g_string_new (VP_SEQUESTER_MARK);

  g_string_append (text, "# PCI functions that no driver of the host's may have, and their ids: one with other ids is "
                         "left alone.\n");
  for (guint i = 0; i < ids->len; i++) {
    const VpDeviceIds *one = &g_array_index (ids, VpDeviceIds, i);
    g_autofree char *address = vp_pci_address_dup_text (&one->address);
    g_autofree char *words = vp_device_ids_dup_text (one);
    g_string_append_printf (text, "%s %s\n", address, words);
  }
  return g_strdup (text->str);
}

static gint
compare_words (gconstpointer a, gconstpointer b)
{
  return strcmp (*(char *const *) a, *(char *const *) b);
}

/* What has a place in a file of modprobe's. vfio-pci and its kin are what we want. */
static void
add_module (GPtrArray *modules, const char *name)
{
  if (g_regex_match_simple ("^[A-Za-z0-9_][A-Za-z0-9_-]{0,62}$", name, 0, 0) && !g_str_has_prefix (name, "vfio") &&
      !g_ptr_array_find_with_equal_func (modules, name, g_str_equal, NULL))
    g_ptr_array_add (modules, g_strdup (name));
}

/*
 * "alias pci:v000010DEd*sv*sd*bc03sc*i* nouveau", thousands of them. libkmod wants depmod's index; it takes this
 * text as configuration, but then says on stderr what it dislikes, before it can be told not to, and reads this
 * machine's /proc/cmdline, whatever the root.
 */
static void
add_matching (GPtrArray *modules, char *aliases, const char *modalias)
{
  char *rest = aliases;

  while (rest != NULL && *rest != '\0') {
    char *line = rest;
    rest = strchr (line, '\n');
    if (rest != NULL)
      *rest++ = '\0';
    if (!g_str_has_prefix (line, "alias pci:"))
      continue;
    char *pattern = line + strlen ("alias ");
    char *name = strchr (pattern, ' ');
    if (name == NULL)
      continue;
    *name++ = '\0';
    if (fnmatch (pattern, modalias, 0) == 0)
      add_module (modules, name);
  }
}

GPtrArray *
vp_sequester_find_modules (const VpRoot *root, const VpPciDevice *device)
{
  static const char *const folders[] = { "lib/modules", "usr/lib/modules" };
  GPtrArray *modules = g_ptr_array_new_with_free_func (g_free);
  g_autofree char *address = vp_pci_address_dup_text (&device->address);
  g_autofree char *module = g_strdup_printf ("sys/bus/pci/devices/%s/driver/module", address);
  g_autofree char *present = vp_root_dup_link_name (root, module);
  g_autofree char *alias = g_strdup_printf ("sys/bus/pci/devices/%s/modalias", address);
  g_autofree char *modalias = vp_root_dup_text (root, alias);

  if (present != NULL || device->driver != NULL)
    add_module (modules, present != NULL ? present : device->driver);
  /* The two are one where /lib is a link. */
  for (guint i = 0, n = 0; i < G_N_ELEMENTS (folders) && modalias != NULL && n == 0; i++) {
    g_auto (GStrv) releases = vp_root_list (root, folders[i]);
    for (guint j = 0; releases[j] != NULL; j++, n++) {
      gsize length = 0;
      g_autofree char *path = g_strdup_printf ("%s/%s/modules.alias", folders[i], releases[j]);
      g_autofree char *aliases = vp_root_dup_bytes (root, path, MAX_ALIASES, &length);
      if (aliases != NULL)
        add_matching (modules, aliases, modalias);
    }
  }
  g_ptr_array_sort (modules, compare_words);
  return modules;
}

GPtrArray *
vp_sequester_parse_modules (const char *text)
{
  GPtrArray *modules = g_ptr_array_new_with_free_func (g_free);
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);

  for (guint i = 0; lines[i] != NULL; i++) {
    g_auto (GStrv) words = g_strsplit (lines[i], " ", -1);
    if (g_str_has_prefix (lines[i], SOFTDEP) && words[1] != NULL)
      add_module (modules, words[1]);
  }
  g_ptr_array_sort (modules, compare_words);
  return modules;
}

/* A shell runs what stands behind "install"; without our program it is as if the line were not there. */
char *
vp_sequester_dup_modprobe (const GPtrArray *modules)
{
  g_autoptr (GString) text = g_string_new (VP_SEQUESTER_MARK);

  g_string_append (text, "install vfio-pci [ ! -x " VP_SEQUESTER_PROGRAM " ] || " VP_SEQUESTER_PROGRAM
                         "; /sbin/modprobe --ignore-install vfio-pci $CMDLINE_OPTS\n");
  for (guint i = 0; i < modules->len; i++)
    g_string_append_printf (text, SOFTDEP "%s pre: vfio-pci\n", (const char *) modules->pdata[i]);
  return g_strdup (text->str);
}

/* "kernel/drivers/gpu/drm/i915/i915.ko"; names of modules have '-' or '_', and both are one. */
gboolean
vp_sequester_is_built_in (const VpRoot *root, const char *driver)
{
  static const char *const folders[] = { "lib/modules", "usr/lib/modules" };
  g_autofree char *release = vp_root_dup_text (root, "proc/sys/kernel/osrelease");
  g_autofree char *wanted = g_strdup_printf ("/%s.ko", driver);
  gboolean found = FALSE;

  g_strdelimit (wanted, "-", '_');
  for (guint i = 0; release != NULL && strchr (release, '/') == NULL && i < G_N_ELEMENTS (folders); i++) {
    gsize length = 0;
    g_autofree char *path = g_strdup_printf ("%s/%s/modules.builtin", folders[i], release);
    g_autofree char *text = vp_root_dup_bytes (root, path, MAX_ALIASES, &length);
    g_auto (GStrv) lines = g_strsplit (text != NULL ? g_strdelimit (text, "-", '_') : "", "\n", -1);
    for (guint j = 0; lines[j] != NULL; j++)
      found |= g_str_has_suffix (lines[j], wanted);
  }
  return found;
}
