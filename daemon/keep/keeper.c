/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When to look at which domain. What is done then is in prepare.c and live.c. */
#include "daemon/keep/keeper.h"

#include <libvirt/virterror.h>

#include "base/error.h"
#include "daemon/keep/roster.h"
#include "daemon/keep/tune.h"
#include "domain/drift.h"
#include "edits/prepare.h"

#define BURST_MS 60 /* edits that follow closer than this are waited out, so that they don't meet our define */
#define LONGEST_BURST_MS 600
#define FREE_SECONDS 5     /* for one that was not stopped before */
#define QUIET_MS 100       /* without an edit, before anything is written where the watch may be late */
#define MOST_QUIET_MS 2000 /* a quarter of the time that somebody edits already, up to that */
#define QUIET_SHARE 4
#define LONGEST_QUIET_MS 600000
#define LONGEST_UNSETTLED_MS 10000 /* while an edit is away that has to be put back */
#define UNSETTLED_MS 1000          /* until a define that was not brought to its end is taken up again */
#define PASSING_MS 5000 /* until what failed for want of a file is tried again: a disk that is full, no descriptors */

typedef struct {
  VpKeeper *keeper;
  char *name;
  guint timer;        /* 0: no look is planned */
  gint64 burst_since; /* monotonic; 0: the look that is planned is at once, or later */
  gboolean is_behind; /* it is in the keeper's queue */
  gboolean is_later;  /* the look that is planned is another try, and whoever touches the domain comes first */
  VpWritten written;  /* our last define */
  char *last_error;   /* so that it is logged once */
  char *last_drift;
  gboolean start_wanted; /* on-stale = retry */
  gboolean tune_wanted;  /* on-stale = start */
} Entry;

struct VpKeeper {
  VpLedger *ledger;
  VpBook *book;
  VpVersions *versions;
  VpIntents *intents;
  void (*wrapper_made) (gpointer data);
  gpointer data;
  VpRoster *roster;
  VpRoot *root;
  gboolean session;
  virConnectPtr connection;
  GHashTable *entries; /* name -> Entry */
  GQueue behind; /* of Entry: those that nobody touched, one a turn of the loop, when nothing else is to be done */
  guint behind_source;   /* 0: it is empty */
  GAsyncQueue *requests; /* of Request: the gate's; one idle source each */

  GMutex mutex; /* guards all below */
  GCond start_ended;
  guint starts; /* threads that start a domain */
  gboolean stopping;
};

typedef struct {
  char *domain;
  VpAfter after;
} Request;

static void
request_free (gpointer data)
{
  Request *request = data;

  g_free (request->domain);
  g_free (request);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Request, request_free)

static void
leave_behind (Entry *entry)
{
  if (entry->is_behind)
    (void) g_queue_remove (&entry->keeper->behind, entry);
  entry->is_behind = FALSE;
}

static void
entry_free (Entry *entry)
{
  if (entry->timer != 0)
    g_source_remove (entry->timer);
  leave_behind (entry);
  g_free (entry->name);
  vp_written_clear (&entry->written);
  g_free (entry->last_error);
  g_free (entry->last_drift);
  g_free (entry);
}

static Entry *
get_entry (VpKeeper *keeper, const char *name)
{
  Entry *entry = g_hash_table_lookup (keeper->entries, name);

  if (entry == NULL) {
    entry = g_new0 (Entry, 1);
    entry->keeper = keeper;
    entry->name = g_strdup (name);
    g_hash_table_insert (keeper->entries, entry->name, entry);
  }
  return entry;
}

VpKeeper *
vp_keeper_new (VpLedger *ledger, VpBook *book, VpVersions *versions, VpIntents *intents, gboolean session,
               void (*wrapper_made) (gpointer data), gpointer data)
{
  VpKeeper *keeper = g_new0 (VpKeeper, 1);

  keeper->ledger = ledger;
  keeper->book = book;
  keeper->versions = versions;
  keeper->intents = intents;
  keeper->wrapper_made = wrapper_made;
  keeper->data = data;
  keeper->session = session;
  keeper->root = vp_root_open ("/", NULL); /* without it drift is not seen, and the host was not read either */
  keeper->roster = vp_roster_new (versions);
  keeper->entries = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify) entry_free);
  g_queue_init (&keeper->behind);
  keeper->requests = g_async_queue_new_full (request_free);
  g_mutex_init (&keeper->mutex);
  g_cond_init (&keeper->start_ended);
  return keeper;
}

