/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A plan as text. The reasons are the plan's own; nothing is worked out here. */

#include "cli/base/output.h"
#include "cli/base/pins-view.h"
#include "cli/plan/diff.h"
#include "cli/plan/plan-view.h"

#define MASK "********"

static void
print_title (const VpPlan *plan)
{
  g_autofree char *count =
    plan->changes->len == 1 ? g_strdup ("1 change") : g_strdup_printf ("%u changes", plan->changes->len);
  g_autofree char *by = plan->rule != NULL ? g_strdup_printf (" (rule '%s')", plan->rule) : g_strdup ("");

  if (plan->profile == NULL && vp_plan_is_ready (plan))
    vp_output_line (VP_STYLE_HEAD, "domain '%s': no tag, nothing to do", plan->domain);
  else if (plan->profile == NULL)
    vp_output_line (VP_STYLE_HEAD, "domain '%s': no tag, the originals come back: %s", plan->domain, count);
  else if (vp_plan_is_ready (plan))
    vp_output_line (VP_STYLE_HEAD, "domain '%s': ready for '%s'%s", plan->domain, plan->profile, by);
  else
    vp_output_line (VP_STYLE_HEAD, "domain '%s': %s to make it ready for '%s'%s", plan->domain, count, plan->profile,
                    by);
}

/* The reasons of these stand with the pins, for the vCPUs that change and those that stay. */
static gboolean
is_told_below (const VpPlan *plan, const VpChange *change)
{
  return plan->placement != NULL && plan->placement->vcpus != NULL && change->to != NULL &&
         g_str_has_prefix (change->place, "cputune/vcpupin");
}

static void
print_changes (const VpPlan *plan)
{
  static const char *const heads[] = { "RULE", "PLACE", "FROM → TO", NULL };
  g_autoptr (VpTable) table = vp_table_new (heads);
  gboolean any_visible = FALSE;

  for (guint i = 0; i < plan->changes->len; i++) {
    const VpChange *change = plan->changes->pdata[i];
    g_autofree char *place = g_strconcat (change->place, change->guest_visible ? " *" : "", NULL);
    g_autofree char *values =
      g_strdup_printf ("%s → %s", change->from != NULL ? change->from : "-", change->to != NULL ? change->to : "-");
    vp_table_add (table, 1, VP_STYLE_PLACE, (const char *[]){ change->rule, place, values, NULL });
    if (!is_told_below (plan, change))
      vp_table_note (table, change->reason);
    any_visible = any_visible || change->guest_visible;
  }
  if (plan->changes->len == 0)
    return;
  g_print ("\n");
  vp_table_print (table);
  if (any_visible)
    vp_output_line (VP_STYLE_DIM, "* the guest sees this");
}

static void
print_pins (const VpPlan *plan)
{
  const VpPlacement *placement = plan->placement;
  g_autoptr (VpPins) pins = vp_pins_read (plan->result);
  g_autofree char *text = vp_pins_dup_text (pins);

  if (text == NULL && placement == NULL)
    return;
  g_print ("\n");
  vp_output_line (VP_STYLE_HEAD, "Pins: %s", text != NULL ? text : "none");
  for (guint i = 0; placement != NULL && placement->vcpus != NULL && placement->reasons[i] != NULL; i++)
    vp_output_line (VP_STYLE_PLAIN, "  vCPU %u → %s", placement->ids[i], placement->reasons[i]);
  if (placement != NULL && placement->summary != NULL)
    vp_output_line (VP_STYLE_PLAIN, "%s", placement->summary);
}

static void
print_memory (const VpPlan *plan)
{
  if (plan->page_kib == 0)
    return;
  g_autofree char *page = g_format_size_full (plan->page_kib * 1024, G_FORMAT_SIZE_IEC_UNITS);
  g_autofree char *all = g_format_size_full (plan->page_kib * 1024 * plan->pages, G_FORMAT_SIZE_IEC_UNITS);
  g_print ("\n");
  vp_output_line (VP_STYLE_PLAIN, "Memory: %" G_GUINT64_FORMAT " hugepages of %s, %s in all", plan->pages, page, all);
}

void
vp_plan_print (const VpPlan *plan)
{
  print_title (plan);
  print_changes (plan);
  print_pins (plan);
  print_memory (plan);
}

void
vp_plan_warn (const VpPlan *plan)
{
  for (guint i = 0; i < plan->warnings->len; i++)
    vp_output_warn ("domain '%s': %s", plan->domain, (const char *) plan->warnings->pdata[i]);
}

static void
mask_passwords (xmlNode *node)
{
  for (xmlNode *child = vp_xml_first (node); child != NULL; child = vp_xml_next (child)) {
    if (xmlHasProp (child, BAD_CAST "passwd") != NULL)
      xmlSetProp (child, BAD_CAST "passwd", BAD_CAST MASK);
    mask_passwords (child);
  }
}

static char *
dup_masked_text (const VpDomain *domain)
{
  g_autoptr (VpDomain) copy = vp_domain_copy (domain);

  mask_passwords (xmlDocGetRootElement (copy->doc));
  return vp_domain_dup_text (copy);
}

static VpStyle
style_of_line (const char *line)
{
  if (g_str_has_prefix (line, "--- ") || g_str_has_prefix (line, "+++ "))
    return VP_STYLE_HEAD;
  return line[0] == '-'   ? VP_STYLE_BAD
         : line[0] == '+' ? VP_STYLE_GOOD
         : line[0] == '@' ? VP_STYLE_PLACE
                          : VP_STYLE_PLAIN;
}

gboolean
vp_plan_print_diff (const VpPlan *plan, const VpDomain *before, const char *name, GError **error)
{
  g_autofree char *old = dup_masked_text (before);
  g_autofree char *new = dup_masked_text (plan->result);
  g_autofree char *clean = vp_output_dup_clean (name);
  g_autofree char *diff = vp_diff_dup_unified (old, new, clean);

  if (!vp_output_is_terminal ())
    return vp_output_write (diff, error);
  g_auto (GStrv) lines = g_strsplit (diff, "\n", -1);
  for (guint i = 0; lines[i] != NULL && (lines[i][0] != '\0' || lines[i + 1] != NULL); i++)
    vp_output_line (style_of_line (lines[i]), "%s", lines[i]);
  return TRUE;
}
