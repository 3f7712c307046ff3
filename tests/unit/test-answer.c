/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the hook is answered, for each operation and with each refusal, over a host that is a
 * tree of files: four cores of two threads (0 and 4, 1 and 5, …), of which the first is the
 * host's. A guest's name is the first letter of its UUID.
 */
#include <glib/gstdio.h>
#include <string.h>

#include "daemon/gate/answer.h"
#include "domain/pins.h"
#include "made-claim.h"
#include "made-tree.h"
#include "sim-book.h"
#include "support.h"

#define TOPOLOGY "pack:1 [numa(memory=34359738368)] l3:1(size=8388608) core:4 pu:2(indexes=2*4:4*1)"
#define EDITED "it was edited and is not prepared for 'pinned' yet "
#define NOBODY "(nobody)"
#define CARD                                                                                                           \
  "<devices><hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0' bus='1' "                   \
  "slot='0' function='0'/></source></hostdev></devices>"

typedef struct {
  Sim *sim;
  MadeTree tree; /* the same folder, for what made-tree.h makes */
  VpHost *host;
  VpProfiles *profiles;
  VpLedger *ledger;
  VpAdmission *admission;
  VpGateContext context;
  char *config_folder;
  GString *asked; /* of the keeper: "prepare a, start b, tune c" */
  guint waited;   /* seconds, that the hook was told of last */
} Fixture;

static void
on_request (const char *domain, VpAfter after, gpointer data)
{
  static const char *const names[] = {
    [VP_AFTER_PREPARE] = "prepare", [VP_AFTER_PREPARE_AND_START] = "start", [VP_AFTER_TUNE_LIVE] = "tune"
  };
  GString *asked = ((Fixture *) data)->asked;

  g_string_append_printf (asked, "%s%s %s", asked->len > 0 ? ", " : "", names[after], domain);
}

static void
on_wait (guint seconds, gpointer data)
{
  ((Fixture *) data)->waited = seconds;
}

/* As the daemon reads it, once more after the tree or the profiles changed. */
static void
load_host (Fixture *fixture)
{
  g_autofree char *profiles = g_test_build_filename (G_TEST_DIST, "..", "..", "data", "profiles", NULL);
  g_autofree char *own = g_build_filename (fixture->sim->path, "profiles.d", NULL);
  g_autofree char *rules = g_build_filename (fixture->sim->path, "rules.d", NULL);
  const char *profile_folders[] = { profiles, own, NULL };
  const char *rule_folders[] = { rules, NULL };
  g_autoptr (GError) error = NULL;
  VpHostSource source = { fixture->sim->root, vp_topology_load_description (TOPOLOGY, &error), TEST_WRAPPERS, 9000000 };

  g_assert_no_error (error);
  fixture->host = vp_host_load (&source, &error);
  g_assert_no_error (error);
  fixture->profiles = vp_profiles_load (profile_folders, &error);
  g_assert_no_error (error);
  vp_profiles_load_rules (fixture->profiles, rule_folders, &error);
  g_assert_no_error (error);
  vp_ledger_set (fixture->ledger, fixture->host, fixture->profiles);
}

static void
set_up (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  (void) data;
  test_log_clear ();
  fixture->sim = sim_new (1);
  fixture->tree = (MadeTree){ fixture->sim->path, fixture->sim->root };
  fixture->asked = g_string_new (NULL);
  fixture->config_folder = g_build_filename (fixture->sim->path, "qemu", NULL);
  made_file (&fixture->tree, "qemu/networks/none.xml", "");
  made_file (&fixture->tree, "sys/devices/system/cpu/online", "0-7\n");
  made_file (&fixture->tree, "profiles.d/pinned.conf", "[cpu]\npin=yes\nreserve-cores=1\n[memory]\nnosharepages=yes\n");
  fixture->ledger = vp_ledger_new ();
  fixture->admission = vp_admission_new (fixture->sim->root, "/run", "unix:path=/nonexistent/bus", FALSE, &error);
  g_assert_no_error (error);
  fixture->context =
    (VpGateContext){ fixture->ledger, fixture->admission, { on_request, fixture }, fixture->config_folder };
  load_host (fixture);
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  (void) data;
  vp_admission_free (fixture->admission);
  vp_ledger_free (fixture->ledger);
  sim_free (fixture->sim);
  g_string_free (fixture->asked, TRUE);
  g_free (fixture->config_folder);
}

/* `more`: in the tag; `body`: in the domain. */
static char *
dup_guest (const char *uuid, const char *profiles, const char *more, const char *body)
{
  return g_strdup_printf ("<domain type='kvm'><name>%c</name><uuid>%s</uuid><metadata><vfio:profile "
                          "xmlns:vfio='urn:vfio-profile:1' name='%s'>%s</vfio:profile></metadata>"
                          "<memory unit='KiB'>1048576</memory><vcpu>2</vcpu><os><type arch='x86_64' machine='q35'>hvm"
                          "</type></os><cpu mode='host-passthrough'><topology sockets='1' dies='1' cores='1' "
                          "threads='2'/></cpu>%s</domain>",
                          uuid[0], uuid, profiles, more, body);
}

/* The definition as the keeper leaves it, beside those guests; NULL: alone. */
static char *
dup_prepared (const Fixture *fixture, const char *text, const VpNeighbours *neighbours)
{
  g_autoptr (VpDomain) domain = test_domain (text);
  g_autoptr (GError) error = NULL;
  g_autoptr (VpPlan) plan = vp_plan_new (domain, fixture->host, fixture->profiles, neighbours, VP_PLAN_DEFAULT, &error);

  g_assert_no_error (error);
  return vp_domain_dup_text (plan->result);
}

