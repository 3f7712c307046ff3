/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A folder a domain, below a folder of our own. Decides nothing. */
#include "edits/intents.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/conf.h"
#include "base/error.h"
#include "base/root.h"
#include "domain/write-id.h"

#define PREFIX "d-"      /* no name of a domain is one of the file system's then */
#define SERIAL_DIGITS 20 /* so that names are in the order of serials */
#define KEPT "kept"
#define MOST_KEPT 500      /* who may edit could fill the disk with them */
#define MOST_KEPT_NAME 200 /* bytes of a domain's name; libvirt lets it have 247, a file 255 in all */
#define MOST_INTENT (4 * (gsize) VP_XML_MAX_BYTES) /* three documents, and what escaping them takes */
#define MOST_VERSIONS 2048 /* of one intent; each has what those before it had, so the oldest go */

struct VpIntents {
  VpRoot *root;
  char *folder;
  GMutex mutex;     /* guards all below */
  GHashTable *open; /* char *, a domain -> Open */
};

typedef struct {
  char *id; /* of its versions */
  gboolean has_carry;
  gboolean settled; /* closed, but its file could not be removed */
} Open;

static void
open_free (Open *open)
{
  g_free (open->id);
  g_free (open);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Open, open_free)

VpIntents *
vp_intents_new (const char *folder, GError **error)
{
  g_autofree char *parent = g_path_get_dirname (folder);
  g_autofree char *name = g_path_get_basename (folder);
  g_autoptr (VpRoot) above = vp_root_open (parent, error);

  if (above == NULL || !vp_root_make_folder (above, name, error))
    return NULL;
  g_autoptr (VpRoot) root = vp_root_open (folder, error);
  if (root == NULL)
    return NULL;
  VpIntents *intents = g_new0 (VpIntents, 1);
  intents->root = g_steal_pointer (&root);
  intents->folder = g_strdup (folder);
  g_mutex_init (&intents->mutex);
  intents->open = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) open_free);
  return intents;
}

void
vp_intents_free (VpIntents *intents)
{
  if (intents == NULL)
    return;
  vp_root_free (intents->root);
  g_hash_table_unref (intents->open);
  g_mutex_clear (&intents->mutex);
  g_free (intents->folder);
  g_free (intents);
}

VpRoot *
vp_intents_get_root (VpIntents *intents)
{
  return intents->root;
}

void
vp_intent_free (VpIntent *intent)
{
  if (intent == NULL)
    return;
  g_free (intent->id);
  vp_domain_free (intent->base);
  vp_domain_free (intent->carry);
  vp_domain_free (intent->written);
  g_free (intent);
}

/* --- versions --- */

static char *
dup_file (const char *domain, const char *id, guint64 serial, const char *kind)
{
  return g_strdup_printf (PREFIX "%s/%s.%020" G_GUINT64_FORMAT ".%s", domain, id, serial, kind);
}

static gboolean
save_file (const VpIntents *intents, const char *domain, const char *id, guint64 serial, const char *kind,
           const char *text)
{
  g_autofree char *path = dup_file (domain, id, serial, kind);
  g_autoptr (GError) error = NULL;

  if (vp_root_store_unsynced (intents->root, path, text, &error))
    return TRUE;
  g_warning ("domain '%s': a version of its definition could not be saved: %s", domain, error->message);
  return FALSE;
}

/* A full disk may still have room for an empty file. */
static void
save_version (const VpIntents *intents, const char *domain, const char *id, const VpVersion *version)
{
  gsize length = 0;
  const char *data = version->text != NULL ? g_bytes_get_data (version->text, &length) : NULL;
  g_autofree char *text = data != NULL ? g_strndup (data, length) : NULL;
  gboolean missed = version->missed || (!version->deleted && text == NULL);

  if (version->deleted)
    (void) save_file (intents, domain, id, version->serial, "deleted", "");
  else if (text != NULL)
    missed = !save_file (intents, domain, id, version->serial, "xml", text) || missed;
  if (missed)
    (void) save_file (intents, domain, id, version->serial, "missed", "");
}

