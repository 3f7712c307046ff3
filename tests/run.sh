#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Installs what the tests need, builds, and runs every suite; unit and integration once
# more with ASan and UBSan, those of the daemon's threads with TSan; then on Debian 13; and at
# last the whole machines. Works in a fresh clone, as root, on a Debian 12 that has git and nothing else.
set -eu

usage() {
  cat <<'TEXT'
Usage: tests/run.sh [OPTION…] [BUILD-FOLDER]

  BUILD-FOLDER    where the builds go (default: build, in the clone)
  --ci            a skip that was not expected is a failure
  --no-sanitizers leave the builds with sanitizers out
  --no-releases   leave Debian 13 out (tests/releases/run)
  --no-machines   leave the whole machines out (the suite vm)
  --install-only  install the packages that build and tests need, fetch a kernel, and end
  --packages      print these packages, and end
  --help          show this text

Exit: 0 all passed, 1 something failed.
TEXT
}

# Beside what building needs (packaging/install-packages): to run the integration suite; to check documents; the
# policies of SELinux and AppArmor; packages; whole machines. With `|` as packaging/install-packages has it: QEMU's
# parts are others since Debian 13, and clang-format 14 is in Debian 12 alone.
packages='
  git shellcheck procps
  pci.ids hwloc-nox
  libvirt-daemon-system libvirt-daemon libvirt-daemon-driver-qemu libvirt-clients qemu-system-x86
  qemu-system-modules-spice|qemu-system-common
  python3-libvirt iproute2 util-linux
  libxml2-utils dbus-daemon
  ovmf swtpm swtpm-tools python3-lxml
  virtinst virt-manager xvfb xdotool imagemagick at-spi2-core python3-pyatspi adwaita-icon-theme
  gir1.2-gtk-vnc-2.0 gir1.2-spiceclientgtk-3.0
  selinux-policy-dev selinux-policy-default policycoreutils semodule-utils selinux-utils python3-selinux python3-setools
  bzip2 apparmor
  build-essential debhelper dh-apparmor fakeroot lintian rpm rpmlint systemd
  mmdebstrap qemu-utils e2fsprogs
  zsh fish
  libyajl-dev libgnutls28-dev libtirpc-dev rpcsvc-proto xsltproc
  clang-format-14|'

# Skips that CI knows, as patterns of `case`; each with its reason.
is_expected_skip() {
  case $1 in
    # A race that the daemon may win each time is no defect.
    *'the daemon was faster than the start'*) return 0 ;;
  esac
  return 1
}

step() {
  printf '\n== %s ==\n' "$*"
}

print_packages() {
  packaging/install-packages --list
  # shellcheck disable=SC2086
  printf '%s\n' $packages
}

install_packages() {
  step 'Packages'
  # shellcheck disable=SC2086
  packaging/install-packages $packages
}

# A kernel for the guests that tell what they see. Where there is none their case is a skip.
fetch_kernel() {
  [ "$(id -u)" = 0 ] || return 0
  tests/integration/guest/fetch-kernel > /dev/null || :
}

# configure FOLDER OPTION…
configure() {
  folder=$1
  shift
  if [ -f "$folder/build.ninja" ]; then
    meson configure "$folder" "$@"
  else
    meson setup "$folder" . --prefix=/usr -Dwerror=true "$@"
  fi
}

# run FOLDER LOG ARGUMENT…: the results go to the end's sum, whatever they are.
run() {
  folder=$1 log=$2
  shift 2
  logs="$logs $folder/meson-logs/$log.json"
  rm -f "$folder/meson-logs/$log.json"
  meson test -C "$folder" --logbase "$log" "$@" || status=1
}

cd "$(dirname "$0")/.."
PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH
ci='' sanitizers=yes releases=yes machines=yes folder=build
while [ $# -gt 0 ]; do
  case $1 in
    --ci) ci=yes ;;
    --no-sanitizers) sanitizers='' ;;
    --no-releases) releases='' ;;
    --no-machines) machines='' ;;
    --install-only) install_packages; fetch_kernel; exit 0 ;;
    --packages) print_packages; exit 0 ;;
    --help) usage; exit 0 ;;
    -*) usage >&2; exit 2 ;;
    *) folder=$1 ;;
  esac
  shift
done

logs='' status=0 builds=$folder
install_packages
fetch_kernel

step 'Build'
configure "$builds/plain"
meson compile -C "$builds/plain"
step 'Tests'
run "$builds/plain" tests --no-rebuild --print-errorlogs --no-suite vm

if [ -n "$sanitizers" ]; then
  step 'Build with AddressSanitizer and UndefinedBehaviorSanitizer'
  configure "$builds/sanitized" -Db_sanitize=address,undefined
  meson compile -C "$builds/sanitized"
  step 'Tests with the sanitizers'
  # The same paths, fewer rounds: each is several times slower.
  STRESS_EDITS=${STRESS_EDITS:-150} CRASH_KILLS=${CRASH_KILLS:-30} PAGES_ROUNDS=${PAGES_ROUNDS:-30} \
  MANY_DEFINED=${MANY_DEFINED:-20} MANY_STARTED=${MANY_STARTED:-8} \
    run "$builds/sanitized" tests --no-rebuild --print-errorlogs --suite unit --suite integration --timeout-multiplier 3

  step "Build with ThreadSanitizer what the tests of the daemon's threads need, and these tests"
  configure "$builds/threads" -Db_sanitize=thread
  meson compile -C "$builds/threads" glib-locks
  run "$builds/threads" tests --print-errorlogs --suite threads --timeout-multiplier 3
fi

if [ -n "$releases" ]; then
  step 'Debian 13'
  # Of integration what depends on libvirt and QEMU most; all of it takes half an hour, by hand.
  suites='unit integration packaging selinux apparmor' wanted=''
  for suite in $suites; do
    logs="$logs $builds/releases/13/build/meson-logs/$suite.json"
    wanted="$wanted --suite $suite"
  done
  for name in start wrapper own_ways undo remove edits restore session broken numa devices vcpus rules map doctor \
    virt_manager; do
    wanted="$wanted --case $name"
  done
  # shellcheck disable=SC2086
  tests/releases/run --build "$builds/releases" $wanted 13 || status=1
fi

if [ -n "$machines" ]; then
  step 'Whole machines'
  run "$builds/plain" machines --no-rebuild --verbose --suite vm
fi

# shellcheck disable=SC2086
results=$(tests/read-logs $logs)
skips=$(printf '%s\n' "$results" | sed '$d')
if [ -n "$skips" ]; then
  step 'Skipped'
  while IFS= read -r skip; do
    if [ -n "$ci" ] && ! is_expected_skip "$skip"; then
      echo "$skip (not expected in CI)"
      status=1
    else
      echo "$skip"
    fi
  done <<LIST
$skips
LIST
fi
echo
printf '%s\n' "$results" | tail -n 1
exit $status