static char *
dup_prepared_guest (const Fixture *fixture, const char *uuid, const char *more)
{
  g_autofree char *text = dup_guest (uuid, "pinned", more, "");

  return dup_prepared (fixture, text, NULL);
}

/* With another value at that place. */
static char *
dup_edited (const char *text, const char *place, const char *attribute, const char *value)
{
  g_autoptr (VpDomain) domain = test_domain (text);
  xmlNode *node = vp_xml_find (domain->doc, place);

  g_assert_nonnull (node);
  xmlSetProp (node, BAD_CAST attribute, BAD_CAST value);
  return vp_domain_dup_text (domain);
}

/* libvirt has its file. */
static void
make_persistent (const Fixture *fixture, const char *name)
{
  g_autofree char *path = g_strdup_printf ("qemu/%s.xml", name);

  made_file (&fixture->tree, path, "<domain/>");
}

/* "OK", "OK text" or the refusal, without its first words. */
static char *
ask (Fixture *fixture, const char *operation, const char *name, const char *xml)
{
  const VpHookCall call = { .operation = operation,
                            .suboperation = "begin",
                            .domain = name,
                            .xml = xml,
                            .xml_length = strlen (xml),
                            .wait = on_wait,
                            .data = fixture };
  g_autofree char *text = NULL;
  g_autofree char *head = g_strdup_printf ("vfio-profile: domain '%s': ", name);
  gboolean ok = vp_gate_answer (&fixture->context, &call, &text);

  if (ok)
    return g_strdup_printf ("OK%s%s", text != NULL ? " " : "", text != NULL ? text : "");
  g_assert_nonnull (text);
  g_assert_null (strchr (text, '\n'));
  g_assert_true (g_str_has_prefix (text, head));
  g_autofree char *logged = g_strdup_printf ("domain '%s': start refused: %s", name, text + strlen (head));
  g_assert_true (test_log_has (logged));
  return g_strdup (text + strlen (head));
}

/* The whole answer, and what the keeper was asked. */
static void
assert_answer (Fixture *fixture, const char *operation, const char *name, const char *xml, const char *expected,
               const char *asked)
{
  g_autofree char *answer = ask (fixture, operation, name, xml);

  g_assert_cmpstr (answer, ==, expected);
  g_assert_cmpstr (fixture->asked->str, ==, asked);
  g_string_truncate (fixture->asked, 0);
}

/* A refusal that has all of these, NULL-ended. The keeper was asked nothing. */
static void G_GNUC_NULL_TERMINATED
assert_refused (Fixture *fixture, const char *name, const char *xml, ...)
{
  g_autofree char *answer = ask (fixture, "prepare", name, xml);
  va_list parts;

  va_start (parts, xml);
  for (const char *part = va_arg (parts, const char *); part != NULL; part = va_arg (parts, const char *))
    if (strstr (answer, part) == NULL)
      g_error ("'%s' is not in: %s", part, answer);
  va_end (parts);
  g_assert_cmpstr (fixture->asked->str, ==, "");
}

static void
assert_log (const char *part)
{
  if (!test_log_has (part))
    g_error ("it was not said: %s", part);
}

/* Who holds CPUs, as "a (1,5), b (2)". */
static void
assert_holders (const Fixture *fixture, const char *expected)
{
  g_autoptr (VpNeighbours) neighbours = vp_book_new_neighbours (vp_admission_get_book (fixture->admission), NULL);
  g_autoptr (GString) text = g_string_new (NULL);

  g_assert_cmpuint (neighbours->others->len, <=, 1); /* in no order */
  for (guint i = 0; i < neighbours->others->len; i++) {
    const VpNeighbour *other = neighbours->others->pdata[i];
    g_autofree char *list = vp_list_dup (other->cpus);
    g_string_append_printf (text, "%s (%s)", other->name, list);
  }
  g_assert_cmpstr (text->len > 0 ? text->str : NOBODY, ==, expected);
}

/* A line of the guest's file in the journal; NULL: it has no file. */
static void
assert_journal (const Fixture *fixture, const char *uuid, const char *line)
{
  g_autofree char *path = g_build_filename ("run/holds", uuid, NULL);
  g_autofree char *text = sim_read_file (fixture->sim, path);

  if (line == NULL)
    g_assert_cmpstr (text, ==, NULL);
  else if (text == NULL || strstr (text, line) == NULL)
    g_error ("'%s' is not in the journal of %s: %s", line, uuid, text);
}

/* A guest that runs on these CPUs. */
static void
claim (const Fixture *fixture, const char *uuid, const char *cpus)
{
  g_autofree char *name = g_strndup (uuid, 1);
  g_autoptr (VpNeighbours) others =
    made_claim (vp_admission_get_book (fixture->admission), uuid, name, cpus, NULL, FALSE);

  g_assert_nonnull (others);
}

static void
release (const Fixture *fixture, const char *uuid)
{
  sim_release_ok (vp_admission_get_book (fixture->admission), uuid);
}

