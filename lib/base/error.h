/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one error domain. A code says what a caller can do about it; the message
 * says what was tried, on what, what was needed and what was there.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef enum {
  VP_ERROR_XML,      /* the document is not one that libvirt could have written: correct it */
  VP_ERROR_TAG,      /* the <vfio:profile> tag is wrong: correct the tag */
  VP_ERROR_PROFILE,  /* a profile file is missing or wrong: correct the file */
  VP_ERROR_STATE,    /* the saved originals in the metadata are damaged: restore the definition */
  VP_ERROR_HOST,     /* this host cannot be read: check the file or folder named */
  VP_ERROR_UNFIT,    /* the profile asks for more than the host or the domain has: ask for less */
  VP_ERROR_LIBVIRT,  /* libvirt refused: its own message is in ours */
  VP_ERROR_IO,       /* a file of ours could not be read or written */
  VP_ERROR_BUSY,     /* somebody else has it now, or is at it: try again later, or end the other */
  VP_ERROR_AWAY,     /* who does it could not be asked: ask again later */
  VP_ERROR_LATE,     /* who does it was asked and did not answer in time: look whether it is done */
  VP_ERROR_PROTOCOL, /* the other end of a socket does not speak as it should: update it or restart it */
} VpErrorCode;

#define VP_ERROR (vp_error_quark ())

/* Our one domain. */
GQuark vp_error_quark (void);

G_END_DECLS
