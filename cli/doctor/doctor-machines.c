/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Check of the guests' machine types: QEMU drops old ones, and a definition names its own for ever. */
#include <string.h>

#include "cli/doctor/doctor.h"

/* The <arch> of libvirt's capabilities whose emulator is that; NULL: none. */
static const xmlNode *
find_arch (const xmlNode *capabilities, const char *name, const char *emulator)
{
  for (const xmlNode *guest = vp_xml_first (capabilities); guest != NULL; guest = vp_xml_next (guest)) {
    const xmlNode *arch = vp_xml_is (guest, "guest") ? vp_xml_child (guest, "arch") : NULL;
    const xmlNode *path = arch != NULL ? vp_xml_child (arch, "emulator") : NULL;
    g_autofree char *text = path != NULL ? vp_xml_dup_content (path) : NULL;
    if (text != NULL && vp_xml_attr_is (arch, "name", name) && strcmp (text, emulator) == 0)
      return arch;
  }
  return NULL;
}

static const xmlNode *
find_machine (const xmlNode *arch, const char *name)
{
  for (const xmlNode *node = vp_xml_first (arch); node != NULL; node = vp_xml_next (node)) {
    g_autofree char *text = vp_xml_is (node, "machine") ? vp_xml_dup_content (node) : NULL;
    const xmlNode *below = vp_xml_is (node, "domain") ? find_machine (node, name) : NULL;
    if (below != NULL)
      return below;
    if (g_strcmp0 (text, name) == 0)
      return node;
  }
  return NULL;
}

/* What takes its place, "pc-i440fx-7.2"; the caller's. */
static char *
dup_successor (const xmlNode *arch, const char *machine)
{
  const char *alias = g_str_has_prefix (machine, "pc-q35") ? "q35" : g_str_has_prefix (machine, "pc-") ? "pc" : "virt";
  const xmlNode *node = find_machine (arch, alias);
  g_autofree char *name = node != NULL ? vp_xml_dup_attr (node, "canonical") : NULL;

  return name != NULL ? g_steal_pointer (&name) : g_strdup ("one that 'virsh capabilities' lists");
}

/* TRUE: something was said of it. */
static gboolean
judge_guest (VpDoctor *doctor, const VpDoctorGuest *guest, const xmlNode *capabilities)
{
  g_autofree char *path = vp_domain_dup_emulator (guest->domain);
  g_autofree char *arch_name = vp_domain_dup_arch (guest->domain);
  g_autofree char *machine = vp_xml_dup_place_value (guest->domain->doc, "os/type/@machine");
  const char *wrapped =
    path != NULL && doctor->guests->host != NULL ? vp_host_wrapped_emulator (doctor->guests->host, path) : NULL;
  const xmlNode *arch =
    path != NULL && arch_name != NULL ? find_arch (capabilities, arch_name, wrapped != NULL ? wrapped : path) : NULL;

  if (arch == NULL || machine == NULL)
    return FALSE; /* an emulator of the user's own */
  const xmlNode *node = find_machine (arch, machine);
  if (node != NULL && !vp_xml_attr_is (node, "deprecated", "yes"))
    return FALSE;
  g_autofree char *successor = dup_successor (arch, machine);
  g_autofree char *advice =
    g_strdup_printf ("put %s in its place in <os> with 'virsh edit %s'; to Windows that is new hardware", successor,
                     guest->name);
  if (node != NULL)
    vp_doctor_warn (doctor, advice, "'%s' has machine type %s, which QEMU is about to drop", guest->name, machine);
  else
    vp_doctor_say (doctor, guest->tagged ? VP_CHECK_FAIL : VP_CHECK_WARN, advice,
                   "'%s' has machine type %s, which this QEMU no longer has: it cannot start", guest->name, machine);
  return TRUE;
}

static void
check_machines (VpDoctor *doctor)
{
  virConnectPtr connection = doctor->guests->connection;
  g_autofree char *text =
    connection != NULL && doctor->guests->all->len > 0 ? virConnectGetCapabilities (connection) : NULL;
  g_autoptr (xmlDoc) doc = text != NULL ? vp_xml_parse (text, strlen (text), "libvirt's capabilities", NULL) : NULL;
  guint said = 0;

  if (doc == NULL)
    return;
  for (guint i = 0; i < doctor->guests->all->len; i++) {
    const VpDoctorGuest *guest = doctor->guests->all->pdata[i];
    if (guest->domain != NULL && judge_guest (doctor, guest, xmlDocGetRootElement (doc)))
      said++;
  }
  if (said == 0)
    vp_doctor_ok (doctor, "QEMU has those of all guests");
}

const VpCheck vp_doctor_machine_checks[] = {
  { "guests.machines", "machine types", check_machines },
  { NULL, NULL, NULL },
};