gboolean
vp_keeper_stop (VpKeeper *keeper, gint64 deadline)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&keeper->mutex);

  keeper->stopping = TRUE;
  while (keeper->starts > 0)
    if (!g_cond_wait_until (&keeper->start_ended, &keeper->mutex, deadline))
      return FALSE;
  return TRUE;
}

void
vp_keeper_free (VpKeeper *keeper)
{
  if (keeper == NULL || !vp_keeper_stop (keeper, g_get_monotonic_time () + FREE_SECONDS * G_TIME_SPAN_SECOND))
    return;
  while (g_source_remove_by_user_data (keeper))
    ;
  g_async_queue_unref (keeper->requests);
  g_mutex_clear (&keeper->mutex);
  g_cond_clear (&keeper->start_ended);
  g_hash_table_unref (keeper->entries);
  vp_roster_free (keeper->roster);
  vp_root_free (keeper->root);
  g_free (keeper);
}

void
vp_keeper_set_connection (VpKeeper *keeper, virConnectPtr connection)
{
  keeper->connection = connection;
  vp_roster_expire (keeper->roster, NULL);
}

typedef struct {
  VpKeeper *keeper;
  virDomainPtr domain;
} Start;

/* FALSE: the daemon ends. */
static gboolean
count_start (VpKeeper *keeper)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&keeper->mutex);

  if (!keeper->stopping)
    keeper->starts++;
  return !keeper->stopping;
}

/* The last that a start's thread does with the keeper. */
static void
uncount_start (VpKeeper *keeper)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&keeper->mutex);

  keeper->starts--;
  g_cond_broadcast (&keeper->start_ended);
}

/* A start takes seconds and its hook asks our gate: not in the main thread. */
static gpointer
start_thread (gpointer data)
{
  Start *start = data;
  const char *name = virDomainGetName (start->domain);

  if (virDomainCreate (start->domain) == 0) {
    g_message ("domain '%s': started, as its on-stale asks", name);
  } else {
    g_autoptr (GError) error = NULL;
    vp_libvirt_set_error (&error, "domain '%s': prepared, but it could not be started again", name);
    g_warning ("%s", error->message);
  }
  vp_ledger_end_start (start->keeper->ledger, name);
  (void) virDomainFree (start->domain);
  uncount_start (start->keeper);
  g_free (start);
  return NULL;
}

static void
start_domain (Entry *entry)
{
  VpKeeper *keeper = entry->keeper;
  g_autoptr (virDomain) domain = virDomainLookupByName (keeper->connection, entry->name);

  entry->start_wanted = FALSE;
  if (domain == NULL || !count_start (keeper))
    return;
  if (!vp_ledger_begin_start (keeper->ledger, entry->name)) {
    uncount_start (keeper);
    return;
  }
  Start *start = g_new0 (Start, 1);
  start->keeper = keeper;
  start->domain = g_steal_pointer (&domain);
  g_thread_unref (g_thread_new ("start", start_thread, start));
}

static void
log_error_once (Entry *entry, const char *message)
{
  if (g_strcmp0 (entry->last_error, message) == 0)
    return;
  g_free (entry->last_error);
  entry->last_error = g_strdup (message);
  g_warning ("domain '%s': not prepared: %s", entry->name, message);
}

/* A look at one domain may show that another must be looked at. */
static gboolean on_timer (gpointer data);
static gboolean on_behind (gpointer data);

static void
plan_look (Entry *entry, guint delay_ms)
{
  if (entry->timer != 0)
    g_source_remove (entry->timer);
  entry->timer = g_timeout_add (delay_ms, on_timer, entry);
  entry->is_later = FALSE;
}

static void
plan_later (Entry *entry, guint delay_ms)
{
  plan_look (entry, delay_ms);
  entry->is_later = TRUE;
}

/* Behind whoever edits, asks or waits. */
static void
plan_behind (Entry *entry)
{
  VpKeeper *keeper = entry->keeper;

  if (entry->is_behind)
    return;
  entry->is_behind = TRUE;
  g_queue_push_tail (&keeper->behind, entry);
  if (keeper->behind_source == 0)
    keeper->behind_source = g_idle_add (on_behind, keeper);
}