static void
test_ready (Fixture *fixture, gconstpointer data)
{
  g_autofree char *xml = dup_prepared_guest (fixture, A, "");

  (void) data;
  assert_answer (fixture, "prepare", "a", xml, "OK", "");
  assert_holders (fixture, "a (3,7)");
  assert_journal (fixture, A, "state=starting");
  assert_journal (fixture, A, "cpus=3,7");
  assert_answer (fixture, "started", "a", xml, "OK", "");
  assert_journal (fixture, A, "state=running");
  assert_answer (fixture, "stopped", "a", xml, "OK", "");
  assert_holders (fixture, NOBODY);
  assert_journal (fixture, A, NULL);
  assert_answer (fixture, "release", "a", xml, "OK", "");
  assert_answer (fixture, "prepare", "a", xml, "OK", "");
  assert_answer (fixture, "release", "a", xml, "OK", "");
  assert_holders (fixture, NOBODY);
  assert_journal (fixture, A, NULL);
}

/* Those have nothing for the gate; whatever they bring, they go on. */
static void
test_other_operations (Fixture *fixture, gconstpointer data)
{
  static const char *const operations[] = { "start", "attach", "reconnect", "", "nonsense" };
  g_autofree char *xml = dup_guest (A, "pinned", "", "");

  (void) data;
  for (guint i = 0; i < G_N_ELEMENTS (operations); i++) {
    assert_answer (fixture, operations[i], "a", xml, "OK", "");
    assert_answer (fixture, operations[i], "a", "<garbage", "OK", "");
  }
  assert_holders (fixture, NOBODY);
}

/* libvirt would kill the guest, or does not care. */
static void
test_notices_never_fail (Fixture *fixture, gconstpointer data)
{
  static const char *const operations[] = { "started", "stopped", "release" };
  static const char *const texts[] = { "", "<garbage", "<network/>", "<domain><name>a</name></domain>" };

  (void) data;
  claim (fixture, B, "1");
  for (guint i = 0; i < G_N_ELEMENTS (operations) * G_N_ELEMENTS (texts); i++)
    assert_answer (fixture, operations[i % G_N_ELEMENTS (operations)], "a", texts[i / G_N_ELEMENTS (operations)], "OK",
                   "");
  assert_holders (fixture, "b (1)");
}

static void
test_broken_xml (Fixture *fixture, gconstpointer data)
{
  (void) data;
  assert_refused (fixture, "a", "<domain><name>a</domain>", "the domain", NULL);
  assert_refused (fixture, "a", "<network/>", "the domain is not a domain: its root element is <network>", NULL);
  assert_refused (fixture, "a", "", "the domain", NULL);
}

static void
test_no_host (Fixture *fixture, gconstpointer data)
{
  g_autofree char *xml = dup_prepared_guest (fixture, A, "");
  g_autoptr (VpLedger) ledger = vp_ledger_new ();

  (void) data;
  fixture->context.ledger = ledger;
  assert_answer (fixture, "prepare", "a", xml,
                 "vfio-profiled knows no host to prepare it for: this host was not read yet", "");
  vp_ledger_set_problem (ledger, "/sys is empty");
  assert_answer (fixture, "prepare", "a", xml, "vfio-profiled knows no host to prepare it for: /sys is empty", "");
  assert_answer (fixture, "restore", "a", xml, "OK", ""); /* as it was saved */
  assert_answer (fixture, "migrate", "a", xml, "OK", "");
  assert_answer (fixture, "started", "a", xml, "OK", "");
  assert_answer (fixture, "release", "a", xml, "OK", "");
}

/* Not ours to refuse any more; the keeper takes out what is left. */
static void
test_no_tag (Fixture *fixture, gconstpointer data)
{
  (void) data;
  assert_answer (fixture, "prepare", "a",
                 "<domain type='kvm'><name>a</name><uuid>" A "</uuid><memory>1</memory></domain>", "OK", "prepare a");
  assert_answer (fixture, "prepare", "a",
                 "<domain type='kvm'><name>a</name><metadata><v:profile xmlns:v='urn:vfio-profile:1' name='pinned'/>"
                 "</metadata><memory>1</memory></domain>",
                 "OK", "prepare a");
  assert_holders (fixture, NOBODY);
}

/* What vfio-profile(1) asks of a handover: nothing is taken or claimed by it. */
static void
test_handover_questions (Fixture *fixture, gconstpointer data)
{
  g_autofree char *xml = dup_prepared_guest (fixture, A, "");
  const VpHookCall call = { .operation = "handover-plan",
                            .suboperation = "",
                            .domain = "a",
                            .xml = xml,
                            .xml_length = strlen (xml),
                            .wait = on_wait,
                            .data = fixture };
  g_autofree char *text = NULL;

  (void) data;
  assert_answer (fixture, "handover-give-back", "", "", "OK nothing is to be brought back\n", "");
  g_assert_false (vp_gate_answer (&fixture->context, &call, &text));
  g_assert_true (g_str_has_prefix (text, "its profile asks for no handover: set devices.handover to yes"));
  assert_holders (fixture, NOBODY);
}

static void
test_unknown_profile (Fixture *fixture, gconstpointer data)
{
  g_autofree char *xml = dup_guest (A, "fast", "", "");
  g_autofree char *wrong_key = dup_guest (A, "pinned", "<vfio:cpu speed='9'/>", "");
  g_autofree char *wrong_value = dup_guest (A, "pinned", "<vfio:cpu pin='maybe'/>", "");

  (void) data;
  assert_refused (fixture, "a", xml, "fast", "gaming, nvidia, one-card, pinned", NULL);
  assert_refused (fixture, "a", wrong_key, "speed", "reserve-cores", NULL);
  assert_refused (fixture, "a", wrong_value, "maybe", "required", NULL);
  assert_holders (fixture, NOBODY);
}

