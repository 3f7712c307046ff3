/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What commands write without the daemon: a tag alone, and a definition while others edit it. With the driver of
 * libvirt's that has its domains in the process that asks; what it would write to files the test stores.
 */
#include "edits/writer.h"

#include <glib/gstdio.h>
#include <string.h>

#include "base/error.h"
#include "domain/write-id.h"
#include "made-tree.h"
#include "support.h"

#define UUID "aaaaaaaa-0000-4000-8000-000000000001"
#define NOTE "<app:note xmlns:app='urn:example:app'/>"
#define TAG "<v:profile xmlns:v='" VP_TAG_NS "' name='pinned'><v:cpu reserve-cores='1'/></v:profile>"

typedef struct {
  MadeTree *tree;
  virConnectPtr connection;
  virDomainPtr domain;
  VpHost *host;
  VpProfiles *profiles;
  VpWriter writer;
  GString *edited;           /* what somebody stores before our define; borrowed */
  VpPrepareContext *context; /* of the look that goes on; borrowed */
  gboolean is_down;          /* libvirt ends after our define */
} Fixture;

static char *
dup_text (const char *metadata, const char *more)
{
  return g_strdup_printf ("<domain type='test'><name>a</name><uuid>" UUID "</uuid>%s<metadata>%s</metadata>"
                          "<memory>1048576</memory><vcpu>2</vcpu><os><type arch='i686'>hvm</type></os></domain>",
                          more, metadata);
}

static void
on_version (const char *domain, const VpVersion *version, gpointer data)
{
  vp_intents_note_version (data, domain, version);
}

static void
set_up (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *text = dup_text (data, "");

  test_log_clear ();
  fixture->tree = made_tree_new ();
  made_file (fixture->tree, "node.xml", "<node/>");
  made_file (fixture->tree, "qemu/.keep", "");
  g_autofree char *uri = g_strdup_printf ("test://%s/node.xml", fixture->tree->folder);
  g_autofree char *folder = g_build_filename (fixture->tree->folder, "qemu", NULL);
  g_autofree char *intents = g_build_filename (fixture->tree->folder, "intents", NULL);
  fixture->connection = virConnectOpen (uri);
  g_assert_nonnull (fixture->connection);
  fixture->domain = virDomainDefineXML (fixture->connection, text);
  g_assert_nonnull (fixture->domain);
  fixture->host = test_host (NULL, TEST_I7_3770K);
  fixture->profiles = test_profiles ();
  fixture->writer.intents = vp_intents_new (intents, &error);
  g_assert_no_error (error);
  fixture->writer.versions = vp_versions_new (folder, NULL, NULL, on_version, fixture->writer.intents, &error);
  g_assert_no_error (error);
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  (void) data;
  test_log_on (NULL, NULL, NULL);
  vp_versions_free (fixture->writer.versions);
  vp_intents_free (fixture->writer.intents);
  vp_profiles_unref (fixture->profiles);
  vp_host_unref (fixture->host);
  vp_libvirt_free_domain (fixture->domain);
  vp_libvirt_close (fixture->connection);
  made_tree_free (fixture->tree);
}

static VpDomain *
read_stored (const Fixture *fixture)
{
  g_autoptr (GError) error = NULL;
  VpDomain *domain = vp_libvirt_read (fixture->domain, &error);

  g_assert_no_error (error);
  return domain;
}

/* NULL-ended parts of what stands that are there, or, behind "!", are not. */
static void G_GNUC_NULL_TERMINATED
assert_stored (const Fixture *fixture, ...)
{
  g_autoptr (VpDomain) stored = read_stored (fixture);
  g_autofree char *text = vp_domain_dup_text (stored);
  va_list parts;

  va_start (parts, fixture);
  for (const char *part = va_arg (parts, const char *); part != NULL; part = va_arg (parts, const char *))
    if ((strstr (text, part[0] == '!' ? part + 1 : part) == NULL) != (part[0] == '!'))
      g_error ("'%s': %s", part, text);
  va_end (parts);
}

