/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where a command's input comes from: libvirt or a file, this machine or a
 * recorded one, the standard profiles or others. Reads, and changes nothing.
 */
#pragma once

#include "libvirt/libvirt-client.h"

G_BEGIN_DECLS

/* The options that say it; the entries below point into this, and vp_source_clear frees what they put there. */
typedef struct {
  char *uri;       /* NULL: libvirt's default */
  char *topology;  /* NULL: this machine's */
  char *sysfs;     /* NULL: this machine's, or none beside a topology */
  char **profiles; /* folders; NULL: the standard ones */
  char **rules;    /* folders; NULL: the standard ones, or none beside folders of profiles */
} VpSource;

/* clang-format off */
#define VP_SOURCE_ENTRY_CONNECT(source) \
  { "connect", 'c', 0, G_OPTION_ARG_STRING, &(source)->uri, "libvirt's URI: qemu:///system or qemu:///session", "URI" }
#define VP_SOURCE_ENTRY_PROFILES(source) \
  { "profiles", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &(source)->profiles, \
    "Take profiles from DIR instead of the standard folders (repeatable)", "DIR" }
#define VP_SOURCE_ENTRY_RULES(source) \
  { "rules", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &(source)->rules, \
    "Take rules from DIR instead of the standard folders (repeatable)", "DIR" }
#define VP_SOURCE_ENTRIES_HOST(source) \
  { "topology", 0, 0, G_OPTION_ARG_FILENAME, &(source)->topology, \
    "The host's CPUs from an hwloc XML file or a synthetic description", "FILE-OR-SYNTHETIC" }, \
  { "sysfs", 0, 0, G_OPTION_ARG_FILENAME, &(source)->sysfs, \
    "The host's pages, devices and isolated CPUs from a recorded /sys", "DIR" }
#define VP_SOURCE_ENTRIES(source) \
  VP_SOURCE_ENTRY_CONNECT (source), \
  VP_SOURCE_ENTRIES_HOST (source), \
  VP_SOURCE_ENTRY_PROFILES (source), \
  VP_SOURCE_ENTRY_RULES (source)
/* clang-format on */

/* Frees what the options put into it, not the struct. */
void vp_source_clear (VpSource *source);

/* Whether it is the user's own libvirt: as the URI says, else as libvirt's default for this user is. */
gboolean vp_source_is_session (const VpSource *source);

/* With the rules, where there are any. The caller's reference. */
VpProfiles *vp_source_load_profiles (const VpSource *source, gboolean session, GError **error);
/* The caller's; the last is the one to write to. */
GStrv vp_source_list_rule_folders (const VpSource *source, gboolean session);
/*
 * Another host than this one: its wrappers are where a system's are. `topology`: a description or a file, NULL for
 * this machine's CPUs; `root` has its pages, devices and isolated CPUs, NULL for none. The caller's.
 */
VpHost *vp_source_load_recorded (const char *topology, const VpRoot *root, unsigned long libvirt_version,
                                 GError **error);

/* "-" is stdin. The caller's. */
VpDomain *vp_source_read_file (const char *path, GError **error);

/* By name or UUID. The caller's; an error says where it was looked for. */
virDomainPtr vp_source_find_domain (virConnectPtr connection, const char *name, GError **error);

/* What a command works with, as the options say it. */
typedef struct {
  const VpSource *source;   /* borrowed, for as long as this is there */
  virConnectPtr connection; /* NULL: no libvirt is asked */
  gboolean session;
  unsigned long libvirt_version; /* of the one asked, else of the one that we are linked with; 0: not known */
  VpProfiles *profiles;          /* NULL until they are loaded, both of them */
  VpHost *host;
} VpInput;

/* The caller's. `asks`: opens the connection, for whoever takes definitions from libvirt and not from files. */
VpInput *vp_input_new (const VpSource *source, gboolean asks, GError **error);
void vp_input_free (VpInput *input);
/* Once each. The first for whoever has no need of profiles; the second loads the profiles, then the host. */
gboolean vp_input_load_host (VpInput *input, GError **error);
gboolean vp_input_load (VpInput *input, GError **error);
/* Of a definition as a domain of the connection's, beside the others there; all is loaded. The caller's. */
VpPlan *vp_input_plan (const VpInput *input, const VpDomain *domain, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpInput, vp_input_free)
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (VpSource, vp_source_clear)

G_END_DECLS