static void
test_broken_profile (Fixture *fixture, gconstpointer data)
{
  g_autofree char *xml = dup_guest (A, "pinned", "", "");

  (void) data;
  made_file (&fixture->tree, "profiles.d/pinned.conf", "[cpu]\npin=perhaps\n");
  load_host (fixture);
  assert_refused (fixture, "a", xml, "pinned.conf", "perhaps", NULL);
}

static void
test_unfit (Fixture *fixture, gconstpointer data)
{
  g_autofree char *xml = dup_guest (A, "pinned", "<vfio:cpu pin='required'/>", "");
  g_autoptr (GString) large = g_string_new (xml);

  (void) data;
  g_assert_cmpuint (g_string_replace (large, "<vcpu>2<", "<vcpu>17<", 1), ==, 1);
  assert_refused (fixture, "a", large->str, "cannot pin the guest: ", "give it fewer vCPUs", NULL);
  assert_holders (fixture, NOBODY);
}

static void
test_stale_refuse (Fixture *fixture, gconstpointer data)
{
  g_autofree char *xml = dup_guest (A, "pinned", "", "");
  g_autofree char *ready = dup_prepared (fixture, xml, NULL);
  g_autofree char *edited = dup_edited (ready, "cputune/vcpupin[@vcpu='1']", "cpuset", "2");

  (void) data;
  make_persistent (fixture, "a");
  assert_answer (fixture, "prepare", "a", xml,
                 EDITED "(4 changes, first cputune/vcpupin[@vcpu='0']): it is being prepared now, start it again",
                 "prepare a");
  assert_answer (fixture, "prepare", "a", edited,
                 EDITED "(1 change, first cputune/vcpupin[@vcpu='1']): it is being prepared now, start it again",
                 "prepare a");
  assert_holders (fixture, NOBODY);
  assert_journal (fixture, A, NULL);
}

static void
test_stale_start (Fixture *fixture, gconstpointer data)
{
  g_autofree char *xml = dup_guest (A, "pinned", "<vfio:start on-stale='start'/>", "");

  (void) data;
  make_persistent (fixture, "a");
  assert_answer (fixture, "prepare", "a", xml, "OK", "tune a");
  assert_holders (fixture, "a (3,7)"); /* which it will have once it runs */
  assert_journal (fixture, A, "state=starting");
}

static void
test_stale_retry (Fixture *fixture, gconstpointer data)
{
  g_autofree char *xml = dup_guest (A, "pinned", "<vfio:start on-stale='retry'/>", "");

  (void) data;
  make_persistent (fixture, "a");
  assert_answer (fixture, "prepare", "a", xml,
                 EDITED "(4 changes, first cputune/vcpupin[@vcpu='0']): it is being prepared and started now",
                 "start a");
  /* Our own second try, and it was edited once more. */
  g_assert_true (vp_ledger_begin_start (fixture->ledger, "a"));
  assert_answer (fixture, "prepare", "a", xml,
                 EDITED "(4 changes, first cputune/vcpupin[@vcpu='0']): it is being prepared now, start it again",
                 "prepare a");
  vp_ledger_end_start (fixture->ledger, "a");
}

static void
test_transient (Fixture *fixture, gconstpointer data)
{
  static const char refusal[] =
    "it is transient, so nothing could prepare it for 'pinned': define it ('virsh define'), or put the output of "
    "'vfio-profile rewrite' into 'virsh create'";
  g_autofree char *refuse = dup_guest (A, "pinned", "", "");
  g_autofree char *retry = dup_guest (A, "pinned", "<vfio:start on-stale='retry'/>", "");

  (void) data;
  assert_answer (fixture, "prepare", "a", refuse, refusal, "");
  assert_answer (fixture, "prepare", "a", retry, refusal, "");
  assert_answer (fixture, "prepare", "networks/none", refuse, refusal, ""); /* no domain has that file */
  make_persistent (fixture, "b");
  assert_answer (fixture, "prepare", "a", refuse, refusal, "");
}

static void
test_odd_name (Fixture *fixture, gconstpointer data)
{
  const VpHookCall call = { .operation = "prepare", .suboperation = "begin", .domain = "a\n\x1b[1m\"", .xml = "" };
  g_autofree char *text = NULL;

  (void) data;
  g_assert_false (vp_gate_answer (&fixture->context, &call, &text));
  g_assert_true (g_str_has_prefix (text, "vfio-profile: domain 'a\\n\\033[1m\\\"': "));
  g_assert_null (strchr (text, '\n'));
}

static void
test_offline (Fixture *fixture, gconstpointer data)
{
  g_autofree char *xml = dup_prepared_guest (fixture, A, "");

  (void) data;
  make_persistent (fixture, "a");
  made_file (&fixture->tree, "sys/devices/system/cpu/online", "0-6\n");
  assert_answer (fixture, "prepare", "a", xml,
                 "it is pinned to CPUs that are offline now: 7: it is being prepared now, start it again", "prepare a");
  made_file (&fixture->tree, "sys/devices/system/cpu/online", "0-7\n");
  assert_answer (fixture, "prepare", "a", xml, "OK", "");
}