/* NULL: it is not open. */
static char *
dup_open (VpIntents *intents, const char *domain)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&intents->mutex);
  const Open *open = g_hash_table_lookup (intents->open, domain);

  return open != NULL && !open->settled ? g_strdup (open->id) : NULL;
}

void
vp_intents_note_version (VpIntents *intents, const char *domain, const VpVersion *version)
{
  g_autofree char *id = dup_open (intents, domain);

  if (id != NULL)
    save_version (intents, domain, id, version);
}

static VpVersion *
get_version (GPtrArray *versions, guint64 serial)
{
  VpVersion *last = versions->len > 0 ? versions->pdata[versions->len - 1] : NULL;

  if (last != NULL && last->serial == serial)
    return last;
  last = g_new0 (VpVersion, 1);
  last->serial = serial;
  g_ptr_array_add (versions, last);
  return last;
}

/* What is there and cannot be read now is read later; what nobody ever can is a version that was missed. */
static gboolean
load_text (const VpIntents *intents, const char *path, VpVersion *version, GError **error)
{
  g_autoptr (GError) problem = NULL;
  char *text = vp_root_load_own (intents->root, path, VP_XML_MAX_BYTES, &problem);

  if (g_error_matches (problem, VP_ERROR, VP_ERROR_HOST)) {
    g_propagate_error (error, g_steal_pointer (&problem));
    return FALSE;
  }
  version->text = text != NULL ? g_bytes_new_take (text, strlen (text)) : NULL;
  return TRUE;
}

/* "ID.SERIAL.KIND", in the order of serials, because names are sorted. */
static gboolean
load_version (const VpIntents *intents, const char *domain, const char *name, const char *id, GPtrArray *versions,
              GError **error)
{
  g_auto (GStrv) parts = g_strsplit (name, ".", 3);
  g_autofree char *path = g_strdup_printf (PREFIX "%s/%s", domain, name);
  guint64 serial = 0;

  if (g_strv_length (parts) != 3 || strcmp (parts[0], id) != 0 || strlen (parts[1]) != SERIAL_DIGITS ||
      !g_ascii_string_to_unsigned (parts[1], 10, 0, G_MAXUINT64, &serial, NULL))
    return TRUE;
  VpVersion *version = get_version (versions, serial);
  if (strcmp (parts[2], "missed") == 0) {
    version->missed = TRUE;
  } else if (strcmp (parts[2], "deleted") == 0) {
    version->deleted = TRUE;
  } else if (strcmp (parts[2], "xml") == 0) {
    return load_text (intents, path, version, error);
  }
  return TRUE;
}

GPtrArray *
vp_intents_load_versions (const VpIntents *intents, const char *domain, const VpIntent *intent, GError **error)
{
  g_autoptr (GPtrArray) versions = g_ptr_array_new_with_free_func ((GDestroyNotify) vp_version_free);
  g_autofree char *folder = g_strconcat (PREFIX, domain, NULL);
  g_auto (GStrv) names = vp_root_read_folder (intents->root, folder, error);

  if (names == NULL)
    return NULL;
  for (guint i = 0; names[i] != NULL; i++)
    if (!load_version (intents, domain, names[i], intent->id, versions, error))
      return NULL;
  if (versions->len > MOST_VERSIONS)
    g_ptr_array_remove_range (versions, 0, versions->len - MOST_VERSIONS);
  return g_steal_pointer (&versions);
}

/* --- the intent --- */

static void
set_text (GKeyFile *file, const char *key, const VpDomain *domain)
{
  g_autofree char *text = domain != NULL ? vp_domain_dup_text (domain) : NULL;

  if (text != NULL)
    g_key_file_set_string (file, "intent", key, text);
}

static char *
dup_intent (const VpWrite *write, const char *id)
{
  g_autoptr (GKeyFile) file = g_key_file_new ();

  g_key_file_set_integer (file, "intent", "version", 1);
  g_key_file_set_string (file, "intent", "id", id);
  set_text (file, "base", write->base);
  set_text (file, "carry", write->carry);
  set_text (file, "written", write->written);
  return g_key_file_to_data (file, NULL, NULL);
}

static char *
dup_intent_path (const char *domain)
{
  return g_strdup_printf (PREFIX "%s/intent", domain);
}

