/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The distribution, its commands, and the processes that matter. Reads; judges nothing. */
#pragma once

#include "base/process.h"

G_BEGIN_DECLS

typedef enum { VP_FAMILY_OTHER, VP_FAMILY_DEBIAN, VP_FAMILY_FEDORA, VP_FAMILY_ARCH } VpFamily;

typedef struct {
  VpFamily family;
  char *name;         /* "Debian GNU/Linux 12 (bookworm)" */
  char *command_line; /* of the kernel; "" where it cannot be read */
  GArray *processes;  /* of VpProcess: those of libvirt and ours */
  gboolean grub;      /* boots by GRUB; else, as far as known, by systemd-boot */
} VpSystem;

/* Of processes, those of root; of a session, this user's. The caller's; what cannot be read is left empty. */
VpSystem *vp_system_read (const VpRoot *root, gboolean session);
void vp_system_free (VpSystem *system);

/* "other", "debian", "fedora", "arch". */
const char *vp_family_word (VpFamily family);
/* Of libvirtd, virtqemud and vfio-profiled; borrowed. NULL: it does not run. */
const VpProcess *vp_system_find_process (const VpSystem *system, const char *name);
/* On the kernel's command line, also in a list: "intel_iommu=on,sm_on". */
gboolean vp_system_has_parameter (const VpSystem *system, const char *key, const char *value);

/* "add iommu=pt to …, run … and boot"; "run 'apt install …'", of the package by its family's name. The caller's. */
char *vp_system_dup_add_parameter (const VpSystem *system, const char *parameter);
char *vp_system_dup_drop_parameter (const VpSystem *system, const char *parameter);
char *vp_system_dup_install (const VpSystem *system, const char *debian, const char *fedora, const char *arch);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpSystem, vp_system_free)

G_END_DECLS
