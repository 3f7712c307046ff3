#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# mmdebstrap's hook: settings of the base root file system. Nothing of the project
# is in here. Called with `essential ROOT` before the kernel is installed, `customize
# ROOT` when all packages are, and `finish ROOT` when mmdebstrap is done.
set -eu
root=$2

# A small initrd: with Debian's default the emulated machine unpacks for ten seconds.
essential() {
  mkdir -p "$root/etc/initramfs-tools/conf.d"
  printf '%s\n' MODULES=list COMPRESS=gzip COMPRESSLEVEL=1 > "$root/etc/initramfs-tools/conf.d/vm"
  printf '%s\n' virtio_pci virtio_blk ext4 > "$root/etc/initramfs-tools/modules"
}

customize() {
  echo vm > "$root/etc/hostname"
  printf '127.0.0.1 localhost vm\n' > "$root/etc/hosts"
  echo '/dev/vda / ext4 errors=remount-ro 0 1' > "$root/etc/fstab"
  : > "$root/etc/machine-id"

  # A getty on the console's port hangs it up on whoever writes there.
  ln -sf /dev/null "$root/etc/systemd/system/serial-getty@ttyS0.service"
  # Minutes of emulated time that no case needs.
  for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
    fstrim.timer getty@tty1.service libvirt-guests.service modprobe@configfs.service modprobe@dm_mod.service \
    modprobe@efi_pstore.service modprobe@fuse.service modprobe@loop.service sys-fs-fuse-connections.mount \
    sys-kernel-config.mount sys-kernel-debug.mount sys-kernel-tracing.mount systemd-networkd-wait-online.service \
    systemd-pstore.service systemd-random-seed.service systemd-update-utmp.service \
    systemd-update-utmp-runlevel.service; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
  done
  mkdir -p "$root/etc/systemd/system-generators"
  for name in bless-boot cryptsetup debug gpt-auto hibernate-resume integritysetup rc-local run system-update sysv \
    veritysetup; do
    ln -sf /dev/null "$root/etc/systemd/system-generators/systemd-$name-generator"
  done
  printf 'blacklist %s\n' aesni_intel crc32_pclmul crct10dif_pclmul ghash_clmulni_intel polyval_clmulni sha512_ssse3 \
    evdev iTCO_wdt intel_rapl_msr lpc_ich pcspkr rapl > "$root/etc/modprobe.d/vm.conf"
  # A profile takes three seconds without this.
  echo 'Optimize=no-expr-simplify' >> "$root/etc/apparmor/parser.conf"
  # A guest's own profile is made six times a start. Cases that want it turn it on again.
  echo 'security_driver = "none"' >> "$root/etc/libvirt/qemu.conf"
  # Not for terminals and memory blocks, which are a third of all devices.
  mkdir -p "$root/etc/systemd/system/systemd-udev-trigger.service.d"
  cat > "$root/etc/systemd/system/systemd-udev-trigger.service.d/few.conf" <<'UNIT'
[Service]
ExecStart=
ExecStart=-udevadm trigger --type=all --action=add --subsystem-nomatch=tty --subsystem-nomatch=vc \
  --subsystem-nomatch=memory
UNIT
  # The agent logs each question, and the harness asks many.
  mkdir -p "$root/etc/systemd/system/qemu-guest-agent.service.d"
  printf '[Service]\nLogLevelMax=warning\n' > "$root/etc/systemd/system/qemu-guest-agent.service.d/log.conf"
  # `run --shell` starts it, at the other port.
  mkdir -p "$root/etc/systemd/system/serial-getty@ttyS1.service.d"
  cat > "$root/etc/systemd/system/serial-getty@ttyS1.service.d/login.conf" <<'UNIT'
[Service]
ExecStart=
ExecStart=-/sbin/agetty --autologin root --keep-baud 115200 - $TERM
UNIT
  # The journal is what a failed case shows; it is to be there after a power cut as well.
  mkdir -p "$root/var/log/journal" "$root/etc/systemd/journald.conf.d"
  printf '[Journal]\nRateLimitBurst=0\nSyncIntervalSec=5s\n' > "$root/etc/systemd/journald.conf.d/vm.conf"
}

# Where the packages came from is the host's affair. Labels come last: they are for a
# kernel that enforces SELinux, and nothing to another.
finish() {
  rm -rf "$root"/etc/apt/sources.list "$root"/etc/apt/sources.list.d/* "$root"/etc/apt/apt.conf.d/*mmdebstrap
  rm -rf "$root"/usr/share/doc/* "$root"/usr/share/locale/* "$root"/usr/share/man/* "$root"/var/cache/apt/*.bin
  contexts="$root/etc/selinux/default/contexts/files/file_contexts"
  setfiles -r "$root" "$contexts" "$root"
}

"$1"
