/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* set and unset: the tag, and the definition that goes with it. Where planning fails nothing is changed. */
#include "base/error.h"
#include "cli/base/command.h"
#include "cli/base/output.h"
#include "cli/base/source.h"
#include "cli/plan/plan-view.h"
#include "cli/plan/tag-edit.h"
#include "cli/plan/tag-write.h"
#include "devices/device-ids.h"
#include "domain/vcpu-request.h"

typedef struct {
  const VpInput *input; /* all of this is borrowed */
  virDomainPtr domain;
  const char *names;       /* NULL: the tag goes, or stays where a number of vCPUs is asked for */
  const GArray *overrides; /* NULL with the names */
  guint vcpus;             /* 0: as many as before */
} Edit;

static gboolean
takes_tag (const Edit *edit)
{
  return edit->names == NULL && edit->vcpus == 0;
}

/* A rule would put its tag back within milliseconds. Where the domain's own tag goes, that is what shall come. */
static gboolean
check_rule (const VpPlan *plan, const VpDomain *base, GError **error)
{
  g_autofree char *present = vp_domain_dup_tag_rule (base);

  if (plan->rule == NULL || (vp_domain_tag (base) != NULL && present == NULL))
    return TRUE;
  const VpChange *change = plan->changes->pdata[0]; /* the tag: it was taken out before */
  g_set_error (error, VP_ERROR, VP_ERROR_TAG,
               "its '%s' is not a tag of its own (%s), and would come back at once; to leave it without profiles, "
               "write " VP_HASHTAG VP_HASHTAG_NONE " into its description (virsh desc), or turn the rule off: "
               "vfio-profile rules --disable %s",
               plan->profile, change->reason, plan->rule);
  return FALSE;
}

static gboolean
check_vcpus (const Edit *edit, const VpDomain *base, GError **error)
{
  if (edit->vcpus == 0 || edit->names != NULL || vp_domain_tag (base) != NULL)
    return TRUE;
  g_set_error (error, VP_ERROR, VP_ERROR_TAG,
               "domain '%s': it has no profile, so no topology of ours is in the way: 'virsh setvcpus %s %u --maximum "
               "--config', or name a PROFILE too",
               virDomainGetName (edit->domain), virDomainGetName (edit->domain), edit->vcpus);
  return FALSE;
}

/* One that is the domain's own stays, and libvirt takes no other number beside it. */
static gboolean
check_topology (const Edit *edit, const VpPlan *plan, GError **error)
{
  guint shown = vp_vcpu_request_topology (plan->result);

  if (edit->vcpus == 0 || shown == 0 || shown == edit->vcpus)
    return TRUE;
  g_set_error (error, VP_ERROR, VP_ERROR_XML,
               "its own <topology> is for %u vCPUs, not for %u: change both with 'virsh edit', or set "
               "cpu.topology=match, which makes one that fits",
               shown, edit->vcpus);
  return FALSE;
}

static VpDomain *
dup_tagged (const Edit *edit, const VpDomain *base)
{
  VpDomain *tagged = vp_domain_copy (base);

  if (edit->names != NULL || takes_tag (edit))
    vp_domain_set_tag (tagged, edit->names);
  if (edit->names != NULL)
    vp_overrides_apply (edit->overrides, tagged);
  if (edit->vcpus != 0)
    vp_vcpu_request_set (tagged, edit->vcpus);
  return tagged;
}

/* Than when the profile was set: who sets one means the devices that are there now. */
static gboolean
has_other_devices (const VpDomain *base, const VpHost *host)
{
  g_autoptr (GArray) before = vp_device_ids_read (base, NULL);
  g_autoptr (GArray) none = g_array_new (FALSE, FALSE, sizeof (VpDeviceIds));
  g_autoptr (GArray) now = vp_device_ids_plan (none, base, host);

  for (guint i = 0; before != NULL && i < before->len; i++) {
    const VpDeviceIds *old = &g_array_index (before, VpDeviceIds, i);
    const VpDeviceIds *new = vp_device_ids_find (now, &old->address);
    if (new == NULL || new->vendor != old->vendor || new->device != old->device)
      return TRUE;
  }
  return FALSE;
}