/* Versions of intents that this one took the place of; a damaged one is a person's. */
static void
remove_old (const VpIntents *intents, const char *domain, const char *id)
{
  g_autofree char *folder = g_strconcat (PREFIX, domain, NULL);
  g_auto (GStrv) names = vp_root_list (intents->root, folder);

  for (guint i = 0; names[i] != NULL; i++) {
    g_autofree char *path = g_build_filename (folder, names[i], NULL);
    if (!g_str_has_prefix (names[i], "intent") && !g_str_has_prefix (names[i], id))
      (void) vp_root_remove_unsynced (intents->root, path, NULL); /* they are looked at no more */
  }
}

static Open *
open_new (const char *id, gboolean has_carry)
{
  Open *open = g_new0 (Open, 1);

  open->id = g_strdup (id);
  open->has_carry = has_carry;
  return open;
}

/* `open` NULL: none is from now on. What was there before is the caller's; NULL: nothing. */
static Open *
exchange_open (VpIntents *intents, const char *domain, Open *open)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&intents->mutex);
  g_autofree char *key = NULL;
  Open *before = NULL;

  (void) g_hash_table_steal_extended (intents->open, domain, (gpointer *) &key, (gpointer *) &before);
  if (open != NULL)
    g_hash_table_insert (intents->open, g_strdup (domain), open);
  return before;
}

gboolean
vp_intents_open (VpIntents *intents, const char *domain, const VpWrite *write, const GPtrArray *versions,
                 GError **error)
{
  g_autofree char *folder = g_strconcat (PREFIX, domain, NULL);
  g_autofree char *path = dup_intent_path (domain);
  g_autofree char *id = vp_write_id_new ();
  g_autofree char *text = dup_intent (write, id);

  if (!vp_root_make_folder (intents->root, folder, error))
    return FALSE;
  g_autoptr (Open) before = exchange_open (intents, domain, open_new (id, write->carry != NULL));
  for (guint i = 0; i < versions->len; i++)
    save_version (intents, domain, id, versions->pdata[i]);
  if (!vp_root_store (intents->root, path, text, error)) {
    open_free (exchange_open (intents, domain, g_steal_pointer (&before)));
    return FALSE;
  }
  remove_old (intents, domain, id);
  return TRUE;
}

/* What cannot be looked at now is there. */
static gboolean
has_file (const VpIntents *intents, const char *path)
{
  struct stat info;

  return vp_root_stat (intents->root, path, &info) || (errno != ENOENT && errno != ENOTDIR);
}

gboolean
vp_intents_has (VpIntents *intents, const char *domain)
{
  g_autofree char *path = dup_intent_path (domain);
  /* Without the mutex, for which the watch would wait: who asks is the only one that changes the table. */
  const Open *open = g_hash_table_lookup (intents->open, domain);

  return (open == NULL || !open->settled) && has_file (intents, path);
}

void
vp_intents_close (VpIntents *intents, const char *domain)
{
  g_autoptr (Open) open = exchange_open (intents, domain, NULL);
  /* Should the intent come back after a power cut, it would put back what was put back already. */
  gboolean matters = open == NULL || open->has_carry;
  g_autofree char *path = dup_intent_path (domain);
  g_autoptr (GError) error = NULL;

  if (!has_file (intents, path))
    return;
  /* First the intent: versions without one mean nothing. */
  if (!(matters ? vp_root_remove : vp_root_remove_unsynced) (intents->root, path, &error)) {
    if (open == NULL || !open->settled)
      g_warning ("domain '%s': what was noted of its last change cannot be removed: %s", domain, error->message);
    Open *settled = open_new ("-", matters);
    settled->settled = TRUE;
    (void) exchange_open (intents, domain, settled);
    return;
  }
  remove_old (intents, domain, "-");
}

void
vp_intents_forget (VpIntents *intents, const char *domain)
{
  g_autofree char *folder = g_strconcat (PREFIX, domain, NULL);

  vp_intents_close (intents, domain);
  (void) vp_root_clear_folder (intents->root, folder, NULL); /* an empty one does no harm */
}