static gboolean
prepare (Fixture *fixture, VpPlanFlags flags, GError **error)
{
  gboolean made = FALSE;
  VpPrepareContext context = { .connection = fixture->connection, .wrapper_made = &made, .flags = flags };

  fixture->context = &context;
  if (flags == VP_PLAN_DEFAULT) {
    context.host = fixture->host;
    context.profiles = fixture->profiles;
  }
  return vp_writer_prepare (&fixture->writer, &context, "a", error);
}

static void
test_tag (Fixture *fixture, gconstpointer data)
{
  g_autofree char *with = dup_text (TAG, "");
  g_autofree char *without = dup_text ("", "");
  g_autoptr (VpDomain) tagged = test_domain (with);
  g_autoptr (VpDomain) untagged = test_domain (without);
  g_autoptr (GError) error = NULL;

  (void) data;
  g_assert_true (vp_libvirt_set_tag (fixture->domain, tagged, &error));
  g_autoptr (VpDomain) stored = read_stored (fixture);
  g_assert_nonnull (vp_domain_tag (stored));
  g_assert_true (vp_xml_equal (vp_domain_tag (stored), vp_domain_tag (tagged)));
  assert_stored (fixture, "urn:example:app", NULL);
  for (guint i = 0; i < 2; i++) { /* one that is not there, too */
    g_assert_true (vp_libvirt_set_tag (fixture->domain, untagged, &error));
    assert_stored (fixture, "urn:example:app", "!" VP_TAG_NS, NULL);
  }
}

static void
test_undo (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  (void) data;
  for (guint i = 0; i < 2; i++) {
    g_assert_true (prepare (fixture, VP_PLAN_DEFAULT, &error));
    assert_stored (fixture, "<vcpupin", "<nosharepages/>", VP_STATE_NS, VP_TAG_NS, NULL);
  }
  for (guint i = 0; i < 2; i++) {
    g_assert_true (prepare (fixture, VP_PLAN_UNDO, &error));
    assert_stored (fixture, "!vcpupin", "!nosharepages", "!" VP_STATE_NS, VP_TAG_NS, NULL);
  }
  g_assert_false (vp_intents_has (fixture->writer.intents, "a"));
}

/* After the define: somebody had stored another before it, and the watch had its time, as libvirt takes some. */
static void
on_defined (gpointer data)
{
  Fixture *fixture = data;
  g_autofree char *ours = virDomainGetXMLDesc (fixture->domain, VIR_DOMAIN_XML_INACTIVE);
  guint64 serial = 0;

  made_version (fixture->tree, "qemu/a.xml", fixture->edited->str);
  g_assert_true (vp_versions_sync (fixture->writer.versions, &serial));
  made_version (fixture->tree, "qemu/a.xml", ours);
  if (fixture->is_down)
    fixture->context->connection = NULL;
}

/* Somebody's edit comes between; then it stands, and so does `part`, as of assert_stored's. */
static void
prepare_edited (Fixture *fixture, VpPlanFlags flags, const char *said, const char *edit, const char *part)
{
  g_autofree char *present = virDomainGetXMLDesc (fixture->domain, VIR_DOMAIN_XML_INACTIVE);
  g_autofree char *with = g_strconcat (edit, "<metadata>", NULL);
  g_autoptr (GString) edited = g_string_new (present);
  g_autoptr (GError) error = NULL;

  fixture->edited = edited;
  g_assert_cmpuint (g_string_replace (edited, "<metadata>", with, 1), ==, 1);
  test_log_on (said, on_defined, fixture);
  g_assert_true (prepare (fixture, flags, &error));
  g_assert_true (test_log_take ("domain 'a': an edit that came between read and define was recovered: "));
  assert_stored (fixture, edit, part, NULL);
  g_assert_false (vp_intents_has (fixture->writer.intents, "a"));
}

