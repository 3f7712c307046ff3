#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The main job, to watch: a guest gets a tag and starts pinned, on hugepages and
# with KVM hidden. Installs what is needed, builds, and runs in a sandbox with a
# libvirtd of its own; nothing of this machine's libvirt is touched.
#
# Usage: sudo examples/demo.sh [--here]
#   --here  on this machine's own libvirt: installs vfio-profile and leaves it there
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
build=${VFIO_PROFILE_BUILD:-$here/build/demo}
guest=vfio-profile-demo
megabytes=256
PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH

say() {
  printf '\n\033[1m== %s\033[0m\n' "$*"
}

show() {
  printf '\033[1m# %s\033[0m\n' "$*"
  "$@"
}

# A Windows guest, as virt-manager writes it; the type is qemu, so that it runs everywhere.
guest_xml() {
  cat <<XML
<domain type='qemu'>
  <name>$guest</name>
  $1
  <memory unit='MiB'>$megabytes</memory>
  <vcpu placement='static'>$vcpus</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <features>
    <acpi/><apic/>
    <hyperv mode='custom'><relaxed state='on'/><vapic state='on'/><spinlocks state='on' retries='8191'/></hyperv>
  </features>
  <clock offset='localtime'>
    <timer name='hpet' present='no'/>
    <timer name='hypervclock' present='yes'/>
  </clock>
  <devices>
    <graphics type='vnc' port='-1' autoport='yes' listen='127.0.0.1'/>
    <video><model type='vga'/></video>
    <memballoon model='none'/>
  </devices>
</domain>
XML
}

wait_for() {
  tries=100
  until "$@" > /dev/null 2>&1; do
    tries=$((tries - 1))
    [ $tries -gt 0 ] || { echo "demo.sh: waited in vain for: $*" >&2; exit 1; }
    sleep 0.1
  done
}

is_prepared() {
  virsh dumpxml --inactive $guest | grep -q '<vcpupin'
}

show_qemu() {
  pid=$(cat /run/libvirt/qemu/$guest.pid)
  say 'The threads of the running QEMU, and the CPUs that the kernel lets them use'
  for task in /proc/"$pid"/task/*; do
    awk -F '\t' '/^Name:/ { name = $2 } /^Cpus_allowed_list:/ { printf "  %-20s CPU %s\n", name, $2 }' "$task/status"
  done
  say 'Its memory on hugepages'
  grep -E 'Hugetlb' /proc/"$pid"/smaps_rollup
  say 'What it was told: kvm=off, no hv-*, memory from hugetlbfs'
  tr '\0' '\n' < /proc/"$pid"/cmdline | grep -E -A1 '^(-cpu|-object)$' | grep -vE '^(-|--)' | grep -v secret
}

tour() {
  vcpus=$(($(nproc) > 2 ? 2 : 1))
  say 'A guest without a tag'
  guest_xml '' > /run/$guest.xml
  show virsh define /run/$guest.xml
  show virsh dumpxml --inactive $guest | sed -e '/<controller.*\/>/d' -e '/<controller/,/<\/controller>/d' -e '/<address/d'

  say 'What the profile "nvidia" would change, and why'
  guest_xml '<metadata><vfio:profile xmlns:vfio="urn:vfio-profile:1" name="nvidia"/></metadata>' > /run/$guest-tagged.xml
  show vfio-profile plan --file /run/$guest-tagged.xml

  say 'Tag it; from here on the daemon keeps it prepared'
  show vfio-profile set $guest nvidia
  wait_for is_prepared
  show vfio-profile status $guest

  say 'Start it as ever'
  show virsh start $guest
  show_qemu

  say 'Take the tag away: everything is as it was'
  show virsh destroy $guest
  show vfio-profile unset $guest
  wait_for sh -c "! virsh dumpxml --inactive $guest | grep -q vcpupin"
  virsh dumpxml --inactive $guest | sed -n '/<features>/,/<\/clock>/p'
}

clean_up() {
  virsh --quiet destroy $guest > /dev/null 2>&1 || :
  virsh --quiet undefine $guest > /dev/null 2>&1 || :
  rm -f /run/$guest.xml /run/$guest-tagged.xml
  [ -z "${pool_before:-}" ] || echo "$pool_before" > /proc/sys/vm/nr_hugepages
}

# On the machine itself: as README says, and a few hugepages for as long as this takes.
on_this_machine() {
  say 'Installing vfio-profile on this machine'
  meson install -C "$build" --no-rebuild > /dev/null
  systemctl daemon-reload
  systemctl restart vfio-profiled
  systemctl reload-or-restart libvirtd
  trap clean_up EXIT
  pool_before=$(cat /proc/sys/vm/nr_hugepages)
  echo $((pool_before + megabytes / 2)) > /proc/sys/vm/nr_hugepages
  tour
}

case ${1:-} in
  --inside)
    tour
    exit
    ;;
  --here | '') ;;
  *)
    sed -n 's/^# //p; /^set -eu/q' "$0" >&2
    exit 2
    ;;
esac
if [ "$(id -u)" != 0 ]; then
  echo 'demo.sh: needs root: sudo examples/demo.sh' >&2
  exit 1
fi

cd "$here"
say 'Installing what is needed to build and to run (minutes, the first time)'
# libvirt and QEMU for a guest of type qemu; the sandbox takes the rest.
packaging/install-packages libvirt-daemon-system libvirt-daemon-driver-qemu libvirt-clients qemu-system-x86 \
  python3-libvirt iproute2 util-linux
say 'Building'
[ -f "$build/build.ninja" ] || meson setup "$build" . --prefix=/usr --buildtype=release -Dtests=disabled > /dev/null
meson compile -C "$build" | tail -n 1
if [ "${1:-}" = --here ]; then
  on_this_machine
else
  say 'A sandbox with a libvirtd of its own'
  tests/integration/sandbox --build "$build" --pages $((megabytes / 2)) "$here/examples/demo.sh" --inside
fi
say 'Done'
