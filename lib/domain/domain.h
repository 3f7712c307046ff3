/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One domain definition: libvirt's XML as a tree, and the questions that rules
 * ask of it. Edits go through the rewrite only.
 */
#pragma once

#include "base/list.h"
#include "base/pci-address.h"
#include "base/xml.h"

G_BEGIN_DECLS

#define VP_TAG_NS "urn:vfio-profile:1"
#define VP_STATE_NS "urn:vfio-profile:state:1"
#define VP_QEMU_NS "http://libvirt.org/schemas/domain/qemu/1.0" /* of <qemu:commandline> and <qemu:override> */

typedef struct {
  xmlDoc *doc; /* owned; its root is <domain> */
} VpDomain;

typedef struct {
  VpPciAddress address; /* on the host */
  xmlNode *node;        /* the <hostdev>, or <interface type='hostdev'>, borrowed from the domain */
  gboolean managed;
} VpHostdev;

/*
 * `length` in bytes; `what` names the text in errors, for one that is no XML or no domain. What the three give
 * is the caller's; to free NULL is no harm.
 */
VpDomain *vp_domain_parse (const char *text, gsize length, const char *what, GError **error);
VpDomain *vp_domain_copy (const VpDomain *domain); /* the same thread's, see vp_xml_copy */
void vp_domain_free (VpDomain *domain);
char *vp_domain_dup_text (const VpDomain *domain);
/* The same definition, whatever its layout and comments. */
gboolean vp_domain_equal (const VpDomain *a, const VpDomain *b);

/* Texts are the caller's; nodes are the domain's, until it is edited or freed. */
const xmlNode *vp_domain_root (const VpDomain *domain);
char *vp_domain_dup_name (const VpDomain *domain); /* never NULL */
char *vp_domain_dup_uuid (const VpDomain *domain); /* NULL: it has none */
xmlNode *vp_domain_tag (const VpDomain *domain);   /* <vfio:profile>, or NULL */
/* Of a guest that runs: libvirt's number of it, new with each start; 0: none. */
int vp_domain_run (const VpDomain *live);
/* It carries tag and originals, so it was started prepared; a tag alone may have come while it ran. */
gboolean vp_domain_was_prepared (const VpDomain *live);
xmlNode *vp_domain_state (const VpDomain *domain);  /* the saved originals, or NULL */
xmlNode *vp_domain_ensure_state (VpDomain *domain); /* made where there is none */
/* The rule that put the tag there; NULL: no tag, or it is the domain's own. */
char *vp_domain_dup_tag_rule (const VpDomain *domain);
/*
 * Takes <vfio:profile> out (NULL), or gives it these profile names; overrides in it stay. The
 * first makes it the domain's own.
 */
void vp_domain_set_tag (VpDomain *domain, const char *names);
void vp_domain_set_rule_tag (VpDomain *domain, const char *names, const char *rule);

/* The maximum number of vCPUs; 0 and an error when <vcpu> says nothing sensible. */
guint vp_domain_vcpus (const VpDomain *domain, GError **error);
/*
 * Those that run from the start (of a live definition: now), as libvirt reads <vcpu current='…'> and <vcpus>: never
 * none, but where <vcpu> says nothing sensible. The caller's.
 */
hwloc_bitmap_t vp_domain_new_online_vcpus (const VpDomain *domain);
guint vp_domain_threads (const VpDomain *domain); /* of a guest core, 1 when it has no topology */
/* Arrays and texts are the caller's, here and below. */
GArray *vp_domain_iothreads (const VpDomain *domain); /* of guint: the ids, ascending */
/* KiB that the guest has at start; 0 and an error when <memory> says nothing sensible. */
guint64 vp_domain_memory_kib (const VpDomain *domain, GError **error);
/* Of guint64, KiB of each guest NUMA cell, in order; empty when it has none. NULL and an error: a size is none. */
GArray *vp_domain_cells_kib (const VpDomain *domain, GError **error);
/* It runs on KVM, which has paravirtual features for x86 alone. */
gboolean vp_domain_is_x86_kvm (const VpDomain *domain);
/* An x86 guest that SeaBIOS boots, no UEFI. */
gboolean vp_domain_is_bios (const VpDomain *domain);
char *vp_domain_dup_emulator (const VpDomain *domain); /* NULL: none named */
char *vp_domain_dup_arch (const VpDomain *domain);     /* "x86_64"; NULL: none named */
GArray *vp_domain_hostdevs (const VpDomain *domain);   /* of VpHostdev, PCI only, in document order */
/* Where the guest has it; FALSE: libvirt has not said so yet, or it is on no PCI bus. */
gboolean vp_hostdev_guest_address (const VpHostdev *hostdev, VpPciAddress *address);
GArray *vp_domain_device_addresses (const VpDomain *domain); /* of VpPciAddress: those of its hostdevs */
/* The device that the vga rule marked by its alias (x-vga-mark.h); `alias`: NULL, or the caller's. */
gboolean vp_domain_find_x_vga (const VpDomain *domain, VpPciAddress *address, char **alias);

/* A size as libvirt takes it, in KiB where `unit` is NULL; rounded up. FALSE for what is none. */
gboolean vp_size_to_kib (const char *text, const char *unit, guint64 *kib);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpDomain, vp_domain_free)

G_END_DECLS
