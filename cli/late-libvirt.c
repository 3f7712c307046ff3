/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libvirt, loaded when it is first called. It brings fifty libraries, and to load those takes longer than all that a
 * command does which asks no libvirt. Each function that the commands call stands here under its own name and hands
 * on; one that is missing here is no fault, but has libvirt linked as ever, and tests/unit/test-cli.py says so.
 */
#pragma GCC visibility push(hidden) /* libvirt itself must not find these in place of its own */
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#pragma GCC visibility pop

#include <dlfcn.h>
#include <glib.h>
#include <stdlib.h>

#include "base/number.h"
#include "config.h"

#define SONAME "libvirt.so.0"

/* As the dynamic linker: without it there is no program. */
static void *
find (const char *name)
{
  void *library = dlopen (SONAME, RTLD_NOW | RTLD_LOCAL);
  void *found = library != NULL ? dlsym (library, name) : NULL;

  if (found == NULL) {
    g_printerr ("vfio-profile: error while loading libvirt: %s\n", dlerror ());
    exit (127);
  }
  return found;
}

/* The function itself, looked for once. */
#define LOOK_UP(type, name, declared)                                                                                  \
  static gsize found;                                                                                                  \
                                                                                                                       \
  if (g_once_init_enter (&found))                                                                                      \
    g_once_init_leave (&found, (gsize) find (#name));                                                                  \
  type (*real) declared = (type (*) declared) found

#define HAND_ON(type, name, declared, passed)                                                                          \
  type name declared                                                                                                   \
  {                                                                                                                    \
    LOOK_UP (type, name, declared);                                                                                    \
    return real passed;                                                                                                \
  }

HAND_ON (int, virConnectClose, (virConnectPtr conn), (conn))
HAND_ON (char *, virConnectGetCapabilities, (virConnectPtr conn), (conn))
HAND_ON (char *, virConnectGetDomainCapabilities,
         (virConnectPtr conn, const char *emulatorbin, const char *arch, const char *machine, const char *virttype,
          unsigned int flags),
         (conn, emulatorbin, arch, machine, virttype, flags))
HAND_ON (int, virConnectGetLibVersion, (virConnectPtr conn, unsigned long *libVer), (conn, libVer))
HAND_ON (char *, virConnectGetURI, (virConnectPtr conn), (conn))
HAND_ON (int, virConnectIsAlive, (virConnectPtr conn), (conn))
HAND_ON (int, virConnectListAllDomains, (virConnectPtr conn, virDomainPtr **domains, unsigned int flags),
         (conn, domains, flags))
HAND_ON (virConnectPtr, virConnectOpen, (const char *name), (name))
HAND_ON (virDomainPtr, virDomainDefineXMLFlags, (virConnectPtr conn, const char *xml, unsigned int flags),
         (conn, xml, flags))
HAND_ON (int, virDomainFree, (virDomainPtr domain), (domain))
HAND_ON (unsigned int, virDomainGetID, (virDomainPtr domain), (domain))
HAND_ON (const char *, virDomainGetName, (virDomainPtr domain), (domain))
HAND_ON (int, virDomainGetState, (virDomainPtr domain, int *state, int *reason, unsigned int flags),
         (domain, state, reason, flags))
HAND_ON (int, virDomainGetUUIDString, (virDomainPtr domain, char *buf), (domain, buf))
HAND_ON (char *, virDomainGetXMLDesc, (virDomainPtr domain, unsigned int flags), (domain, flags))
HAND_ON (int, virDomainHasManagedSaveImage, (virDomainPtr dom, unsigned int flags), (dom, flags))
HAND_ON (int, virDomainIsActive, (virDomainPtr dom), (dom))
HAND_ON (int, virDomainIsPersistent, (virDomainPtr dom), (dom))
HAND_ON (int, virDomainListAllSnapshots, (virDomainPtr domain, virDomainSnapshotPtr **snaps, unsigned int flags),
         (domain, snaps, flags))
HAND_ON (virDomainPtr, virDomainLookupByName, (virConnectPtr conn, const char *name), (conn, name))
HAND_ON (virDomainPtr, virDomainLookupByUUIDString, (virConnectPtr conn, const char *uuid), (conn, uuid))
HAND_ON (char *, virDomainManagedSaveGetXMLDesc, (virDomainPtr domain, unsigned int flags), (domain, flags))
HAND_ON (int, virDomainSetMetadata,
         (virDomainPtr domain, int type, const char *metadata, const char *key, const char *uri, unsigned int flags),
         (domain, type, metadata, key, uri, flags))
HAND_ON (int, virDomainSnapshotFree, (virDomainSnapshotPtr snapshot), (snapshot))
HAND_ON (const char *, virDomainSnapshotGetName, (virDomainSnapshotPtr snapshot), (snapshot))
HAND_ON (char *, virDomainSnapshotGetXMLDesc, (virDomainSnapshotPtr snapshot, unsigned int flags), (snapshot, flags))
HAND_ON (int, virDomainUndefineFlags, (virDomainPtr domain, unsigned int flags), (domain, flags))
HAND_ON (virErrorPtr, virGetLastError, (void), ())
HAND_ON (int, virGetLastErrorCode, (void), ())

/* What the name of its file says, libvirt.so.0.9002.1 is 9.2.1; 0: nothing. */
static unsigned long
read_version (void)
{
  g_autofree char *target = g_file_read_link (VP_LIBVIRT_FOLDER "/" SONAME, NULL);
  g_auto (GStrv) parts = g_strsplit (target != NULL ? target : "", ".", -1);
  guint64 release = 0;
  guint64 micro = 0;

  if (g_strv_length (parts) != 5 || !vp_number_parse (parts[3], 10, 999999, &release) ||
      !vp_number_parse (parts[4], 10, 999, &micro))
    return 0;
  return (unsigned long) (release * 1000 + micro);
}

int
virGetVersion (unsigned long *libVer, const char *type, unsigned long *typeVer)
{
  *libVer = read_version ();
  if (*libVer != 0 && type == NULL && typeVer == NULL)
    return 0;
  LOOK_UP (int, virGetVersion, (unsigned long *, const char *, unsigned long *) );
  return real (libVer, type, typeVer);
}

void
virSetErrorFunc (void *userData, virErrorFunc handler)
{
  LOOK_UP (void, virSetErrorFunc, (void *, virErrorFunc));
  real (userData, handler);
}
