/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The files that libvirt writes of one domain: NAME.xml.new, which it renames over NAME.xml. */
#pragma once

#include <glib.h>
#include <sys/types.h>

G_BEGIN_DECLS

/* NAME.xml in libvirt's folder; a descriptor, the caller's. -1: it is not there, or no file. */
int vp_version_file_open (const char *folder, const char *domain);
/*
 * NAME.xml.new, which was made a moment ago. `device` and `inode` are those of the version before it (0: not known):
 * who comes late finds another one as NAME.xml by now, and takes that. NAME.xml.new may be the next one then, and
 * looking for what is gone waits until libvirt lets the folder go. A descriptor, the caller's. -1: neither, or no file.
 */
int vp_version_file_open_made (const char *folder, const char *domain, dev_t device, ino_t inode);
/*
 * The descriptor from the making is of the version that an event tells of if that file is NAME.xml now (`present`, or
 * -1), or was and is gone. Otherwise it was opened so late that it is the version after the next.
 */
gboolean vp_version_file_is_of_event (int made, int present);
/* All of it, the caller's. NULL: it cannot be read, or is larger than any definition (VP_XML_MAX_BYTES). */
GBytes *vp_version_file_read (int fd);

G_END_DECLS
