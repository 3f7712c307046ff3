/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libvirt's client API with this project's manners: GError, autoptr, and one way
 * to read and to write a definition. Never linked into anything that answers the
 * hook: while libvirt waits for the hook it holds the domain's lock.
 */
#pragma once

#include <libvirt/libvirt.h>

#include "plan/fleet.h"
#include "plan/plan.h"

G_BEGIN_DECLS

/* `what` says what was tried, "cannot read the definition of 'win10'"; libvirt's own reason follows. */
void vp_libvirt_set_error (GError **error, const char *format, ...) G_GNUC_PRINTF (2, 3);
/* Keeps libvirt from printing its errors itself. */
void vp_libvirt_be_silent (void);

/*
 * Only a libvirt on this host: what is planned holds for this host alone. Here and below what is returned is
 * the caller's, and NULL or FALSE comes with an error in libvirt's words.
 */
virConnectPtr vp_libvirt_open (const char *uri, GError **error);
gboolean vp_libvirt_is_session (virConnectPtr connection);

/* Of virDomainPtr, an owning array; `flags` are virConnectListAllDomains'. */
GPtrArray *vp_libvirt_list (virConnectPtr connection, unsigned flags, GError **error);
GPtrArray *vp_libvirt_domains_new (void); /* such an array, empty */

/* The stored definition with its secrets. A define without them would take the passwords away. */
VpDomain *vp_libvirt_read (virDomainPtr domain, GError **error);
/* The texts of this and of the live XML below; the caller's. */
char *vp_libvirt_dup_stored (virDomainPtr domain, GError **error);
char *vp_libvirt_dup_live (virDomainPtr domain, GError **error);
/* TRUE from the end of its start on; active it is before. */
gboolean vp_libvirt_is_running (virDomainPtr domain);
/* The XML of the guest that is active, without secrets. */
VpDomain *vp_libvirt_read_live (virDomainPtr domain, GError **error);
/* Stores the definition as it is. */
gboolean vp_libvirt_define (virConnectPtr connection, const VpDomain *domain, GError **error);
/* Takes our state out of the stored definition's metadata, in one step of libvirt's own: nobody's edit is overwritten. */
gboolean vp_libvirt_remove_state (virDomainPtr domain, GError **error);
/* The same way, the tag of the stored definition: as it is in `tagged`, or away. */
gboolean vp_libvirt_set_tag (virDomainPtr domain, const VpDomain *tagged, GError **error);

/* Where wrappers and profiles are, for the system's libvirt or the user's own. */
char *vp_libvirt_dup_wrapper_folder (gboolean session);
char *vp_libvirt_dup_run_folder (gboolean session);                      /* of the lock, the socket and the journal */
char *vp_libvirt_dup_config_folder (gboolean session);                   /* libvirt's, of its definitions */
VpProfiles *vp_libvirt_load_profiles (gboolean session, GError **error); /* with the rules */
GStrv vp_libvirt_list_rule_folders (gboolean session);                   /* the last is the one to write to */
/* This machine, as planning for that connection sees it. */
VpHost *vp_libvirt_load_host (gboolean session, unsigned long libvirt_version, GError **error);

/* A domain as it was when all were listed. */
typedef struct {
  virDomainPtr handle;
  gboolean active;
  VpDomain *stored; /* NULL: it is transient, or cannot be read */
  VpDomain *live;   /* NULL: it does not run, or cannot be read */
} VpListed;

/* Of VpListed, an owning array: all domains of that libvirt, which is asked no more than once for each definition. */
GPtrArray *vp_libvirt_read_all (virConnectPtr connection, GError **error);
/* Of these, settled. `instead`: what a domain of that UUID is about to be; NULL: none is. The caller's. */
VpFleet *vp_libvirt_new_fleet (const GPtrArray *all, const VpHost *host, const VpProfiles *profiles,
                               const VpDomain *instead);
/* The two in one, for whoever has no need of the definitions. `instead`: what a domain of that UUID is about to be; NULL: none is. */
VpFleet *vp_libvirt_load_fleet (virConnectPtr connection, const VpHost *host, const VpProfiles *profiles,
                                const VpDomain *instead, GError **error);

/* UUIDs of the domains that run; NULL-ended. */
GStrv vp_libvirt_list_running (virConnectPtr connection, GError **error);

/* Makes what must be there before libvirt sees the result: the wrapper that it names. `changed`: it was not yet. */
gboolean vp_libvirt_prepare_files (const VpPlan *plan, const VpHost *host, gboolean *changed, GError **error);

/* Lets libvirt probe an emulator now: it takes seconds, which a define or a start would wait for. */
void vp_libvirt_warm (virConnectPtr connection, const char *emulator);

static inline void
vp_libvirt_close (virConnectPtr connection)
{
  (void) virConnectClose (connection);
}

static inline void
vp_libvirt_free_domain (virDomainPtr domain)
{
  (void) virDomainFree (domain);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (virConnect, vp_libvirt_close)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (virDomain, vp_libvirt_free_domain)

G_END_DECLS
