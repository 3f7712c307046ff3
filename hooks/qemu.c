/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The libvirt hook /etc/libvirt/hooks/qemu.d/50-vfio-profile. A compiled file that execs
 * nothing: AppArmor and SELinux let libvirtd run no other kind. Here stand only the paths
 * and the deadline; what the hook does is in hook.c.
 */
#include "config.h"

#include "base/gate-protocol.h"
#include "hooks/hook.h"

int
main (int argc, char **argv)
{
  static const VpHookSettings settings = {
    .version = VP_VERSION,
    .system_socket = VP_GATE_SOCKET,
    .runtime_dir = VP_GATE_RUNTIME_DIR,
    .session_socket = VP_GATE_SESSION_SOCKET,
    .deadline_seconds = VP_HOOK_DEADLINE_SECONDS,
  };

  return vp_hook_run (&settings, argc, argv);
}