static void
test_edited (Fixture *fixture, gconstpointer data)
{
  (void) data;
  prepare_edited (fixture, VP_PLAN_DEFAULT, "domain 'a': prepared for 'pinned'", "<title>one</title>", "<vcpupin");
  prepare_edited (fixture, VP_PLAN_UNDO, "domain 'a': undone", "<description>two</description>", "!vcpupin");
  assert_stored (fixture, "<title>one</title>", "!" VP_STATE_NS, NULL);
}

/* What a command leaves that was killed after its define, which overwrote an edit. */
static void
leave_intent (Fixture *fixture)
{
  g_autoptr (VpDomain) base = read_stored (fixture);
  g_autoptr (VpDomain) written = vp_domain_copy (base);
  g_autofree char *edited = dup_text (TAG, "<title>edit</title>");
  const VpWrite write = { base, NULL, written };
  g_autoptr (GPtrArray) none = g_ptr_array_new ();
  g_autoptr (GError) error = NULL;
  VpVersion theirs = { .serial = 1, .text = g_bytes_new (edited, strlen (edited)) };

  vp_write_id_set (written, "ours");
  g_assert_true (vp_intents_open (fixture->writer.intents, "a", &write, none, &error));
  vp_intents_note_version (fixture->writer.intents, "a", &theirs);
  g_assert_true (vp_libvirt_define (fixture->connection, written, &error));
  g_bytes_unref (theirs.text);
}

/* Here the daemon is the next, or another command. */
static void
test_killed (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  (void) data;
  leave_intent (fixture);
  g_assert_true (prepare (fixture, VP_PLAN_UNDO, &error));
  assert_stored (fixture, "<title>edit</title>", "!vcpupin", "!" VP_STATE_NS, VP_TAG_NS, NULL);
  g_assert_false (vp_intents_has (fixture->writer.intents, "a"));
}

/* The edit is in a file, with the new name in it. */
static void
assert_kept (const Fixture *fixture)
{
  g_autofree char *folder = g_build_filename (fixture->tree->folder, "intents", "kept", NULL);
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  const char *name = dir != NULL ? g_dir_read_name (dir) : NULL;
  g_autofree char *path = name != NULL ? g_build_filename (folder, name, NULL) : NULL;
  g_autofree char *text = NULL;

  g_assert_true (path != NULL && g_file_get_contents (path, &text, NULL, NULL));
  g_assert_nonnull (strstr (text, "<title>edit</title>"));
  g_assert_nonnull (strstr (text, "<name>b</name>"));
  g_assert_false (vp_intents_has (fixture->writer.intents, "a"));
}

/* Somebody gave it another name since. */
static void
test_renamed (Fixture *fixture, gconstpointer data)
{
  static const VpVersion gone = { .serial = 3, .deleted = TRUE };
  g_autoptr (GError) error = NULL;

  (void) data;
  leave_intent (fixture);
  vp_intents_note_version (fixture->writer.intents, "a", &gone);
  g_assert_cmpint (virDomainRename (fixture->domain, "b", 0), ==, 0);
  g_assert_false (prepare (fixture, VP_PLAN_DEFAULT, &error));
  g_assert_nonnull (strstr (error->message, "undefined"));
  g_assert_true (test_log_take ("it is called 'b' by now"));
  assert_kept (fixture);
}

/* After our define, and before we look what came between. */
static void
on_defined_renamed (gpointer data)
{
  Fixture *fixture = data;
  g_autofree char *path = g_build_filename (fixture->tree->folder, "qemu", "a.xml", NULL);

  on_defined (fixture);
  g_assert_cmpint (virDomainRename (fixture->domain, "b", 0), ==, 0);
  g_assert_cmpint (g_remove (path), ==, 0);
}

static void
test_renamed_at_once (Fixture *fixture, gconstpointer data)
{
  g_autofree char *edited = dup_text (TAG, "<title>edit</title>");
  g_autoptr (GString) text = g_string_new (edited);
  g_autoptr (GError) error = NULL;

  (void) data;
  fixture->edited = text;
  test_log_on ("domain 'a': prepared for 'pinned'", on_defined_renamed, fixture);
  (void) prepare (fixture, VP_PLAN_DEFAULT, &error);
  g_assert_true (test_log_take ("it is called 'b' by now"));
  assert_kept (fixture);
}