/* Whom it was prepared beside is what counts, not who came or went since. */
static void
test_neighbours (Fixture *fixture, gconstpointer data)
{
  g_autofree char *text = dup_guest (A, "pinned", "", "");
  VpNeighbours *beside = vp_neighbours_new ();

  (void) data;
  make_persistent (fixture, "a");
  hwloc_bitmap_set_range (beside->taken, 3, 3);
  hwloc_bitmap_set_range (beside->taken, 7, 7);
  g_autoptr (VpNeighbour) other = vp_neighbour_new ("b", TRUE);
  hwloc_bitmap_copy (other->cpus, beside->taken);
  vp_neighbours_add (beside, other);
  g_autofree char *xml = dup_prepared (fixture, text, beside);
  g_autofree char *alone = dup_prepared (fixture, text, NULL);
  vp_ledger_begin_prepare (fixture->ledger, A, beside);
  assert_answer (fixture, "prepare", "a", xml, "OK", "");
  assert_holders (fixture, "a (2,6)");
  assert_answer (fixture, "release", "a", xml, "OK", "");
  vp_ledger_end_prepare (fixture->ledger, A, TRUE);
  assert_answer (fixture, "prepare", "a", xml, "OK", "");
  assert_answer (fixture, "release", "a", xml, "OK", "");
  assert_answer (fixture, "prepare", "a", alone,
                 EDITED "(3 changes, first cputune/vcpupin[@vcpu='0']): it is being prepared now, start it again",
                 "prepare a");
}

/* Another daemon prepared it, beside whom nobody knows: its pins are as good as ready, unless somebody edited them. */
static void
test_unseen (Fixture *fixture, gconstpointer data)
{
  g_autofree char *text = dup_guest (A, "pinned", "", "");
  g_autoptr (VpNeighbours) beside = vp_neighbours_new ();

  (void) data;
  make_persistent (fixture, "a");
  hwloc_bitmap_set_range (beside->taken, 3, 3);
  hwloc_bitmap_set_range (beside->taken, 7, 7);
  g_autofree char *xml = dup_prepared (fixture, text, beside);
  assert_answer (fixture, "prepare", "a", xml, "OK", "");
  assert_holders (fixture, "a (2,6)");
  assert_answer (fixture, "release", "a", xml, "OK", "");
  g_autofree char *edited = dup_edited (xml, "cputune/vcpupin[@vcpu='0']", "cpuset", "1");
  g_autofree char *answer = ask (fixture, "prepare", "a", edited);
  g_assert_true (g_str_has_prefix (answer, EDITED));
  g_assert_cmpstr (fixture->asked->str, ==, "prepare a");
}

/* vCPUs that are offline hold nothing, who placed them does not matter. */
static void
test_offline_vcpus (Fixture *fixture, gconstpointer data)
{
  g_autofree char *guest = dup_guest (A, "pinned", "", "");
  g_autofree char *text = dup_edited (guest, "vcpu", "current", "1");
  g_autoptr (VpNeighbours) beside = vp_neighbours_new ();

  (void) data;
  make_persistent (fixture, "a");
  g_autofree char *xml = dup_prepared (fixture, text, NULL);
  assert_answer (fixture, "prepare", "a", xml, "OK", "");
  assert_holders (fixture, "a (3)");
  assert_answer (fixture, "release", "a", xml, "OK", "");
  hwloc_bitmap_set_range (beside->taken, 3, 3);
  hwloc_bitmap_set_range (beside->taken, 7, 7);
  g_autofree char *unseen = dup_prepared (fixture, text, beside);
  assert_answer (fixture, "prepare", "a", unseen, "OK", "");
  assert_holders (fixture, "a (2)");
}

static void
test_conflict_shared (Fixture *fixture, gconstpointer data)
{
  g_autofree char *xml = dup_prepared_guest (fixture, A, "");

  (void) data;
  claim (fixture, B, "7");
  assert_answer (fixture, "prepare", "a", xml, "OK", "tune a");
  assert_log ("domain 'a': its CPUs are those of guests that run: 'b' (7): it gets others once it runs");
  assert_answer (fixture, "release", "a", xml, "OK", "");
  claim (fixture, B, "0-7");
  assert_answer (fixture, "prepare", "a", xml, "OK", "");
  assert_log ("domain 'a': its CPUs are those of guests that run: 'b' (3,7): they are shared, there are no others "
              "left");
}

static void
test_conflict_refused (Fixture *fixture, gconstpointer data)
{
  g_autofree char *xml = dup_prepared_guest (fixture, A, "<vfio:cpu conflict='refuse'/>");

  (void) data;
  make_persistent (fixture, "a");
  claim (fixture, B, "7");
  assert_answer (fixture, "prepare", "a", xml,
                 "its CPUs are those of guests that run: 'b' (7): it is being prepared now, start it again",
                 "prepare a");
  claim (fixture, B, "0-7");
  assert_answer (fixture, "prepare", "a", xml,
                 "its CPUs are those of guests that run: 'b' (3,7), there are no others left, and cpu.conflict is "
                 "refuse: stop one of them, or give one of them fewer vCPUs",
                 "");
  assert_holders (fixture, "b (0-7)");
  assert_journal (fixture, A, NULL);
  release (fixture, B);
  assert_answer (fixture, "prepare", "a", xml, "OK", "");
}

/* Whoever takes part in it is named. */
static void
test_conflict_of_three (Fixture *fixture, gconstpointer data)
{
  g_autofree char *xml = dup_prepared_guest (fixture, A, "<vfio:cpu conflict='refuse'/>");

  (void) data;
  make_persistent (fixture, "a");
  claim (fixture, B, "1-3");
  claim (fixture, C, "5-7");
  g_autofree char *answer = ask (fixture, "prepare", "a", xml);
  g_assert_true (g_str_has_prefix (answer, "its CPUs are those of guests that run: '"));
  g_assert_nonnull (strstr (answer, "'b' (3)"));
  g_assert_nonnull (strstr (answer, "'c' (7)"));
}