/* Reads the domain, and settles where it and all others are to be placed; who moves by that is looked at, too. */
static void
settle (Entry *entry, VpHost *host, VpProfiles *profiles, VpSeen *seen)
{
  VpKeeper *keeper = entry->keeper;

  vp_roster_look (keeper->roster, keeper->connection, entry->name, host, profiles, seen);
  if (vp_roster_get_fleet (keeper->roster) != NULL)
    vp_book_set_running (keeper->book, vp_roster_get_fleet (keeper->roster), g_get_monotonic_time ());
  g_autoptr (GPtrArray) moved = vp_roster_take_moved (keeper->roster);
  for (guint i = 0; i < moved->len; i++) {
    Entry *other = g_hash_table_lookup (keeper->entries, moved->pdata[i]);
    if (other != NULL && other != entry)
      plan_behind (other);
  }
}

/* A guest that runs keeps what it has until it is started anew; the administrator should know. */
static void
log_drift (Entry *entry, const VpHost *host, const VpDomain *live)
{
  g_autofree char *drift = NULL;

  if (live != NULL && vp_domain_tag (live) != NULL) {
    g_autoptr (VpGuestFacts) facts =
      vp_guest_facts_read (entry->keeper->root, entry->name, entry->keeper->session, vp_drift_needs_pages (live));
    g_autoptr (GPtrArray) lines = vp_drift_list (live, host, facts);
    g_ptr_array_add (lines, NULL);
    drift = lines->len > 1 ? g_strjoinv ("; ", (char **) lines->pdata) : NULL;
  }
  if (drift != NULL && g_strcmp0 (drift, entry->last_drift) != 0)
    g_warning ("domain '%s': not as it was planned: %s", entry->name, drift);
  g_free (entry->last_drift);
  entry->last_drift = g_steal_pointer (&drift);
}

/* Before they are plugged: libvirt puts them there. */
static void
tune_offline (Entry *entry, const VpHost *host, const VpProfiles *profiles, const VpSeen *seen)
{
  const VpDomain *live = seen->running ? seen->live : NULL;
  g_autoptr (VpBitmap) online = live != NULL ? vp_domain_new_online_vcpus (live) : NULL;
  g_autoptr (GError) error = NULL;

  if (online == NULL || (guint) hwloc_bitmap_weight (online) == vp_domain_vcpus (live, NULL))
    return;
  g_autoptr (VpNeighbours) neighbours = vp_roster_new_neighbours (entry->keeper->roster, entry->name);
  if (neighbours != NULL && !vp_tune_offline (seen->handle, live, host, profiles, neighbours, &error))
    g_warning ("domain '%s': vCPUs that are plugged would not run as planned: %s", entry->name, error->message);
}

/* The gate may ask at any moment: it is told of the neighbours before libvirt has the pins beside them. */
static gboolean
prepare (Entry *entry, VpHost *host, VpProfiles *profiles, VpSeen *seen, VpPrepareOutcome *outcome, GError **error)
{
  VpKeeper *keeper = entry->keeper;
  g_autofree char *uuid = seen->stored != NULL ? vp_domain_dup_uuid (seen->stored) : NULL;
  g_autoptr (VpNeighbours) neighbours = vp_roster_new_neighbours (keeper->roster, entry->name);
  gboolean made = FALSE;
  VpPrepareContext context = { .connection = keeper->connection,
                               .versions = keeper->versions,
                               .intents = keeper->intents,
                               .host = host,
                               .profiles = profiles,
                               .neighbours = neighbours,
                               .wrapper_made = &made,
                               .seen = seen };

  if (uuid != NULL)
    vp_ledger_begin_prepare (keeper->ledger, uuid, neighbours != NULL ? vp_neighbours_new_bare (neighbours) : NULL);
  gboolean done = vp_prepare_domain (&context, entry->name, &entry->written, outcome, error);
  if (uuid != NULL)
    vp_ledger_end_prepare (keeper->ledger, uuid, done);
  if (made)
    keeper->wrapper_made (keeper->data);
  return done;
}

/* Where the watch may be late, a short pause amid many edits is no end of them. */
static guint
pause_ms (const Entry *entry, gint64 now)
{
  gint64 age = entry->burst_since != 0 ? (now - entry->burst_since) / G_TIME_SPAN_MILLISECOND : 0;

  if (vp_versions_is_prompt (entry->keeper->versions))
    return BURST_MS;
  return (guint) CLAMP (age / QUIET_SHARE, QUIET_MS, MOST_QUIET_MS);
}

