/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Devices that the host itself uses. Unbinding a graphics driver while somebody has
 * its nodes open blocks in the kernel, and libvirtd with it; a disk or the way to the
 * network would be gone under the host.
 */
#include "devices/device-judge.h"

#include <string.h>

#define MAX_SHOWN 5

static void
add_once (GPtrArray *words, const char *word)
{
  if (!g_ptr_array_find_with_equal_func (words, word, g_str_equal, NULL))
    g_ptr_array_add (words, g_strdup (word));
}

static char *
dup_short_list (GPtrArray *words)
{
  if (words->len > MAX_SHOWN) {
    g_autofree char *rest = g_strdup_printf ("%u more", words->len - MAX_SHOWN);
    g_ptr_array_set_size (words, MAX_SHOWN);
    g_ptr_array_add (words, g_steal_pointer (&rest));
  }
  return vp_list_dup_words (words);
}

/* All uses of that kind, or with `node` those of one node: who they are, and of which nodes. */
static char *
dup_users (const VpDeviceFacts *facts, const VpPciAddress *device, VpDeviceUseKind kind, const char *node, char **nodes)
{
  g_autoptr (GPtrArray) users = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GPtrArray) used = g_ptr_array_new_with_free_func (g_free);

  for (guint i = 0; i < facts->uses->len; i++) {
    const VpDeviceUse *use = &g_array_index (facts->uses, VpDeviceUse, i);
    g_autofree char *word = use->pid > 0 ? g_strdup_printf ("%s (%d)", use->user, use->pid) : g_strdup (use->user);
    if (use->kind != kind || !vp_pci_address_equal (&use->device, device) ||
        (node != NULL && strcmp (use->node, node) != 0))
      continue;
    add_once (users, word);
    add_once (used, use->node);
  }
  gboolean several = users->len > 1;
  g_autofree char *list = dup_short_list (users);
  if (nodes != NULL)
    *nodes = dup_short_list (used);
  return kind == VP_USE_PROCESS && list[0] != '\0' ? g_strconcat (list, several ? " have" : " has", NULL)
                                                   : g_steal_pointer (&list);
}

static void
add_mounts (const VpDeviceFacts *facts, const VpPciAddress *device, GPtrArray *parts)
{
  g_autoptr (GPtrArray) seen = g_ptr_array_new ();

  for (guint i = 0; i < facts->uses->len; i++) {
    const VpDeviceUse *use = &g_array_index (facts->uses, VpDeviceUse, i);
    if (use->kind != VP_USE_MOUNT || !vp_pci_address_equal (&use->device, device) ||
        g_ptr_array_find_with_equal_func (seen, use->node, g_str_equal, NULL))
      continue;
    g_autofree char *points = dup_users (facts, device, VP_USE_MOUNT, use->node, NULL);
    g_ptr_array_add (seen, use->node);
    g_ptr_array_add (parts, g_strdup_printf ("%s is mounted on %s", use->node, points));
  }
}

static void
add_storage (const VpDeviceFacts *facts, const VpPciAddress *device, GPtrArray *parts)
{
  g_autofree char *swaps = NULL;
  g_autofree char *unused = dup_users (facts, device, VP_USE_SWAP, NULL, &swaps);

  add_mounts (facts, device, parts);
  if (swaps[0] != '\0')
    g_ptr_array_add (parts, g_strdup_printf ("swap space is on %s", swaps));
}

static void
add_routes (const VpDeviceFacts *facts, const VpPciAddress *device, GPtrArray *parts)
{
  for (guint i = 0; i < facts->uses->len; i++) {
    const VpDeviceUse *use = &g_array_index (facts->uses, VpDeviceUse, i);
    if (use->kind == VP_USE_ROUTE && vp_pci_address_equal (&use->device, device))
      g_ptr_array_add (parts, strcmp (use->node, use->user) == 0
                                ? g_strdup_printf ("the default route leads over %s", use->user)
                                : g_strdup_printf ("the default route leads over %s, which stands on %s", use->user,
                                                   use->node));
  }
}

static void
add_processes (const VpDeviceFacts *facts, const VpPciAddress *device, GPtrArray *parts)
{
  g_autofree char *nodes = NULL;
  g_autofree char *users = dup_users (facts, device, VP_USE_PROCESS, NULL, &nodes);

  if (users[0] != '\0')
    g_ptr_array_add (parts, g_strdup_printf ("%s %s open", users, nodes));
}

static void
report (VpDeviceJudge *judge, const VpPciDevice *device, const GPtrArray *parts, const char *advice)
{
  g_autofree char *name = vp_device_describe (judge, device);
  g_autofree char *list = vp_list_dup_words (parts);

  vp_device_report (judge, VP_DEVICE_REFUSE, &device->address, "the host is using %s: %s: %s", name, list, advice);
}

/* NULL: what draws on it is a driver's. */
static const char *
find_firmware (const VpDeviceFacts *facts, const VpPciAddress *device)
{
  for (guint i = 0; facts->nodes != NULL && i < facts->nodes->len; i++) {
    const VpDeviceNode *node = &g_array_index (facts->nodes, VpDeviceNode, i);
    if (node->firmware != NULL && vp_pci_address_equal (&node->device, device))
      return node->firmware;
  }
  return NULL;
}

static gboolean
will_leave (const VpDeviceQuestion *question, const VpDeviceUse *use)
{
  const VpHandoverWishes *wishes = question->handover;

  if (wishes == NULL || (use->kind != VP_USE_PROCESS && use->kind != VP_USE_SOUND && use->kind != VP_USE_CONSOLE))
    return use->kind == VP_USE_SOUND; /* its servers open every card, and let go of one that leaves */
  if (use->kind == VP_USE_CONSOLE)
    return wishes->firmware_console || find_firmware (question->facts, &use->device) == NULL;
  return vp_handover_covers (wishes, question->facts, question->sessions, use, NULL);
}

