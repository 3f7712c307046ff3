/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The topology that the guest is shown: that of the host CPUs its vCPUs are on, so
 * that its scheduler knows which of them are threads of one core and which share an
 * L3. Guest-visible. A topology that the user wrote stays his, and gets what its threads need.
 */

#include "plan/rules/rule.h"

#define LIBVIRT_CLUSTERS 10001000ul /* from there on it adds the attribute itself */

static xmlNode *
new_topology (const VpRuleContext *context, const VpPlacement *placement)
{
  g_autofree char *arch = vp_domain_dup_arch (context->original);
  gboolean has_dies = g_strcmp0 (arch, "x86_64") == 0 || g_strcmp0 (arch, "i686") == 0;
  g_autofree char *sockets = g_strdup_printf ("%u", placement->sockets);
  g_autofree char *dies = g_strdup_printf ("%u", has_dies ? placement->dies : 1);
  g_autofree char *cores = g_strdup_printf ("%u", placement->cores * (has_dies ? 1 : placement->dies));
  g_autofree char *threads = g_strdup_printf ("%u", placement->threads);
  xmlNode *topology = vp_xml_new ("topology", "sockets", sockets, "dies", dies, NULL);

  if (context->host->libvirt_version >= LIBVIRT_CLUSTERS)
    xmlNewProp (topology, BAD_CAST "clusters", BAD_CAST "1");
  xmlNewProp (topology, BAD_CAST "cores", BAD_CAST cores);
  xmlNewProp (topology, BAD_CAST "threads", BAD_CAST threads);
  return topology;
}

/*
 * Without topoext QEMU hides threads from guests on AMD's parts, whoever asked for them. Host models take the
 * feature; without KVM there is none, and libvirt starts no guest that requires it.
 */
static void
want_threads (VpRuleContext *context, const xmlNode *cpu, guint threads)
{
  const xmlNode *own = vp_xml_find (context->original->doc, "cpu/feature[@name='topoext']");
  gboolean is_host = vp_xml_attr_is (cpu, "mode", "host-passthrough") || vp_xml_attr_is (cpu, "mode", "host-model") ||
                     vp_xml_attr_is (cpu, "mode", "maximum");

  if (!context->host->topology->amd || !is_host || threads < 2 ||
      !vp_xml_attr_is (vp_domain_root (context->original), "type", "kvm"))
    return;
  if (own == NULL)
    vp_rule_want (context, &vp_rule_topology, VP_GUEST_VISIBLE, g_strdup ("cpu/feature[@name='topoext']"),
                  vp_xml_new ("feature", "policy", "require", "name", "topoext", NULL),
                  "AMD's CPUs show threads only with it");
  else if (vp_xml_attr_is (own, "policy", "disable") || vp_xml_attr_is (own, "policy", "forbid"))
    vp_rule_warn (context,
                  "the topology has %u threads a core, and the guest does not see them: the domain disables topoext, "
                  "without which QEMU shows no threads on AMD's CPUs; remove that <feature> from <cpu>, or set "
                  "threads='1'",
                  threads);
}

static void
want_cache (VpRuleContext *context, const xmlNode *cpu)
{
  const xmlNode *cache = vp_xml_child (cpu, "cache");
  guint run = context->plan->placement->l3_run;

  if (!vp_xml_attr_is (cpu, "mode", "host-passthrough"))
    return;
  if (cache == NULL)
    vp_rule_want (context, &vp_rule_topology, VP_GUEST_VISIBLE, g_strdup ("cpu/cache"),
                  vp_xml_new ("cache", "mode", "passthrough", NULL),
                  run == 0 ? "the guest sees which of its CPUs share a cache"
                           : "the guest sees the host's caches, but not which of its CPUs share an L3");
  if (run != 0 && (cache == NULL || vp_xml_attr_is (cache, "mode", "passthrough")))
    vp_rule_warn (context,
                  "the guest will be wrong about which of its CPUs share an L3: from the host's cache it computes "
                  "runs of %u vCPUs, and they are on other numbers of the host's",
                  run);
}

static gboolean
plan_topology (VpRuleContext *context, GError **error)
{
  const VpPlacement *placement = context->plan->placement;
  const xmlNode *cpu = vp_xml_find (context->original->doc, "cpu");

  (void) error;
  if (placement == NULL)
    return TRUE;
  gboolean matched = placement->level != VP_LEVEL_UNPINNED && placement->threads != 0;
  if (matched)
    vp_rule_want (context, &vp_rule_topology, VP_GUEST_VISIBLE, g_strdup ("cpu/topology"),
                  new_topology (context, placement), "the guest's cores and threads are those of its host CPUs");
  if (cpu != NULL)
    want_threads (context, cpu, matched ? placement->threads : vp_domain_threads (context->original));
  if (cpu != NULL && matched)
    want_cache (context, cpu);
  return TRUE;
}

#define TOPOLOGY "topology(?:/@(?:sockets|dies|clusters|cores|threads)=[0-9]{1,9})?"
#define FEATURE "feature(?:/@(?:name|policy)=[a-z0-9]{1,20})?"

static const VpRulePlace places[] = {
  { .place = "cpu/topology", VP_GUEST_VISIBLE, TOPOLOGY, TOPOLOGY },
  { .place = "cpu/feature\\[@name='topoext'\\]", VP_GUEST_VISIBLE, FEATURE, FEATURE },
  { .place = "cpu/cache", VP_GUEST_VISIBLE, NULL, "cache(?:/@mode=passthrough)?" },
  { .place = NULL },
};

const VpRule vp_rule_topology = { "topology", places, plan_topology, NULL, NULL };