/* What was not brought to its end is taken up again: at once where somebody edits without a pause, else later. */
static void
fail_look (Entry *entry, const GError *error)
{
  gboolean is_busy = g_error_matches (error, VP_ERROR, VP_ERROR_BUSY);
  gboolean is_unsettled = vp_intents_has (entry->keeper->intents, entry->name);

  if (is_busy && is_unsettled) {
    entry->burst_since = g_get_monotonic_time ();
    plan_look (entry, pause_ms (entry, entry->burst_since));
    return;
  }
  log_error_once (entry, error->message);
  entry->start_wanted = FALSE;
  if (is_unsettled)
    plan_later (entry, UNSETTLED_MS);
  else if (g_error_matches (error, VP_ERROR, VP_ERROR_IO) || g_error_matches (error, VP_ERROR, VP_ERROR_HOST))
    plan_later (entry, PASSING_MS);
}

static void
look_at (Entry *entry)
{
  VpKeeper *keeper = entry->keeper;
  g_autoptr (VpHost) host = NULL;
  g_autoptr (VpProfiles) profiles = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (VpSeen) seen = { 0 };
  VpPrepareOutcome outcome = VP_PREPARE_GONE;

  if (keeper->connection == NULL || !vp_ledger_get (keeper->ledger, &host, &profiles))
    return; /* all are looked at once both are there */
  settle (entry, host, profiles, &seen);
  tune_offline (entry, host, profiles, &seen);
  log_drift (entry, host, seen.running ? seen.live : NULL);
  if (!prepare (entry, host, profiles, &seen, &outcome, &error)) {
    fail_look (entry, error);
    return;
  }
  if (outcome == VP_PREPARE_REPEATED)
    log_error_once (entry, "libvirt does not keep what is written; compare 'vfio-profile plan' with 'virsh dumpxml "
                           "--inactive'");
  else
    g_clear_pointer (&entry->last_error, g_free);
  if (entry->start_wanted)
    start_domain (entry);
  if (outcome == VP_PREPARE_GONE && !entry->tune_wanted)
    g_hash_table_remove (keeper->entries, entry->name);
}

static gboolean
on_timer (gpointer data)
{
  Entry *entry = data;

  entry->timer = 0;
  entry->burst_since = 0;
  leave_behind (entry);
  look_at (entry);
  return G_SOURCE_REMOVE;
}

/* One whose look is planned, and not as another try, is looked at then. */
static gboolean
on_behind (gpointer data)
{
  VpKeeper *keeper = data;
  Entry *entry = g_queue_peek_head (&keeper->behind);

  if (entry != NULL && entry->timer != 0 && !entry->is_later) {
    leave_behind (entry);
  } else if (entry != NULL) {
    if (entry->timer != 0)
      (void) g_source_remove (entry->timer);
    (void) on_timer (entry);
  }
  if (!g_queue_is_empty (&keeper->behind))
    return G_SOURCE_CONTINUE;
  keeper->behind_source = 0;
  return G_SOURCE_REMOVE;
}

static gint64
longest_burst_ms (const Entry *entry)
{
  if (vp_versions_is_prompt (entry->keeper->versions))
    return LONGEST_BURST_MS;
  return vp_intents_has (entry->keeper->intents, entry->name) ? LONGEST_UNSETTLED_MS : LONGEST_QUIET_MS;
}

/*
 * A define of ours a moment ago, and now an event: it is our own, or the next of many edits. Where the watch may
 * come late, no define is made amid edits, for it could overwrite one that nobody has read.
 */
static gboolean
is_burst (const Entry *entry, gint64 now)
{
  gboolean is_prompt = vp_versions_is_prompt (entry->keeper->versions);

  if (entry->burst_since != 0)
    return now - entry->burst_since < longest_burst_ms (entry) * G_TIME_SPAN_MILLISECOND;
  return !is_prompt || (entry->written.at != 0 && now - entry->written.at < BURST_MS * G_TIME_SPAN_MILLISECOND);
}

/* Its own look is put off; but whoever is placed meanwhile would go around it, and stay there. */
static void
forget_gone (VpKeeper *keeper, const char *domain)
{
  g_autoptr (virDomain) handle = keeper->connection != NULL ? virDomainLookupByName (keeper->connection, domain) : NULL;

  if (keeper->connection != NULL && handle == NULL && virGetLastErrorCode () == VIR_ERR_NO_DOMAIN)
    vp_roster_forget (keeper->roster, domain);
}

static void
touch (VpKeeper *keeper, const char *domain)
{
  Entry *entry = get_entry (keeper, domain);
  gint64 now = g_get_monotonic_time ();

  if (entry->timer != 0 && entry->burst_since == 0 && !entry->is_later)
    return; /* it is looked at in this very turn of the loop */
  if (!is_burst (entry, now)) {
    if (entry->timer == 0 || entry->is_later)
      plan_look (entry, 0);
    return;
  }
  if (entry->burst_since == 0)
    entry->burst_since = now;
  forget_gone (keeper, domain);
  plan_look (entry, pause_ms (entry, now));
}

