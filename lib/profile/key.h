/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What can be asked for: the table of keys, and settings, which are values of them.
 * vfio-profile.conf(5) explains the keys to people; a test holds table, manual and
 * schema together. Knows no file.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef enum {
  VP_KEY_CPU_PIN,
  VP_KEY_CPU_RESERVE_CORES,
  VP_KEY_CPU_KIND,
  VP_KEY_CPU_CACHE,
  VP_KEY_CPU_TOPOLOGY,
  VP_KEY_CPU_NUMA,
  VP_KEY_CPU_CONFLICT,
  VP_KEY_CPU_ISOLATE,
  VP_KEY_CPU_IRQS,
  VP_KEY_CPU_GOVERNOR,
  VP_KEY_MEMORY_PAGE_SIZE,
  VP_KEY_MEMORY_ALLOCATE,
  VP_KEY_MEMORY_DEADLINE,
  VP_KEY_MEMORY_NOSHAREPAGES,
  VP_KEY_HYPERVISOR_KVM_HIDDEN,
  VP_KEY_HYPERVISOR_HYPERV,
  VP_KEY_HYPERVISOR_VENDOR_ID,
  VP_KEY_HYPERVISOR_HINT_DEDICATED,
  VP_KEY_VGA_X_VGA,
  VP_KEY_VGA_METHOD,
  VP_KEY_DEVICES_BOOT_VGA,
  VP_KEY_DEVICES_TRIM,
  VP_KEY_DEVICES_HANDOVER,
  VP_KEY_DEVICES_HANDOVER_UNITS,
  VP_KEY_DEVICES_HANDOVER_SESSIONS,
  VP_KEY_DEVICES_HANDOVER_DEADLINE,
  VP_KEY_DEVICES_HANDOVER_FIRMWARE_CONSOLE,
  VP_KEY_START_ON_STALE,
  VP_N_KEYS
} VpKey;

typedef enum { VP_TOPOLOGY_KEEP, VP_TOPOLOGY_MATCH } VpGuestTopology;
typedef enum { VP_NUMA_STRICT, VP_NUMA_PREFERRED, VP_NUMA_EXPOSE } VpNuma;
typedef enum { VP_CONFLICT_SHARE, VP_CONFLICT_REFUSE } VpConflict;
typedef enum { VP_ISOLATE_NO, VP_ISOLATE_YES } VpIsolateCpus;
typedef enum { VP_IRQS_KEEP, VP_IRQS_MOVE } VpIrqs;
typedef enum { VP_GOVERNOR_KEEP, VP_GOVERNOR_PERFORMANCE } VpGovernor;
typedef enum { VP_ALLOCATE_NO, VP_ALLOCATE_YES } VpAllocate;
typedef enum { VP_HIDDEN_KEEP, VP_HIDDEN_ON, VP_HIDDEN_AUTO } VpHidden;
typedef enum { VP_HYPERV_KEEP, VP_HYPERV_REMOVE, VP_HYPERV_SPOOF, VP_HYPERV_FULL } VpHyperv;
typedef enum { VP_HINT_KEEP, VP_HINT_AUTO } VpHintDedicated;
typedef enum { VP_X_VGA_OFF, VP_X_VGA_ON, VP_X_VGA_AUTO } VpXVga;
typedef enum { VP_METHOD_WRAPPER, VP_METHOD_OVERRIDE } VpMethod;
typedef enum { VP_BOOT_VGA_ALLOW, VP_BOOT_VGA_REFUSE } VpBootVga;
typedef enum { VP_TRIM_NO, VP_TRIM_YES } VpTrim;
typedef enum { VP_HANDOVER_NO, VP_HANDOVER_YES } VpHandoverWish; /* of the sessions' and the firmware's key, too */
typedef enum { VP_STALE_REFUSE, VP_STALE_START, VP_STALE_RETRY } VpStale;

typedef struct {
  const char *section;
  const char *name;
  const char *fallback;      /* the value where no profile says anything */
  const char *choices[6];    /* the words that it takes, in the order of its enum; NULL-ended */
  const char *pattern;       /* a regular expression for what it takes beside them; NULL: nothing */
  const char *pattern_words; /* the same for people: "a number from 0 to 4096" */
} VpKeyInfo;

const VpKeyInfo *vp_key_info (VpKey key); /* static */
/*
 * FALSE and VP_ERROR_TAG, which lists what is allowed; `where` names the file or the tag. `name` NULL: any key of
 * that section.
 */
gboolean vp_key_find (const char *section, const char *name, const char *where, VpKey *key, GError **error);
gboolean vp_key_check (VpKey key, const char *value, const char *where, GError **error);
char *vp_key_dup_allowed (VpKey key); /* "refuse, start, retry", the caller's; for messages and the manual's test */

/* Values by key; NULL where nothing was said. */
typedef struct {
  char *values[VP_N_KEYS];
} VpSettings;

VpSettings *vp_settings_new (void);           /* nothing is said */
void vp_settings_free (VpSettings *settings); /* may be NULL */
/* What `over` says goes over what was said; copied. */
void vp_settings_overlay (VpSettings *settings, const VpSettings *over);
/* Borrowed; the fallback where nothing was said. */
const char *vp_settings_get (const VpSettings *settings, VpKey key);
/* Position in choices; -1: it matches the pattern. */
int vp_settings_choice (const VpSettings *settings, VpKey key);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpSettings, vp_settings_free)

G_END_DECLS