/* Told to start all the same, where it meets another and there are others left. */
static void
test_conflict_of_stale (Fixture *fixture, gconstpointer data)
{
  g_autofree char *xml = dup_prepared_guest (fixture, A, "<vfio:start on-stale='start'/><vfio:cpu conflict='refuse'/>");

  (void) data;
  make_persistent (fixture, "a");
  claim (fixture, B, "7");
  assert_answer (fixture, "prepare", "a", xml, "OK", "tune a");
}

static void
make_rule (Fixture *fixture, const char *text)
{
  made_file (&fixture->tree, "rules.d/10-all.conf", text);
  load_host (fixture);
}

/* The tag of that rule, whatever the rule says. */
static char *
dup_rule_guest (const char *uuid, const char *profiles, const char *body)
{
  g_autofree char *text = dup_guest (uuid, profiles, "", body);
  g_autoptr (GString) with_rule = g_string_new (text);

  g_assert_cmpuint (g_string_replace (with_rule, "<vfio:profile ", "<vfio:profile rule='10-all' ", 1), ==, 1);
  return g_strdup (with_rule->str);
}

/* Nobody asked for it but the rule: no start fails for it. */
static void
test_rule_stale (Fixture *fixture, gconstpointer data)
{
  g_autofree char *xml = dup_rule_guest (A, "pinned", "");

  (void) data;
  make_rule (fixture, "[rule]\nprofiles=pinned\n[match]\nname=a\n");
  assert_answer (fixture, "prepare", "a", xml, "OK", "prepare a");
  assert_log ("it starts as it is, and is tuned from its next start on, as its tag is that of rule '10-all'");
  assert_holders (fixture, NOBODY);
}

static void
test_rule_conflict (Fixture *fixture, gconstpointer data)
{
  g_autofree char *text = dup_rule_guest (A, "refusing", "");

  (void) data;
  made_file (&fixture->tree, "profiles.d/refusing.conf", "[cpu]\npin=yes\nreserve-cores=1\nconflict=refuse\n");
  make_rule (fixture, "[rule]\nprofiles=refusing\n[match]\nname=a\n");
  g_autofree char *xml = dup_prepared (fixture, text, NULL);
  claim (fixture, B, "7");
  assert_answer (fixture, "prepare", "a", xml, "OK", "tune a");
  assert_log ("it gets others once it runs");
}

static void
test_rule_gone (Fixture *fixture, gconstpointer data)
{
  g_autofree char *xml = dup_rule_guest (A, "pinned", "");

  (void) data;
  make_rule (fixture, "[rule]\nprofiles=pinned\n[match]\nname=another\n");
  assert_answer (fixture, "prepare", "a", xml, "OK", "prepare a");
  assert_holders (fixture, NOBODY);
}

static void
test_rule_of_broken_profile (Fixture *fixture, gconstpointer data)
{
  g_autofree char *xml = dup_rule_guest (A, "pinned", "");

  (void) data;
  made_file (&fixture->tree, "profiles.d/pinned.conf", "[cpu]\npin=perhaps\n");
  make_rule (fixture, "[rule]\nprofiles=pinned\n[match]\nname=a\n");
  assert_answer (fixture, "prepare", "a", xml, "OK", "");
  assert_log ("domain 'a': it starts as it is, as its tag is that of rule '10-all' and cannot be followed: ");
}

static void
test_device_missing (Fixture *fixture, gconstpointer data)
{
  g_autofree char *text = dup_guest (A, "pinned", "", CARD);
  g_autofree char *xml = dup_prepared (fixture, text, NULL);

  (void) data;
  assert_refused (fixture, "a", xml, "/sys/bus/pci/devices lists no PCI device", NULL);
  made_device (&fixture->tree, "0000:02:00.0", "030000 10de 1381", "vfio-pci", 1);
  assert_refused (fixture, "a", xml, "the host has no PCI device 0000:01:00.0", NULL);
  assert_holders (fixture, NOBODY); /* the CPUs were claimed before */
  assert_journal (fixture, A, NULL);
}

static void
test_device_of_another (Fixture *fixture, gconstpointer data)
{
  g_autofree char *first = dup_guest (A, "pinned", "", CARD);
  g_autofree char *second = dup_guest (B, "pinned", "<vfio:cpu pin='no'/>", CARD);

  (void) data;
  made_device (&fixture->tree, "0000:01:00.0", "030000 10de 1381", "vfio-pci", 1);
  load_host (fixture);
  g_autofree char *first_xml = dup_prepared (fixture, first, NULL);
  g_autofree char *second_xml = dup_prepared (fixture, second, NULL);
  assert_answer (fixture, "prepare", "a", first_xml, "OK", "");
  assert_journal (fixture, A, "devices=0000:01:00.0;");
  g_autofree char *answer = ask (fixture, "prepare", "b", second_xml);
  g_assert_nonnull (strstr (answer, "0000:01:00.0"));
  g_assert_nonnull (strstr (answer, "'a'"));
  assert_journal (fixture, B, NULL);
  assert_holders (fixture, "a (3,7)");
  assert_answer (fixture, "release", "a", first_xml, "OK", "");
  assert_answer (fixture, "prepare", "b", second_xml, "OK", "");
}

static void
mount_pages (const Fixture *fixture, gboolean known)
{
  made_file (&fixture->tree, "proc/self/mountinfo",
             "21 20 0:20 / /proc rw - proc proc rw\n"
             "31 20 0:27 / /dev/hugepages rw,relatime - hugetlbfs hugetlbfs rw,pagesize=2M\n");
  if (known)
    made_file (&fixture->tree, "dev/hugepages/libvirt/qemu/1-b/page", "");
}

