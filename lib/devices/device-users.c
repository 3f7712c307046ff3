/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads proc/PID/fd, the text consoles and the routes. */
#include "devices/device-users.h"

#include <string.h>

#include "host/console.h"

#define MAX_NAME_LENGTH 64
#define MAX_PID_DIGITS 9
#define MAX_UPPERS 256
#define MAX_ROUTES (8 * 1024 * 1024)
#define ROUTE_UP 0x1
#define ROUTE_REJECT 0x200

/* The first framebuffer, but for kernels that prefer the boot display's: then that is the console's. */
static gboolean
is_console_node (const VpRoot *root, const GArray *devices, const VpDeviceNode *node)
{
  g_auto (GStrv) all = vp_root_list (root, "sys/class/graphics");
  const VpPciDevice *device = vp_pci_find (devices, &node->device);

  if (device != NULL && device->boot_vga)
    return TRUE;
  for (guint i = 0; all[i] != NULL; i++) {
    VpPciAddress address = { 0 };
    const VpPciDevice *other = vp_console_find_device (root, all[i], &address) ? vp_pci_find (devices, &address) : NULL;
    if (other != NULL && other->boot_vga)
      return FALSE;
  }
  return strcmp (node->name, "fb0") == 0;
}

void
vp_device_users_read_console (const VpRoot *root, const GArray *devices, const GArray *nodes, GArray *uses)
{
  g_autofree char *console = vp_console_dup_framebuffer (root);

  for (guint i = 0; console != NULL && i < nodes->len; i++) {
    const VpDeviceNode *node = &g_array_index (nodes, VpDeviceNode, i);
    if (node->kind == VP_NODE_FRAMEBUFFER && node->path != NULL && is_console_node (root, devices, node))
      vp_device_use_add (uses, &node->device, VP_USE_CONSOLE, node->path, console, 0);
  }
}

/* Interface, destination, gateway, flags, three counters, mask. */
static gboolean
is_default_route (const char *line, const char *interface)
{
  g_auto (GStrv) words = g_strsplit (line, "\t", -1);

  if (g_strv_length (words) < 8 || strcmp (words[0], interface) != 0)
    return FALSE;
  guint64 flags = g_ascii_strtoull (words[3], NULL, 16);
  return strcmp (words[1], "00000000") == 0 && strcmp (words[7], "00000000") == 0 && (flags & ROUTE_UP) != 0 &&
         (flags & ROUTE_REJECT) == 0;
}

/* Destination, its length, source, its length, next hop, metric, two counters, flags, interface. */
static gboolean
is_default_route6 (const char *line, const char *interface)
{
  static const char start[] = "00000000000000000000000000000000 00 ";
  g_autoptr (GMatchInfo) match = NULL;

  if (!g_str_has_prefix (line, start) || !g_str_has_suffix (line, interface))
    return FALSE; /* most lines of a large table */
  g_autoptr (GRegex) form =
    g_regex_new ("^[0-9a-f]{32} [0-9a-f]{2} (?:[0-9a-f]+ ){4}([0-9a-f]{8}) +(\\S+)$", 0, 0, NULL);
  if (!g_regex_match (form, line + strlen (start), 0, &match))
    return FALSE;
  g_autofree char *flags_text = g_match_info_fetch (match, 1);
  g_autofree char *name = g_match_info_fetch (match, 2);
  guint64 flags = g_ascii_strtoull (flags_text, NULL, 16);
  return strcmp (name, interface) == 0 && (flags & ROUTE_UP) != 0 && (flags & ROUTE_REJECT) == 0;
}

static GStrv
read_lines (const VpRoot *root, const char *path)
{
  gsize length = 0;
  g_autofree char *text = vp_root_dup_bytes (root, path, MAX_ROUTES, &length);

  return g_strsplit (text != NULL && g_utf8_validate (text, -1, NULL) ? text : "", "\n", -1);
}

