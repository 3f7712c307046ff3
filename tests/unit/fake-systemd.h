/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * On a message bus of our own as much of systemd's manager as is asked for
 * AllowedCPUs and by a handover. It shows the order of calls and keeps what was set; the real one is
 * met in the tests of the whole machine.
 */
#pragma once

#include "fake-bus.h"

typedef struct FakeSystemd FakeSystemd;

FakeSystemd *fake_systemd_new (void); /* with system.slice, user.slice and init.scope, which may use all */
void fake_systemd_free (FakeSystemd *systemd);
FakeBus *fake_systemd_get_bus (const FakeSystemd *systemd); /* to stop, and to start again */
const char *fake_systemd_get_address (const FakeSystemd *systemd);

/* `cpus` as a list; "": all; NULL: there is no such unit (any more). */
void fake_systemd_set (FakeSystemd *systemd, const char *unit, const char *cpus);
char *fake_systemd_dup (FakeSystemd *systemd, const char *unit);
/* What was written since the last call: "system.slice=0-1 user.slice=". */
char *fake_systemd_take_writes (FakeSystemd *systemd);
void fake_systemd_set_mute (FakeSystemd *systemd, gboolean mute); /* it answers nothing */
/* The next call of a method (a read of a property) takes so long, and whoever asks meanwhile waits behind it. */
void fake_systemd_set_slow (FakeSystemd *systemd, const char *what, guint milliseconds);

/* What a desktop asks of it, and of logind, which is on the same bus. A service of an instance ("@") is a oneshot. */
typedef void (*FakeServiceFunc) (const char *name, gboolean start, gpointer data);
/* Called in the bus's thread when a service was started or stopped, or a session (its id) was ended. */
void fake_systemd_on_change (FakeSystemd *systemd, FakeServiceFunc func, gpointer data);
void fake_systemd_set_service (FakeSystemd *systemd, const char *unit, const char *state);
char *fake_systemd_dup_service (FakeSystemd *systemd, const char *unit);
void fake_systemd_add_session (FakeSystemd *systemd, const char *id, const char *seat); /* of user 1000 */
/* So many starts fail; nothing stops; the host is ending. */
void fake_systemd_set_faults (FakeSystemd *systemd, guint broken, gboolean stubborn, gboolean ending);
gboolean fake_systemd_is_inhibited (FakeSystemd *systemd); /* suspend */

G_DEFINE_AUTOPTR_CLEANUP_FUNC (FakeSystemd, fake_systemd_free)