static char *
dup_guest_with_pages (const Fixture *fixture, const char *uuid, const char *memory_keys)
{
  g_autofree char *more = g_strdup_printf ("<vfio:memory page-size='2M' %s/>", memory_keys);
  g_autofree char *text = dup_guest (uuid, "pinned", more, "");

  return dup_prepared (fixture, text, NULL);
}

static void
test_pages_not_mounted (Fixture *fixture, gconstpointer data)
{
  g_autofree char *xml = dup_guest_with_pages (fixture, A, "");

  (void) data;
  g_assert_nonnull (strstr (xml, "<hugepages>"));
  assert_refused (fixture, "a", xml, "it needs hugepages of 2M, and no hugetlbfs with pages of that size is mounted",
                  "mount -t hugetlbfs -o pagesize=2M hugetlbfs /dev/hugepages2M", NULL);
  mount_pages (fixture, FALSE);
  assert_refused (fixture, "a", xml,
                  "it needs hugepages of 2M, and /dev/hugepages was mounted after libvirt's start, so libvirt does not "
                  "know it: restart libvirt",
                  NULL);
  assert_journal (fixture, A, NULL);
  assert_holders (fixture, NOBODY);
}

static void
test_pages (Fixture *fixture, gconstpointer data)
{
  g_autofree char *xml = dup_guest_with_pages (fixture, A, "allocate='yes' deadline='30'");

  (void) data;
  mount_pages (fixture, TRUE);
  sim_set_pool (fixture->sim, 0, SIM_2M, 100, 1000);
  assert_answer (fixture, "prepare", "a", xml, "OK", "");
  g_assert_cmpuint (fixture->waited, ==, 45); /* the deadline, and what else may take its time */
  g_assert_cmpuint (sim_read (fixture->sim, 0, SIM_2M, "nr_hugepages"), ==, 512);
  assert_journal (fixture, A, "kind=pages");
  assert_answer (fixture, "release", "a", xml, "OK", "");
  g_assert_cmpuint (sim_read (fixture->sim, 0, SIM_2M, "nr_hugepages"), ==, 100);
  assert_journal (fixture, A, NULL);
}

static void
test_too_few_pages (Fixture *fixture, gconstpointer data)
{
  g_autofree char *no_more = dup_guest_with_pages (fixture, A, "allocate='no'");
  g_autofree char *more = dup_guest_with_pages (fixture, A, "allocate='yes' deadline='1'");

  (void) data;
  mount_pages (fixture, TRUE);
  sim_set_pool (fixture->sim, 0, SIM_2M, 100, 200);
  assert_refused (fixture, "a", no_more, "too few hugepages of 2M on this host: 512 needed, 100 free, 0 allocated",
                  "(memory.allocate is no)", "hugepagesz=2M hugepages=512", NULL);
  assert_refused (fixture, "a", more, "too few hugepages of 2M on this host: 512 needed, 100 free, 200 allocated",
                  NULL);
  g_assert_cmpuint (sim_read (fixture->sim, 0, SIM_2M, "nr_hugepages"), ==, 100);
  assert_journal (fixture, A, NULL);
  assert_holders (fixture, NOBODY);
}

/* What cannot be noted is not done. */
static void
test_no_journal (Fixture *fixture, gconstpointer data)
{
  g_autofree char *xml = dup_prepared_guest (fixture, A, "");
  g_autofree char *folder = g_build_filename (fixture->sim->path, "run", "holds", NULL);

  (void) data;
  g_assert_cmpint (g_rmdir (folder), ==, 0);
  assert_refused (fixture, "a", xml, A, NULL);
  assert_holders (fixture, NOBODY);
}

static void
test_filter (Fixture *fixture, gconstpointer data)
{
  static const char *const operations[] = { "restore", "migrate" };
  g_autofree char *xml = dup_prepared_guest (fixture, A, "");
  /* As another host pinned it. */
  g_autofree char *elsewhere = dup_edited (xml, "cputune/vcpupin[@vcpu='1']", "cpuset", "77");

  (void) data;
  for (guint i = 0; i < G_N_ELEMENTS (operations); i++) {
    assert_answer (fixture, operations[i], "a", xml, "OK", "");
    g_autofree char *answer = ask (fixture, operations[i], "a", elsewhere);
    g_assert_true (g_str_has_prefix (answer, "OK <"));
    g_autoptr (VpDomain) filtered = test_domain (answer + 3);
    g_autoptr (VpPins) pins = vp_pins_read (filtered);
    g_assert_cmpint (vp_pins_vcpu_cpu (pins, 0), ==, 3);
    g_assert_cmpint (vp_pins_vcpu_cpu (pins, 1), ==, 7);
    g_assert_cmpstr (fixture->asked->str, ==, "");
  }
  assert_holders (fixture, NOBODY); /* it is the prepare behind it that claims */
}

/* Whom it was made right beside is remembered until the prepare that comes next. */
static void
test_filter_then_prepare (Fixture *fixture, gconstpointer data)
{
  g_autofree char *xml = dup_prepared_guest (fixture, A, "");

  (void) data;
  claim (fixture, B, "3,7");
  g_autofree char *answer = ask (fixture, "restore", "a", xml);
  g_assert_true (g_str_has_prefix (answer, "OK <"));
  release (fixture, B);
  assert_answer (fixture, "prepare", "a", answer + 3, "OK", "");
  assert_holders (fixture, "a (2,6)");
  assert_answer (fixture, "release", "a", xml, "OK", "");
  g_autofree char *without = ask (fixture, "prepare", "a", xml);
  g_assert_cmpstr (without, ==, "OK");
  assert_holders (fixture, "a (3,7)");
}

