/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the hook and the daemon's gate say to each other. Plain C: the hook has no
 * GLib. Only constants and their meaning stand here, no code.
 *
 * One connection on a Unix stream socket carries one request and one answer:
 *
 *   hook → gate   "vfio-profile-gate 1" \0 OPERATION \0 SUBOPERATION \0 EXTRA \0 DOMAIN \0
 *                 XML_LENGTH \0 XML, then the hook shuts its writing side
 *   gate → hook   "WAIT SECONDS\n", any number of times; then
 *                 "OK LENGTH\n" or "REFUSE LENGTH\n", LENGTH bytes, then end of file
 *
 * Lengths are in bytes, in decimal digits. The four strings are libvirt's arguments as
 * they came: any bytes but NUL, and DOMAIN may hold control characters.
 *
 *   WAIT    the answer may take that long from now on: hugepages are being allocated.
 *   OK      at restore and migrate the bytes are the new XML, none for unchanged;
 *           elsewhere the hook ignores them.
 *   REFUSE  the bytes are one line of text for the person who started the domain. At
 *           operations that must not fail (started, stopped, release, reconnect) the
 *           hook prints the line and succeeds all the same.
 *
 * Two operations are no hook's: "handover-plan" asks what a start of that domain would stop, "handover-give-back" (no
 * DOMAIN, no XML) brings back what a handover left. Both are answered with lines for a person, OK or REFUSE.
 *
 * Anything else, a short answer too, counts as no daemon. The gate may answer before
 * it has read all of the request.
 */
#pragma once

/* The first string of a request; a gate that knows another version refuses it. */
#define VP_GATE_GREETING "vfio-profile-gate 1"

/* What vfio-profile(1) asks. */
#define VP_GATE_PLAN "handover-plan"
#define VP_GATE_GIVE_BACK "handover-give-back"

/* The strings before the XML, with their NULs. */
#define VP_GATE_HEADER_MAX (64u * 1024u)

/* libvirt's XML, as everywhere in the project. */
#define VP_GATE_XML_MAX (16u * 1024u * 1024u)

/* The bytes of an answer: the XML that came, and room for what a rewrite adds. */
#define VP_GATE_ANSWER_MAX (2u * VP_GATE_XML_MAX)

/* A domain whose XML declares neither of these never reaches the gate. */
#define VP_GATE_TAG_NAMESPACE "urn:vfio-profile:1"
#define VP_GATE_STATE_NAMESPACE "urn:vfio-profile:state:1"

/* Where a session daemon listens, below VP_GATE_RUNTIME_DIR/UID: libvirt hands its hooks
 * no XDG_RUNTIME_DIR, so the path comes from the user id. */
#define VP_GATE_RUNTIME_DIR "/run/user"
#define VP_GATE_SESSION_SOCKET "vfio-profile/gate.sock"

/* The most that the gate may ask the hook to wait. */
#define VP_GATE_WAIT_MAX_SECONDS 1200u

/* Seconds from the hook's start, or from the gate's last WAIT, to its end, whatever the gate does. */
#ifndef VP_HOOK_DEADLINE_SECONDS
#define VP_HOOK_DEADLINE_SECONDS 10u
#endif