void
vp_keeper_touch (VpKeeper *keeper, const char *domain)
{
  vp_roster_expire (keeper->roster, domain);
  touch (keeper, domain);
}

void
vp_keeper_touch_plugged (VpKeeper *keeper, const char *domain)
{
  hwloc_const_bitmap_t before = vp_roster_get_online (keeper->roster, domain);
  g_autoptr (virDomain) handle =
    before != NULL && keeper->connection != NULL ? virDomainLookupByName (keeper->connection, domain) : NULL;
  g_autoptr (VpDomain) live = handle != NULL ? vp_libvirt_read_live (handle, NULL) : NULL;

  if (live == NULL)
    return;
  g_autoptr (VpBitmap) now = vp_domain_new_online_vcpus (live);
  if (!hwloc_bitmap_isequal (before, now))
    vp_keeper_touch (keeper, domain);
}

/* All are read once, and looked at as they were read unless they change until then. */
void
vp_keeper_touch_all (VpKeeper *keeper)
{
  g_autoptr (VpHost) host = NULL;
  g_autoptr (VpProfiles) profiles = NULL;
  g_autoptr (GError) error = NULL;

  if (keeper->connection == NULL || !vp_ledger_get (keeper->ledger, &host, &profiles))
    return;
  if (!vp_roster_read_all (keeper->roster, keeper->connection, host, profiles, &error)) {
    g_warning ("%s", error->message);
    return;
  }
  g_autoptr (GPtrArray) names = vp_roster_list (keeper->roster);
  for (guint i = 0; i < names->len; i++) {
    Entry *entry = get_entry (keeper, names->pdata[i]);
    if (is_burst (entry, g_get_monotonic_time ()))
      touch (keeper, names->pdata[i]);
    else
      plan_behind (entry);
  }
  g_auto (GStrv) unsettled = vp_intents_list (keeper->intents);
  for (guint i = 0; unsettled[i] != NULL; i++)
    touch (keeper, unsettled[i]); /* some are of domains that are gone */
}

static gboolean
on_request (gpointer data)
{
  VpKeeper *keeper = data;
  g_autoptr (Request) request = g_async_queue_pop (keeper->requests);
  Entry *entry = get_entry (keeper, request->domain);

  vp_roster_expire (keeper->roster, request->domain);
  entry->burst_since = 0;
  entry->written.repeats = 0; /* somebody waits for it */
  entry->start_wanted = entry->start_wanted || request->after == VP_AFTER_PREPARE_AND_START;
  entry->tune_wanted = entry->tune_wanted || request->after == VP_AFTER_TUNE_LIVE;
  plan_look (entry, 0);
  return G_SOURCE_REMOVE;
}

void
vp_keeper_request (VpKeeper *keeper, const char *domain, VpAfter after)
{
  g_autoptr (GSource) source = g_idle_source_new ();
  Request *request = g_new0 (Request, 1);

  request->domain = g_strdup (domain);
  request->after = after;
  g_async_queue_push (keeper->requests, request);
  g_source_set_priority (source, G_PRIORITY_HIGH);
  g_source_set_callback (source, on_request, keeper, NULL);
  g_source_attach (source, NULL);
}

void
vp_keeper_started (VpKeeper *keeper, virDomainPtr domain)
{
  Entry *entry = g_hash_table_lookup (keeper->entries, virDomainGetName (domain));
  g_autoptr (VpHost) host = NULL;
  g_autoptr (VpProfiles) profiles = NULL;
  g_autoptr (GError) error = NULL;

  vp_keeper_touch (keeper, virDomainGetName (domain)); /* it holds its CPUs now */
  if (entry == NULL || !entry->tune_wanted || !vp_ledger_get (keeper->ledger, &host, &profiles))
    return;
  entry->tune_wanted = FALSE;
  g_auto (VpSeen) seen = { 0 };
  settle (entry, host, profiles, &seen);
  g_autoptr (VpNeighbours) neighbours = vp_roster_new_neighbours (keeper->roster, entry->name);
  if (!vp_tune_live (domain, host, profiles, neighbours, &error))
    g_warning ("domain '%s': it runs untuned: %s", virDomainGetName (domain), error->message);
}
