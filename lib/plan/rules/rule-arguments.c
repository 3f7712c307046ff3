/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * QEMU's arguments that the user gives it himself in <qemu:commandline>. They come behind libvirt's, and QEMU takes
 * what comes last: what is planned for the same part of the guest is then in the definition alone. Changes nothing.
 */

#include <string.h>

#include "domain/aliases.h"
#include "plan/rules/rule.h"

#define MAX_PLACES 4u

static const struct {
  const char *option;
  const char *lost;
  const char *places[MAX_PLACES]; /* what begins so goes to QEMU through the option */
} options[] = {
  { "cpu", "<cpu>, hidden KVM and Hyper-V", { "cpu/feature", "cpu/cache", "features/", "clock/" } },
  { "smp", "<vcpu> and <topology>", { "cpu/topology" } },
  { "machine", "the machine type and the options of it that it names", { NULL } },
  { "M", "the machine type and the options of it that it names", { NULL } },
  { "m", "<memory>", { "memoryBacking/hugepages", "cpu/numa" } },
  { "rtc", "<clock>, where it says otherwise", { NULL } },
};

static gboolean
goes_through (const VpWant *want, gsize option)
{
  for (guint i = 0; i < MAX_PLACES && options[option].places[i] != NULL; i++)
    if (g_str_has_prefix (want->place, options[option].places[i]))
      return TRUE;
  return FALSE;
}

static gboolean
has_option (const VpDomain *domain, const char *option)
{
  for (const xmlNode *node = vp_domain_first_of_qemu (domain, "commandline"); node != NULL; node = vp_xml_next (node))
    if (vp_argument_value (node, option) != NULL)
      return TRUE;
  return FALSE;
}

/* All Hyper-V features are one thing to a reader. */
static const char *
get_title (const char *place)
{
  return g_str_has_prefix (place, "features/hyperv/") ? "features/hyperv" : place;
}

static void
describe (const VpRuleContext *context, gsize option, GString *text)
{
  const char *before = ", of it what this profile wants at ";
  const char *last = "";

  g_string_append_printf (text, "%s-%s (%s", text->len > 0 ? "; " : "", options[option].option, options[option].lost);
  for (guint i = 0; i < context->wants->len; i++) {
    const VpWant *want = context->wants->pdata[i];
    const char *title = get_title (want->place);
    if (!goes_through (want, option) || strcmp (title, last) == 0)
      continue;
    g_string_append_printf (text, "%s%s", before, title);
    before = ", ";
    last = title;
  }
  g_string_append_c (text, ')');
}

static gboolean
plan_arguments (VpRuleContext *context, GError **error)
{
  g_autoptr (GString) text = g_string_new (NULL);

  (void) error;
  for (gsize i = 0; i < G_N_ELEMENTS (options); i++)
    if (has_option (context->original, options[i].option))
      describe (context, i, text);
  if (text->len > 0)
    vp_rule_warn (context,
                  "<qemu:commandline> has arguments of its own, which QEMU takes in place of libvirt's; in brackets "
                  "what has no effect through them: %s",
                  text->str);
  return TRUE;
}

static const VpRulePlace places[] = { { .place = NULL } };

const VpRule vp_rule_arguments = { "arguments", places, plan_arguments, NULL, NULL };