/* Of VpDeviceUse, borrowing from the facts: those that nobody asks to leave. */
static GArray *
select_staying (const VpDeviceQuestion *question)
{
  GArray *staying = g_array_new (FALSE, FALSE, sizeof (VpDeviceUse));

  for (guint i = 0; i < question->facts->uses->len; i++) {
    VpDeviceUse use = g_array_index (question->facts->uses, VpDeviceUse, i);
    if (will_leave (question, &use))
      continue;
    if (use.kind == VP_USE_SOUND)
      use.kind = VP_USE_PROCESS;
    g_array_append_val (staying, use);
  }
  return staying;
}

static void
add_console_words (const VpDeviceFacts *facts, const VpPciDevice *device, const char *console, GPtrArray *parts,
                   GPtrArray *ways)
{
  const char *firmware = find_firmware (facts, &device->address);

  if (firmware != NULL) {
    g_ptr_array_add (parts, g_strdup_printf ("it shows the host's text console through the firmware's frame buffer "
                                             "(%s), which nothing brings back before the next boot",
                                             firmware));
    g_ptr_array_add (ways, g_strdup ("let the console go with devices.handover and devices.handover-firmware-console"));
    return;
  }
  g_ptr_array_add (parts, g_strdup ("it shows the host's text console"));
  g_ptr_array_add (ways, g_strdup_printf ("take the console off it with 'echo 0 > %s/bind'", console));
}

/* For whoever is to name it in the profile. */
static void
add_units (const VpDeviceFacts *facts, const VpPciAddress *device, GPtrArray *parts)
{
  for (guint i = 0; i < facts->uses->len && i < MAX_SHOWN; i++) {
    const VpDeviceUse *use = &g_array_index (facts->uses, VpDeviceUse, i);
    if (use->kind != VP_USE_PROCESS || !vp_pci_address_equal (&use->device, device))
      continue;
    g_autofree char *unit = g_strescape (use->unit != NULL ? use->unit : "no unit of systemd's", NULL);
    g_autofree char *words = g_strdup_printf ("%s (%d) runs in %s", use->user, use->pid, unit);
    add_once (parts, words);
  }
}

static void
report_display (VpDeviceJudge *judge, const VpPciDevice *device, const VpDeviceFacts *facts)
{
  const char *help = judge->question->handover != NULL
                       ? "or let devices.handover-units or devices.handover-sessions have them stopped"
                       : "or let them step back with devices.handover";
  g_autoptr (GPtrArray) parts = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GPtrArray) ways = g_ptr_array_new_with_free_func (g_free);
  g_autofree char *console = dup_users (facts, &device->address, VP_USE_CONSOLE, NULL, NULL);

  add_processes (facts, &device->address, parts);
  if (parts->len > 0)
    g_ptr_array_add (ways, g_strdup_printf ("taking it from %s would hang libvirt, so stop who has it open, %s",
                                            device->driver != NULL ? device->driver : "its driver", help));
  if (judge->question->handover != NULL)
    add_units (facts, &device->address, parts);
  if (console[0] != '\0')
    add_console_words (facts, device, console, parts, ways);
  if (judge->question->refuse_boot_vga && device->boot_vga && device->driver != NULL) {
    g_ptr_array_add (parts, g_strdup ("it is the display that the host started on, and devices.boot-vga is refuse"));
    g_ptr_array_add (ways, g_strdup ("set devices.boot-vga to allow or let the firmware start on another display"));
  }
  g_autofree char *list = vp_list_dup_words (ways);
  g_autofree char *address = vp_pci_address_dup_text (&device->address);
  g_autofree char *whole =
    g_strdup_printf ("%s; or keep the card on vfio-pci from boot on with 'vfio-profile sequester %s'", list, address);
  if (parts->len > 0)
    report (judge, device, parts, whole);
}

static void
report_sound (VpDeviceJudge *judge, const VpPciDevice *device, const VpDeviceFacts *facts)
{
  g_autoptr (GPtrArray) parts = g_ptr_array_new_with_free_func (g_free);

  add_processes (facts, &device->address, parts);
  if (parts->len > 0)
    report (judge, device, parts, "taking it from its driver would hang libvirt, so stop who has it open");
}

gboolean
vp_device_judge_use (VpDeviceJudge *judge, const VpHostdev *hostdev, const VpPciDevice *device)
{
  VpDeviceFacts facts = *judge->question->facts;
  g_autoptr (GPtrArray) parts = g_ptr_array_new_with_free_func (g_free);
  guint before = judge->findings->len;
  gboolean is_display = vp_pci_is_display (device);

  if (!vp_pci_has_host_driver (device) &&
      !(is_display && device->driver == NULL && find_firmware (&facts, &device->address) != NULL))
    return FALSE;
  g_autoptr (GArray) staying = select_staying (judge->question);
  facts.uses = staying;
  if (is_display || device->class_code >> 8 == VP_PCI_CLASS_AUDIO) {
    if (hostdev->managed)
      is_display ? report_display (judge, device, &facts) : report_sound (judge, device, &facts);
    return judge->findings->len > before;
  }
  add_storage (&facts, &device->address, parts);
  gboolean is_storage = parts->len > 0;
  add_routes (&facts, &device->address, parts);
  gboolean is_route = !is_storage && parts->len > 0;
  add_processes (&facts, &device->address, parts);
  if (parts->len == 0)
    return FALSE;
  report (judge, device, parts,
          is_route ? "the host would lose its network: lead the route over another interface, or assign another device"
                   : "the host would lose that data: unmount or stop what uses it, or assign another device");
  return TRUE;
}