static VpDomain *
get_document (GKeyFile *file, const char *key, GError **error)
{
  g_autofree char *text = g_key_file_get_string (file, "intent", key, error);

  return text != NULL ? vp_domain_parse (text, strlen (text), key, error) : NULL;
}

static VpIntent *
parse_intent (const char *text, GError **error)
{
  g_autoptr (GKeyFile) file = g_key_file_new ();
  g_autoptr (VpIntent) intent = g_new0 (VpIntent, 1);

  if (!g_key_file_load_from_data (file, text, strlen (text), G_KEY_FILE_NONE, error))
    return NULL;
  intent->id = g_key_file_get_string (file, "intent", "id", error);
  intent->base = intent->id != NULL ? get_document (file, "base", error) : NULL;
  intent->written = intent->base != NULL ? get_document (file, "written", error) : NULL;
  if (intent->written == NULL)
    return NULL;
  if (g_key_file_has_key (file, "intent", "carry", NULL)) {
    intent->carry = get_document (file, "carry", error);
    if (intent->carry == NULL)
      return NULL;
  }
  return g_steal_pointer (&intent);
}

/* An older one that was damaged stays. */
static void
set_aside (const VpIntents *intents, const char *domain, GError *problem)
{
  g_autofree char *path = dup_intent_path (domain);
  g_autofree char *id = vp_write_id_new ();
  g_autofree char *name = g_strdup_printf ("intent.damaged-%.8s", id);
  g_autoptr (GError) error = NULL;

  if (vp_root_rename (intents->root, path, name, &error))
    g_prefix_error (&problem, "%s/%s is damaged, and is called %s now: ", intents->folder, path, name);
  else
    g_prefix_error (&problem, "%s/%s is damaged, and stays (%s): ", intents->folder, path, error->message);
}

VpIntent *
vp_intents_load (VpIntents *intents, const char *domain, GError **error)
{
  g_autofree char *path = dup_intent_path (domain);
  g_autoptr (GError) problem = NULL;
  g_autofree char *text = NULL;

  if (!vp_intents_has (intents, domain))
    return NULL;
  text = vp_root_load_own (intents->root, path, MOST_INTENT, &problem);
  VpIntent *intent = text != NULL ? parse_intent (text, &problem) : NULL;
  if (intent != NULL)
    return intent;
  if (!g_error_matches (problem, VP_ERROR, VP_ERROR_HOST)) /* what cannot be read now is not damaged */
    set_aside (intents, domain, problem);
  vp_conf_clean_error (problem); /* GKeyFile quotes what it could not read */
  g_propagate_error (error, g_steal_pointer (&problem));
  return NULL;
}

GStrv
vp_intents_list (const VpIntents *intents)
{
  g_auto (GStrv) names = vp_root_list (intents->root, ".");
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();

  for (guint i = 0; names[i] != NULL; i++)
    if (g_str_has_prefix (names[i], PREFIX))
      g_strv_builder_add (builder, names[i] + strlen (PREFIX));
  return g_strv_builder_end (builder);
}

char *
vp_intents_keep (const VpIntents *intents, const char *domain, const VpDomain *edit, GError **error)
{
  g_autofree char *id = vp_write_id_new (); /* two of one second */
  g_autofree char *start = g_strndup (domain, MOST_KEPT_NAME);
  g_autofree char *name = g_utf8_make_valid (start, -1);
  g_autofree char *path = g_strdup_printf (KEPT "/%s-%" G_GINT64_FORMAT "-%.8s.xml", name, (gint64) time (NULL), id);
  g_autofree char *text = vp_domain_dup_text (edit);
  g_auto (GStrv) kept = vp_root_list (intents->root, KEPT);

  if (g_strv_length (kept) >= MOST_KEPT) {
    g_set_error (error, VP_ERROR, VP_ERROR_IO, "%s/" KEPT " has %u files already: look at them, and remove them",
                 intents->folder, g_strv_length (kept));
    return NULL;
  }
  if (!vp_root_make_folder (intents->root, KEPT, error) || !vp_root_store (intents->root, path, text, error))
    return NULL;
  return g_build_filename (intents->folder, path, NULL);
}