/* What is known of the devices goes with the tag alone, so that goes first. */
static gboolean
write_tag (const Edit *edit, const VpDomain *base, const VpDomain *tagged, gboolean forget, GError **error)
{
  g_autoptr (VpDomain) untagged = vp_domain_copy (base);

  vp_domain_set_tag (untagged, NULL);
  return (!forget || vp_tag_write (edit->input, edit->domain, base, untagged, error)) &&
         vp_tag_write (edit->input, edit->domain, base, tagged, error);
}

static void
print_outcome (const Edit *edit, const VpPlan *plan, gboolean changed)
{
  const char *name = virDomainGetName (edit->domain);
  const char *running =
    changed && virDomainIsActive (edit->domain) == 1 ? "; it is running, and this holds from its next start on" : "";
  const char *summary = plan->placement != NULL ? plan->placement->summary : NULL;
  guint n = plan->changes->len;

  if (takes_tag (edit) && !changed)
    vp_output_line (VP_STYLE_PLAIN, "domain '%s': it has no tag, nothing to do", name);
  else if (takes_tag (edit) && plan->rule != NULL)
    vp_output_line (VP_STYLE_PLAIN, "domain '%s': no tag of its own any more: rule '%s' gives it '%s'%s", name,
                    plan->rule, plan->profile, running);
  else if (takes_tag (edit))
    vp_output_line (VP_STYLE_PLAIN, "domain '%s': no tag any more, %u change%s undone%s", name, n, n == 1 ? "" : "s",
                    running);
  else if (!changed)
    vp_output_line (VP_STYLE_PLAIN, "domain '%s': it is ready for '%s' already, nothing to do", name, plan->profile);
  else
    vp_output_line (VP_STYLE_PLAIN, "domain '%s': ready for '%s', %u change%s%s%s%s", name, plan->profile, n,
                    n == 1 ? "" : "s", summary != NULL ? ": " : "", summary != NULL ? summary : "", running);
  vp_plan_warn (plan);
}

/* libvirt says best why it takes no wrapper. */
static void
explain (const Edit *edit, const VpPlan *plan)
{
  g_autofree char *emulator = plan->wrapped != NULL ? vp_domain_dup_emulator (plan->result) : NULL;

  if (emulator != NULL)
    vp_libvirt_warm (edit->input->connection, emulator);
}

static gboolean
carry_out (const Edit *edit, const VpDomain *base, GError **error)
{
  const char *name = virDomainGetName (edit->domain);
  gboolean forget = edit->names != NULL && has_other_devices (base, edit->input->host);

  if (!check_vcpus (edit, base, error))
    return FALSE;
  g_autoptr (VpDomain) tagged = dup_tagged (edit, base);
  if (forget)
    vp_device_ids_forget (tagged);
  g_autoptr (VpPlan) plan = vp_input_plan (edit->input, tagged, error);
  if (plan == NULL || (takes_tag (edit) && !check_rule (plan, base, error)) || !check_topology (edit, plan, error)) {
    g_prefix_error (error, "domain '%s': nothing was changed: ", name);
    return FALSE;
  }
  gboolean changes = !vp_plan_is_ready (plan) || !vp_domain_equal (base, tagged);
  if (changes && !write_tag (edit, base, tagged, forget, error)) {
    explain (edit, plan);
    g_prefix_error (error, "domain '%s': not made ready, and its tag is as it was: ", name);
    return FALSE;
  }
  if (!changes && !vp_tag_resume (edit->input, edit->domain, tagged, error)) {
    g_prefix_error (error, "domain '%s': an edit that an earlier command overwrote is not put back yet: ", name);
    return FALSE;
  }
  print_outcome (edit, plan, changes);
  return TRUE;
}