/* A service may have a network namespace of its own, so the host's is that of the first process. */
static GStrv
read_routes (const VpRoot *root, const char *name)
{
  g_autofree char *first = g_build_filename ("proc/1/net", name, NULL);
  g_autofree char *own = g_build_filename ("proc/net", name, NULL);
  GStrv lines = read_lines (root, first);

  if (lines[0] != NULL && lines[0][0] != '\0')
    return lines;
  g_strfreev (lines);
  return read_lines (root, own);
}

static gboolean
carries_default_route (const VpRoot *root, const char *interface)
{
  g_auto (GStrv) lines = read_routes (root, "route");
  g_auto (GStrv) lines6 = read_routes (root, "ipv6_route");

  for (guint i = 0; lines[i] != NULL; i++)
    if (is_default_route (lines[i], interface))
      return TRUE;
  for (guint i = 0; lines6[i] != NULL; i++)
    if (is_default_route6 (lines6[i], interface))
      return TRUE;
  return FALSE;
}

/* Bridges, bonds and VLANs that stand on it: a host's route mostly leads over br0, not eth0. */
static GPtrArray *
read_uppers (const VpRoot *root, const char *interface)
{
  GPtrArray *found = g_ptr_array_new_with_free_func (g_free);

  g_ptr_array_add (found, g_strdup (interface));
  for (guint i = 0; i < found->len && found->len < MAX_UPPERS; i++) {
    g_autofree char *folder = g_strdup_printf ("sys/class/net/%s", (const char *) found->pdata[i]);
    g_auto (GStrv) names = vp_root_list (root, folder);
    for (guint j = 0; names[j] != NULL && found->len < MAX_UPPERS; j++) {
      const char *upper = g_str_has_prefix (names[j], "upper_") ? names[j] + strlen ("upper_") : NULL;
      if (upper != NULL && !g_ptr_array_find_with_equal_func (found, upper, g_str_equal, NULL))
        g_ptr_array_add (found, g_strdup (upper));
    }
  }
  return found;
}

void
vp_device_users_read_routes (const VpRoot *root, const GArray *nodes, GArray *uses)
{
  for (guint i = 0; i < nodes->len; i++) {
    const VpDeviceNode *node = &g_array_index (nodes, VpDeviceNode, i);
    if (node->kind != VP_NODE_NET)
      continue;
    g_autoptr (GPtrArray) uppers = read_uppers (root, node->name);
    for (guint j = 0; j < uppers->len; j++)
      if (carries_default_route (root, uppers->pdata[j]))
        vp_device_use_add (uses, &node->device, VP_USE_ROUTE, node->name, uppers->pdata[j], 0);
  }
}

typedef struct {
  VpPciAddress device;
  const char *path;  /* borrowed */
  const char *words; /* borrowed */
  dev_t number;
  mode_t type;
  VpDeviceUseKind kind;
} Watched;

typedef struct {
  const VpRoot *root;
  GArray *watched; /* of Watched */
  GArray *uses;
  const char *pid; /* of the process that is being looked at */
} Scan;

static gboolean
is_wanted (const GArray *wanted, const VpPciAddress *address)
{
  for (guint i = 0; i < wanted->len; i++)
    if (vp_pci_address_equal (&g_array_index (wanted, VpPciAddress, i), address))
      return TRUE;
  return FALSE;
}

static GArray *
select_watched (const GArray *wanted, const GArray *nodes, const GArray *layers)
{
  GArray *watched = g_array_new (FALSE, FALSE, sizeof (Watched));

  for (guint i = 0; i < nodes->len; i++) {
    const VpDeviceNode *node = &g_array_index (nodes, VpDeviceNode, i);
    VpDeviceUseKind kind = node->kind == VP_NODE_SOUND ? VP_USE_SOUND : VP_USE_PROCESS;
    Watched watch = { node->device, node->path, node->path, node->number, S_IFCHR, kind };
    if (node->path != NULL && node->kind != VP_NODE_BLOCK && is_wanted (wanted, &node->device))
      g_array_append_val (watched, watch);
  }
  for (guint i = 0; i < layers->len; i++) {
    const VpDeviceLayer *layer = &g_array_index (layers, VpDeviceLayer, i);
    Watched watch = { layer->device, layer->path, layer->words, layer->number, S_IFBLK, VP_USE_PROCESS };
    if (layer->path != NULL && is_wanted (wanted, &layer->device))
      g_array_append_val (watched, watch);
  }
  return watched;
}