/* One that cannot be read is set aside and said; the domain is prepared all the same. */
static void
test_damaged (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  (void) data;
  made_file (fixture->tree, "intents/d-a/intent", "[intent]\nbase=<domain");
  g_assert_true (prepare (fixture, VP_PLAN_DEFAULT, &error));
  g_assert_no_error (error);
  g_assert_true (test_log_take ("an edit may be lost: "));
  assert_stored (fixture, "<vcpupin", NULL);
  g_assert_false (vp_intents_has (fixture->writer.intents, "a"));
}

/* Who cannot be asked has not undefined anything: what was overwritten is taken up when libvirt is there again. */
static void
test_down (Fixture *fixture, gconstpointer data)
{
  g_autofree char *edited = dup_text (TAG, "<title>edit</title>");
  g_autoptr (GString) text = g_string_new (edited);
  g_autoptr (GError) error = NULL;
  VpPrepareContext context = { .flags = VP_PLAN_UNDO };

  (void) data;
  fixture->edited = text;
  fixture->is_down = TRUE;
  test_log_on ("domain 'a': prepared for 'pinned'", on_defined, fixture);
  g_assert_false (prepare (fixture, VP_PLAN_DEFAULT, &error));
  g_assert_error (error, VP_ERROR, VP_ERROR_LIBVIRT);
  g_clear_error (&error);
  g_assert_true (vp_intents_has (fixture->writer.intents, "a"));
  g_assert_false (vp_writer_prepare (&fixture->writer, &context, "a", &error));
  g_assert_error (error, VP_ERROR, VP_ERROR_LIBVIRT);
  g_clear_error (&error);
  g_assert_true (vp_intents_has (fixture->writer.intents, "a"));
  g_assert_true (prepare (fixture, VP_PLAN_DEFAULT, &error));
  assert_stored (fixture, "<title>edit</title>", "<vcpupin", NULL);
  g_assert_false (vp_intents_has (fixture->writer.intents, "a"));
}

static void
test_refused (Fixture *fixture, gconstpointer data)
{
  g_autofree char *text = dup_text ("<v:profile xmlns:v='" VP_TAG_NS "' name='nobody'/>", "");
  g_autoptr (virDomain) defined = virDomainDefineXML (fixture->connection, text);
  g_autoptr (GError) error = NULL;

  (void) data;
  g_assert_nonnull (defined);
  g_assert_false (prepare (fixture, VP_PLAN_DEFAULT, &error));
  g_assert_nonnull (strstr (error->message, "nobody"));
  assert_stored (fixture, "!vcpupin", "!" VP_STATE_NS, NULL);
  g_clear_error (&error);
  g_assert_cmpint (virDomainUndefine (fixture->domain), ==, 0);
  g_assert_false (prepare (fixture, VP_PLAN_DEFAULT, &error));
  g_assert_nonnull (strstr (error->message, "undefined"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  test_log_keep ();
  vp_libvirt_be_silent ();
  g_test_add ("/writer/tag", Fixture, NOTE, set_up, test_tag, tear_down);
  g_test_add ("/writer/undo", Fixture, TAG, set_up, test_undo, tear_down);
  g_test_add ("/writer/edited", Fixture, TAG, set_up, test_edited, tear_down);
  g_test_add ("/writer/killed", Fixture, TAG, set_up, test_killed, tear_down);
  g_test_add ("/writer/renamed", Fixture, TAG, set_up, test_renamed, tear_down);
  g_test_add ("/writer/renamed-at-once", Fixture, TAG, set_up, test_renamed_at_once, tear_down);
  g_test_add ("/writer/damaged", Fixture, TAG, set_up, test_damaged, tear_down);
  g_test_add ("/writer/down", Fixture, TAG, set_up, test_down, tear_down);
  g_test_add ("/writer/refused", Fixture, TAG, set_up, test_refused, tear_down);
  return g_test_run ();
}