static gboolean
check_persistent (virDomainPtr domain, GError **error)
{
  if (virDomainIsPersistent (domain) == 1)
    return TRUE;
  g_set_error (error, VP_ERROR, VP_ERROR_LIBVIRT,
               "domain '%s' is transient, so it has no definition that could be prepared: define it first, or put the "
               "output of 'vfio-profile rewrite' into 'virsh create'",
               virDomainGetName (domain));
  return FALSE;
}

static gboolean
edit_domain (const VpSource *source, const char *name, Edit *edit, GError **error)
{
  g_autoptr (VpInput) input = vp_input_new (source, TRUE, error);
  g_autoptr (virDomain) domain = input != NULL ? vp_source_find_domain (input->connection, name, error) : NULL;

  if (domain == NULL || !check_persistent (domain, error) || !vp_input_load (input, error))
    return FALSE;
  edit->input = input;
  edit->domain = domain;
  g_autoptr (VpDomain) base = vp_libvirt_read (domain, error);
  return base != NULL && carry_out (edit, base, error);
}

static gboolean
check_arguments (const VpCommand *command, int argc, int vcpus, GStrv options, GError **error)
{
  if (vcpus < 0 || vcpus > VP_VCPU_REQUEST_MAX)
    vp_command_set_usage (command, error, "--vcpus takes a number from 1 to %d", VP_VCPU_REQUEST_MAX);
  else if (argc < 3 && (vcpus == 0 || options != NULL))
    vp_command_set_usage (command, error, "a PROFILE is needed%s", options == NULL ? ", or --vcpus" : " for --option");
  else
    return TRUE;
  return FALSE;
}

static gboolean
run_set (const VpCommand *command, int argc, char **argv, GError **error)
{
  g_auto (VpSource) source = { 0 };
  g_auto (GStrv) options = NULL;
  int vcpus = 0;
  const GOptionEntry entries[] = {
    VP_SOURCE_ENTRY_CONNECT (&source),
    { "option", 'o', 0, G_OPTION_ARG_STRING_ARRAY, &options,
      "Override one key for this domain; an empty value takes the override out (repeatable)", "SECTION.KEY=VALUE" },
    { "vcpus", 'n', 0, G_OPTION_ARG_INT, &vcpus, "Give it so many vCPUs, and the topology and pins for them, at once",
      "N" },
    G_OPTION_ENTRY_NULL
  };
  const GOptionEntry *const groups[2] = { entries, NULL };
  gboolean version = FALSE;

  if (!vp_command_parse (command, groups, &argc, &argv, &version, error) || version)
    return version;
  if (!check_arguments (command, argc, vcpus, options, error))
    return FALSE;
  g_autoptr (GArray) overrides = vp_overrides_parse ((const char *const *) options, error);
  g_autofree char *names = argc > 2 ? g_strjoinv (" ", argv + 2) : NULL;
  Edit edit = { .names = names, .overrides = overrides, .vcpus = (guint) vcpus };
  return overrides != NULL && edit_domain (&source, argv[1], &edit, error);
}

static gboolean
run_unset (const VpCommand *command, int argc, char **argv, GError **error)
{
  g_auto (VpSource) source = { 0 };
  const GOptionEntry entries[] = { VP_SOURCE_ENTRY_CONNECT (&source), G_OPTION_ENTRY_NULL };
  const GOptionEntry *const groups[2] = { entries, NULL };
  gboolean version = FALSE;

  if (!vp_command_parse (command, groups, &argc, &argv, &version, error) || version)
    return version;
  Edit edit = { 0 };
  return edit_domain (&source, argv[1], &edit, error);
}

const VpCommand vp_command_set = {
  "set",
  "DOMAIN [PROFILE…]",
  "Give a domain its profiles, and make its definition ready",
  "Later profiles go over earlier ones. Overrides that the domain has stay. With --vcpus, PROFILE may be left out.",
  1,
  G_MAXINT,
  run_set,
};

const VpCommand vp_command_unset = {
  "unset", "DOMAIN", "Take a domain's profiles away, and put back what was there before", NULL, 1, 1, run_unset,
};