static char *
dup_process_name (const VpRoot *root, const char *pid)
{
  g_autofree char *file = g_strdup_printf ("proc/%s/comm", pid);
  g_autofree char *name = vp_root_dup_text (root, file);

  return name != NULL && name[0] != '\0' ? g_strndup (name, MAX_NAME_LENGTH) : g_strdup ("a process");
}

/*
 * proc/PID/cgroup: "0::/user.slice/user-1000.slice/session-3.scope". Slices hold units; what is below a unit is its own.
 * NULL: it is in none.
 */
static char *
dup_unit (const VpRoot *root, const char *pid)
{
  g_autofree char *file = g_strdup_printf ("proc/%s/cgroup", pid);
  g_autofree char *text = vp_root_dup_text (root, file);
  g_autoptr (GMatchInfo) match = NULL;
  g_autoptr (GRegex) form =
    g_regex_new ("^(?:0::|[0-9]+:name=systemd:)(?:/[^/\n]+\\.slice)*/([^/\n]+\\.(?:service|scope))"
                 "(?:/|$)",
                 G_REGEX_MULTILINE | G_REGEX_RAW, 0, NULL);

  if (text == NULL || !g_regex_match (form, text, 0, &match))
    return NULL;
  g_autofree char *unit = g_match_info_fetch (match, 1);
  return g_utf8_validate (unit, -1, NULL) ? g_steal_pointer (&unit) : NULL;
}

/* By number where the kernel says it, for names can be others in a container; by name in a recorded tree. */
static gboolean
on_open_file (const char *name, const char *target, const struct stat *open, gpointer data)
{
  const Scan *scan = data;

  (void) name;
  if (!g_str_has_prefix (target, "/dev/"))
    return TRUE;
  for (guint i = 0; i < scan->watched->len; i++) {
    const Watched *watch = &g_array_index (scan->watched, Watched, i);
    gboolean is = open != NULL ? (open->st_mode & S_IFMT) == watch->type && open->st_rdev == watch->number
                               : strcmp (watch->path, target) == 0;
    if (is) {
      g_autofree char *process = dup_process_name (scan->root, scan->pid);
      VpDeviceUse *use = vp_device_use_add (scan->uses, &watch->device, watch->kind, watch->words, process,
                                            (int) g_ascii_strtoull (scan->pid, NULL, 10));
      if (use->unit == NULL)
        use->unit = dup_unit (scan->root, scan->pid);
    }
  }
  return TRUE;
}

gboolean
vp_device_users_read_processes (const VpRoot *root, const GArray *wanted, const GArray *nodes, const GArray *layers,
                                guint limit_ms, GArray *uses)
{
  g_autoptr (GArray) watched = select_watched (wanted, nodes, layers);
  gint64 end = g_get_monotonic_time () + (gint64) limit_ms * 1000;

  if (watched->len == 0)
    return TRUE;
  g_auto (GStrv) names = vp_root_list (root, "proc");
  Scan scan = { root, watched, uses, NULL };
  for (guint i = 0; names[i] != NULL; i++) {
    if (!g_ascii_isdigit (names[i][0]) || strlen (names[i]) > MAX_PID_DIGITS)
      continue;
    if (g_get_monotonic_time () >= end)
      return FALSE;
    g_autofree char *folder = g_strdup_printf ("proc/%s/fd", names[i]);
    scan.pid = names[i];
    vp_root_each_link (root, folder, on_open_file, &scan);
  }
  return TRUE;
}