/* A restore that came to nothing lets no stale start pass: neither the domain's own nor another's of its name. */
static void
test_filter_failed (Fixture *fixture, gconstpointer data)
{
  static const char *const ends[] = { "stopped", "release", "started", "reconnect", "withdrawn" };
  g_autofree char *xml = dup_prepared_guest (fixture, A, "");
  g_autofree char *other = dup_prepared_guest (fixture, B, "");
  VpHookCall call = { .operation = "restore", .domain = "a", .xml = xml, .xml_length = strlen (xml) };

  (void) data;
  made_file (&fixture->tree, "profiles.d/pinned.conf",
             "[cpu]\npin=yes\nreserve-cores=1\n[memory]\nnosharepages=yes\n[hypervisor]\nkvm-hidden=on\n");
  load_host (fixture);
  for (guint i = 0; i < G_N_ELEMENTS (ends); i++) {
    assert_answer (fixture, "restore", "a", xml, "OK", "");
    if (strcmp (ends[i], "withdrawn") == 0)
      vp_gate_withdraw (&fixture->context, &call);
    else
      assert_answer (fixture, ends[i], "a", xml, "OK", "");
    assert_refused (fixture, "a", xml, "put the output of 'vfio-profile rewrite'", NULL);
  }
  assert_answer (fixture, "restore", "a", xml, "OK", "");
  assert_refused (fixture, "a", other, "put the output of 'vfio-profile rewrite'", NULL);
  assert_answer (fixture, "prepare", "a", xml, "OK", ""); /* and that one's is still there */
}

static void
test_filter_without_plan (Fixture *fixture, gconstpointer data)
{
  g_autofree char *xml = dup_guest (A, "fast", "", "");

  (void) data;
  assert_answer (fixture, "restore", "a", xml, "OK", "");
  assert_log ("domain 'a': restore as it was saved: ");
  assert_answer (fixture, "prepare", "a", xml, "OK", "");
  assert_log ("domain 'a': it goes on as it was saved: ");
  assert_refused (fixture, "a", xml, "fast", NULL); /* the mark is gone */
}

static void
test_broken_filter (Fixture *fixture, gconstpointer data)
{
  (void) data;
  g_autofree char *answer = ask (fixture, "restore", "a", "<garbage");
  g_assert_false (g_str_has_prefix (answer, "OK"));
}

static void
test_withdraw (Fixture *fixture, gconstpointer data)
{
  g_autofree char *xml = dup_prepared_guest (fixture, A, "");
  VpHookCall call = { .operation = "started", .domain = "a", .xml = xml, .xml_length = strlen (xml) };

  (void) data;
  assert_answer (fixture, "prepare", "a", xml, "OK", "");
  vp_gate_withdraw (&fixture->context, &call);
  assert_holders (fixture, "a (3,7)");
  call.operation = "prepare";
  vp_gate_withdraw (&fixture->context, &call);
  assert_holders (fixture, NOBODY);
  assert_journal (fixture, A, NULL);
  assert_log ("domain 'a': the hook went away before it was answered: nothing is held for it");
}

static const struct {
  const char *name;
  void (*func) (Fixture *fixture, gconstpointer data);
} tests[] = {
  { "ready", test_ready },
  { "other-operations", test_other_operations },
  { "notices-never-fail", test_notices_never_fail },
  { "broken-xml", test_broken_xml },
  { "no-host", test_no_host },
  { "no-tag", test_no_tag },
  { "handover-questions", test_handover_questions },
  { "unknown-profile", test_unknown_profile },
  { "broken-profile", test_broken_profile },
  { "unfit", test_unfit },
  { "stale-refuse", test_stale_refuse },
  { "stale-start", test_stale_start },
  { "stale-retry", test_stale_retry },
  { "transient", test_transient },
  { "odd-name", test_odd_name },
  { "offline", test_offline },
  { "neighbours", test_neighbours },
  { "unseen", test_unseen },
  { "offline-vcpus", test_offline_vcpus },
  { "conflict-shared", test_conflict_shared },
  { "conflict-refused", test_conflict_refused },
  { "conflict-of-three", test_conflict_of_three },
  { "conflict-of-stale", test_conflict_of_stale },
  { "rule-stale", test_rule_stale },
  { "rule-conflict", test_rule_conflict },
  { "rule-gone", test_rule_gone },
  { "rule-of-broken-profile", test_rule_of_broken_profile },
  { "device-missing", test_device_missing },
  { "device-of-another", test_device_of_another },
  { "pages-not-mounted", test_pages_not_mounted },
  { "pages", test_pages },
  { "too-few-pages", test_too_few_pages },
  { "no-journal", test_no_journal },
  { "filter", test_filter },
  { "filter-then-prepare", test_filter_then_prepare },
  { "filter-failed", test_filter_failed },
  { "filter-without-plan", test_filter_without_plan },
  { "broken-filter", test_broken_filter },
  { "withdraw", test_withdraw },
};

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  test_log_keep (); /* warnings are what is tested */
  for (guint i = 0; i < G_N_ELEMENTS (tests); i++) {
    g_autofree char *path = g_strconcat ("/answer/", tests[i].name, NULL);
    g_test_add (path, Fixture, NULL, set_up, tests[i].func, tear_down);
  }
  return g_test_run ();
}
