/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Edits that met, as they look in libvirt's XML, and what must come of them; for test-merge.c alone. */
#pragma once

#define QEMU "xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'"
#define STATE "xmlns:s='urn:vfio-profile:state:1'"
#define TAG "xmlns:vfio='urn:vfio-profile:1'"
#define OSINFO "xmlns:libosinfo='http://libosinfo.org/xmlns/libvirt/domain/1.0'"

#define WARNING "<!--\nAUTO-GENERATED\n-->"

#define DISK(dev, file, rest)                                                                                          \
  "<disk type='file' device='disk'><source file='" file "'/>"                                                          \
  "<target dev='" dev "' bus='virtio'/>" rest "</disk>"
#define CDROM(file, rest)                                                                                              \
  "<disk type='file' device='cdrom'><source file='" file "'/><target dev='sdb' bus='sata'/>" rest "</disk>"
#define IOTUNE "<iotune><total_iops_sec>253</total_iops_sec></iotune>"
#define PCI(slot) "<address type='pci' domain='0x0000' bus='0x00' slot='" slot "' function='0x0'/>"
#define NIC(mac, rest) "<interface type='network'><mac address='" mac "'/>" rest "</interface>"
#define RNG(slot) "<rng model='virtio'><backend model='random'>/dev/urandom</backend>" PCI (slot) "</rng>"
#define ARGS(args) "<qemu:commandline " QEMU ">" args "</qemu:commandline>"
#define ARG(value) "<qemu:arg value='" value "'/>"
#define PIN(vcpu, cpu) "<vcpupin vcpu='" vcpu "' cpuset='" cpu "'/>"

/* What stands inside <domain type='kvm'>…</domain> */
typedef struct {
  const char *name;
  const char *base;
  const char *ours;
  const char *theirs;
  const char *expected;
} Case;

#define THREAD(id) "<iothread id='" id "'/>"
#define THREADS(count, ids) "<iothreads>" count "</iothreads><iothreadids>" ids "</iothreadids>"
#define VCPU(id, enabled) "<vcpu id='" id "' enabled='" enabled "'/>"
#define GLOBAL(value) ARG ("-global") ARG (value)

static const Case cases[] = {
  { "iothreads-added-and-deleted", "<iothreads>2</iothreads><iothreadids>" THREAD ("5") THREAD ("7") "</iothreadids>",
    "<iothreads>1</iothreads><iothreadids>" THREAD ("5") "</iothreadids>",
    "<iothreads>3</iothreads><iothreadids>" THREAD ("5") THREAD ("7") THREAD ("9") "</iothreadids>",
    "<iothreads>2</iothreads><iothreadids>" THREAD ("5") THREAD ("9") "</iothreadids>" },

  { "each-deletes-another-iothread", THREADS ("3", THREAD ("5") THREAD ("7") THREAD ("9")),
    THREADS ("2", THREAD ("7") THREAD ("9")), THREADS ("2", THREAD ("5") THREAD ("9")), THREADS ("1", THREAD ("9")) },

  { "each-deletes-one-of-two-iothreads", THREADS ("2", THREAD ("5") THREAD ("7")), THREADS ("1", THREAD ("7")),
    THREADS ("1", THREAD ("5")), "" },

  /* libvirt names none that has the lowest free number. */
  { "each-deletes-another-iothread-without-a-name", "<iothreads>4</iothreads>",
    THREADS ("3", THREAD ("3") THREAD ("4")), THREADS ("3", THREAD ("4")), THREADS ("2", THREAD ("4") THREAD ("1")) },

  { "first-and-last-iothread-deleted", "<iothreads>3</iothreads>", THREADS ("2", THREAD ("2") THREAD ("3")),
    "<iothreads>2</iothreads>", THREADS ("1", THREAD ("2")) },

  { "both-iothreads-deleted-without-a-name", "<iothreads>2</iothreads>", THREADS ("1", THREAD ("2")),
    "<iothreads>1</iothreads>", "" },

  { "another-disk-under-the-name-of-one-that-changed", "<devices>" DISK ("sda", "/a", "") "</devices>",
    "<devices>" DISK ("sda", "/a", IOTUNE) "</devices>", "<devices>" DISK ("sda", "/b", "") "</devices>",
    "<devices>" DISK ("sda", "/b", "") "</devices>" },

  { "changed-after-another-disk-took-the-name", "<devices>" DISK ("sda", "/a", "") "</devices>",
    "<devices>" DISK ("sda", "/b", "") "</devices>", "<devices>" DISK ("sda", "/a", IOTUNE) "</devices>",
    "<devices>" DISK ("sda", "/b", IOTUNE) "</devices>" },

  { "another-medium-in-a-drive-that-changed", "<devices>" CDROM ("/a", "") "</devices>",
    "<devices>" CDROM ("/a", "<boot order='1'/>") "</devices>", "<devices>" CDROM ("/b", "") "</devices>",
    "<devices>" CDROM ("/b", "<boot order='1'/>") "</devices>" },

  { "iothread-deleted-and-changed", THREADS ("2", THREAD ("1") THREAD ("2")), THREADS ("1", THREAD ("1")),
    THREADS ("2", THREAD ("1") "<iothread id='2' thread_pool_max='4'/>"),
    THREADS ("2", THREAD ("1") "<iothread id='2' thread_pool_max='4'/>") },

  { "iothreads-all-deleted-and-one-added", "<iothreads>2</iothreads>", "", THREADS ("3", THREAD ("9")),
    THREADS ("1", THREAD ("9")) },

  { "fewer-vcpus-and-one-plugged",
    "<vcpu placement='static' current='2'>4</vcpu><vcpus>" VCPU ("0", "yes") VCPU ("1", "yes") VCPU ("2", "no")
      VCPU ("3", "no") "</vcpus>",
    "<vcpu placement='static'>2</vcpu><vcpus>" VCPU ("0", "yes") VCPU ("1", "yes") "</vcpus>",
    "<vcpu placement='static' current='3'>4</vcpu><vcpus>" VCPU ("0", "yes") VCPU ("1", "yes") VCPU ("2", "no")
      VCPU ("3", "yes") "</vcpus>",
    "<vcpu placement='static'>2</vcpu><vcpus>" VCPU ("0", "yes") VCPU ("1", "yes") "</vcpus>" },

  { "each-plugs-another-vcpu",
    "<vcpu current='1'>4</vcpu><vcpus>" VCPU ("0", "yes") VCPU ("1", "no") VCPU ("2", "no") VCPU ("3", "no") "</vcpus>",
    "<vcpu current='2'>4</vcpu><vcpus>" VCPU ("0", "yes") VCPU ("1", "yes") VCPU ("2", "no")
      VCPU ("3", "no") "</vcpus>",
    "<vcpu current='2'>4</vcpu><vcpus>" VCPU ("0", "yes") VCPU ("1", "no") VCPU ("2", "yes")
      VCPU ("3", "no") "</vcpus>",
    "<vcpu current='3'>4</vcpu><vcpus>" VCPU ("0", "yes") VCPU ("1", "yes") VCPU ("2", "yes")
      VCPU ("3", "no") "</vcpus>" },

  { "fewer-vcpus-and-more-of-them-plugged", "<vcpu current='1'>8</vcpu>", "<vcpu current='1'>2</vcpu>",
    "<vcpu current='4'>8</vcpu>", "<vcpu>2</vcpu>" },

  { "memory-and-disk", "<memory unit='KiB'>4194304</memory><devices>" DISK ("vda", "/a", "") "</devices>",
    "<memory unit='KiB'>8388608</memory><devices>" DISK ("vda", "/a", "") "</devices>",
    "<memory unit='KiB'>4194304</memory><devices>" DISK ("vda", "/a", "") DISK ("vdb", "/b", "") "</devices>",
    "<memory unit='KiB'>8388608</memory><devices>" DISK ("vda", "/a", "") DISK ("vdb", "/b", "") "</devices>" },

  { "vcpus-and-rewritten-pins",
    "<vcpu placement='static'>2</vcpu><cputune>" PIN ("0", "0-7") PIN ("1", "0-7") "</cputune>",
    "<vcpu placement='static'>4</vcpu><cputune>" PIN ("0", "0-7") PIN ("1", "0-7") "</cputune>",
    "<vcpu placement='static'>2</vcpu><cputune>" PIN ("0", "2") PIN ("1", "6") "</cputune>",
    "<vcpu placement='static'>4</vcpu><cputune>" PIN ("0", "2") PIN ("1", "6") "</cputune>" },

  { "one-pin-each", "<cputune>" PIN ("0", "1") PIN ("1", "2") PIN ("2", "3") "</cputune>",
    "<cputune>" PIN ("0", "9") PIN ("1", "2") PIN ("2", "3") "</cputune>",
    "<cputune>" PIN ("0", "1") PIN ("2", "8") "</cputune>", "<cputune>" PIN ("0", "9") PIN ("2", "8") "</cputune>" },

  { "both-make-cputune", "<name>a</name>", "<name>a</name><cputune><shares>512</shares></cputune>",
    "<name>a</name><cputune>" PIN ("0", "2") "<emulatorpin cpuset='0'/></cputune>",
    "<name>a</name><cputune><shares>512</shares>" PIN ("0", "2") "<emulatorpin cpuset='0'/></cputune>" },

  { "both-attach-disks", "<devices>" DISK ("vda", "/a", "") "<input type='mouse' bus='ps2'/></devices>",
    "<devices>" DISK ("vda", "/a", "") DISK ("vdb", "/b", "") "<input type='mouse' bus='ps2'/></devices>",
    "<devices>" DISK ("vda", "/a", "") DISK ("vdc", "/c", "") "<input type='mouse' bus='ps2'/></devices>",
    "<devices>" DISK ("vda", "/a", "") DISK ("vdb", "/b", "")
      DISK ("vdc", "/c", "") "<input type='mouse' bus='ps2'/></devices>" },

  /* libvirt gave both the first free slot. */
  { "both-attach-at-one-address", "<devices>" DISK ("vda", "/a", PCI ("0x06")) "</devices>",
    "<devices>" DISK ("vda", "/a", PCI ("0x06")) DISK ("vdb", "/b", PCI ("0x07")) "</devices>",
    "<devices>" DISK ("vda", "/a", PCI ("0x06")) NIC ("52:54:00:00:00:01", PCI ("0x07")) "</devices>",
    "<devices>" DISK ("vda", "/a", PCI ("0x06")) DISK ("vdb", "/b", "")
      NIC ("52:54:00:00:00:01", PCI ("0x07")) "</devices>" },

  { "address-of-a-detached-device-is-free", "<memory>1</memory><devices>" DISK ("vdb", "/b", PCI ("0x07")) "</devices>",
    "<memory>1</memory><devices>" NIC ("52:54:00:00:00:01", PCI ("0x07")) "</devices>",
    "<memory>2</memory><devices>" DISK ("vdb", "/b", PCI ("0x07")) "<hub type='usb'/></devices>",
    "<memory>2</memory><devices>" NIC ("52:54:00:00:00:01", PCI ("0x07")) "<hub type='usb'/></devices>" },

  { "moved-to-where-another-was-attached", "<devices>" DISK ("vda", "/a", PCI ("0x06")) "</devices>",
    "<devices>" DISK ("vda", "/a", PCI ("0x07")) "</devices>",
    "<devices>" DISK ("vda", "/a", PCI ("0x06")) NIC ("52:54:00:00:00:01", PCI ("0x07")) "</devices>",
    "<devices>" DISK ("vda", "/a", "") NIC ("52:54:00:00:00:01", PCI ("0x07")) "</devices>" },

  { "moved-away-and-another-in-its-place", "<devices>" DISK ("vda", "/a", PCI ("0x06")) "</devices>",
    "<devices>" DISK ("vda", "/a", PCI ("0x09")) NIC ("52:54:00:00:00:01", PCI ("0x06")) "</devices>",
    "<devices>" DISK ("vda", "/a", PCI ("0x06") "<readonly/>") "</devices>",
    "<devices>" DISK ("vda", "/a", PCI ("0x09") "<readonly/>") NIC ("52:54:00:00:00:01", PCI ("0x06")) "</devices>" },

  { "both-attach-the-same-name", "<devices>" DISK ("vda", "/a", "") "</devices>",
    "<devices>" DISK ("vda", "/a", "") DISK ("vdb", "/b", "<readonly/>") "</devices>",
    "<devices>" DISK ("vda", "/a", "") DISK ("vdb", "/c", "") "</devices>",
    "<devices>" DISK ("vda", "/a", "") DISK ("vdb", "/c", "") "</devices>" },

  { "both-give-the-same-boot-order", "<devices>" DISK ("vda", "/a", "") "</devices>",
    "<devices>" DISK ("vda", "/a", "") DISK ("vdb", "/b", "<boot order='1'/>") "</devices>",
    "<devices>" DISK ("vda", "/a", "<boot order='1'/>") "</devices>",
    "<devices>" DISK ("vda", "/a", "<boot order='1'/>") DISK ("vdb", "/b", "") "</devices>" },

  { "detached-and-another-changed",
    "<devices>" DISK ("vda", "/a", "") DISK ("vdb", "/b", "") DISK ("vdc", "/c", "") "</devices>",
    "<devices>" DISK ("vda", "/a", "") DISK ("vdc", "/c", "") "</devices>",
    "<devices>" DISK ("vda", "/a", "") DISK ("vdb", "/b", "") DISK ("vdc", "/new", "") "</devices>",
    "<devices>" DISK ("vda", "/a", "") DISK ("vdc", "/new", "") "</devices>" },

  { "detached-and-the-same-changed", "<devices>" DISK ("vda", "/a", "") DISK ("vdb", "/b", "") "</devices>",
    "<devices>" DISK ("vda", "/a", "") "</devices>",
    "<devices>" DISK ("vda", "/a", "") DISK ("vdb", "/new", "") "</devices>",
    "<devices>" DISK ("vda", "/a", "") DISK ("vdb", "/new", "") "</devices>" },

  { "changed-and-then-detached", "<devices>" DISK ("vda", "/a", "") DISK ("vdb", "/b", "") "</devices>",
    "<devices>" DISK ("vda", "/a", "") DISK ("vdb", "/new", "") "</devices>",
    "<devices>" DISK ("vda", "/a", "") "</devices>", "<devices>" DISK ("vda", "/a", "") "</devices>" },

  { "one-disk-two-children", "<devices>" DISK ("vda", "/a", "<serial>1</serial>") "</devices>",
    "<devices>" DISK ("vda", "/new", "<serial>1</serial>") "</devices>",
    "<devices>" DISK ("vda", "/a", "<serial>2</serial><shareable/>") "</devices>",
    "<devices>" DISK ("vda", "/new", "<serial>2</serial><shareable/>") "</devices>" },

  { "one-of-three-alike-removed",
    "<devices><hub type='usb'/><hub type='usb'/><hub type='usb'/></devices><memory>1</memory>",
    "<devices><hub type='usb'/><hub type='usb'/></devices><memory>1</memory>",
    "<devices><hub type='usb'/><hub type='usb'/><hub type='usb'/><emulator>/q</emulator></devices>"
    "<memory>2</memory>",
    "<devices><hub type='usb'/><hub type='usb'/><emulator>/q</emulator></devices><memory>2</memory>" },

  { "mark-on-a-hostdev-that-moved",
    "<devices><hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0x0000' bus='0x01' "
    "slot='0x00' function='0x0'/></source>" PCI ("0x05") "</hostdev></devices>",
    "<devices><hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0x0000' bus='0x01' "
    "slot='0x00' function='0x0'/></source>" PCI ("0x09") "</hostdev></devices>",
    "<devices><hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0x0000' bus='0x01' "
    "slot='0x00' function='0x0'/></source><alias name='ua-x-vga'/>" PCI ("0x05") "</hostdev></devices>",
    "<devices><hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0x0000' bus='0x01' "
    "slot='0x00' function='0x0'/></source><alias name='ua-x-vga'/>" PCI ("0x09") "</hostdev></devices>" },

  { "emulator-wrapped-and-graphics-password",
    "<devices><emulator>/usr/bin/qemu</emulator><graphics type='vnc' port='-1'/></devices>",
    "<devices><emulator>/usr/bin/qemu</emulator><graphics type='vnc' port='-1' passwd='x'/></devices>",
    "<devices><emulator>/var/lib/wrapper</emulator><graphics type='vnc' port='-1'/></devices>",
    "<devices><emulator>/var/lib/wrapper</emulator><graphics type='vnc' port='-1' passwd='x'/></devices>" },

  { "title-and-state", "<title>old</title><metadata><vfio:profile " TAG " name='gaming'/></metadata>",
    "<title>new</title><metadata><vfio:profile " TAG " name='gaming'/></metadata>",
    "<title>old</title><metadata><vfio:profile " TAG " name='gaming'/><s:state " STATE "><s:was rule='cpu'/>"
    "</s:state></metadata>",
    "<title>new</title><metadata><vfio:profile " TAG " name='gaming'/><s:state " STATE "><s:was rule='cpu'/>"
    "</s:state></metadata>" },

  { "only-tag-taken-off-while-state-was-written",
    "<title>a</title><metadata><vfio:profile " TAG " name='gaming'/></metadata>",
    "<title>a</title><metadata><vfio:profile " TAG " name='gaming'/><s:state " STATE "/></metadata>",
    "<title>a</title>", "<title>a</title><metadata><s:state " STATE "/></metadata>" },

  { "state-taken-off-while-tag-was-changed",
    "<metadata><vfio:profile " TAG " name='a'/><s:state " STATE "/></metadata>", "<title>a</title>",
    "<metadata><vfio:profile " TAG " name='b'/><s:state " STATE "/></metadata>",
    "<title>a</title><metadata><vfio:profile " TAG " name='b'/></metadata>" },

  { "container-emptied-by-both", "<title>a</title><cputune>" PIN ("0", "2") PIN ("1", "3") "</cputune>",
    "<title>b</title><cputune>" PIN ("0", "2") "</cputune>", "<title>a</title>", "<title>b</title>" },

  { "element-with-attributes-stays-whole", "<clock offset='utc'><timer name='rtc'/></clock>", "<title>b</title>",
    "<clock offset='utc'><timer name='rtc'/><timer name='pit'/></clock>",
    "<title>b</title><clock offset='utc'><timer name='rtc'/><timer name='pit'/></clock>" },

  { "tag-and-other-metadata",
    "<metadata><libosinfo:libosinfo " OSINFO "><libosinfo:os id='a'/></libosinfo:libosinfo></metadata>",
    "<metadata><libosinfo:libosinfo " OSINFO "><libosinfo:os id='b'/></libosinfo:libosinfo></metadata>",
    "<metadata><!-- mine --><vfio:profile " TAG " name='gaming'/>"
    "<libosinfo:libosinfo " OSINFO "><libosinfo:os id='a'/></libosinfo:libosinfo></metadata>",
    "<metadata><!-- mine --><vfio:profile " TAG " name='gaming'/>"
    "<libosinfo:libosinfo " OSINFO "><libosinfo:os id='b'/></libosinfo:libosinfo></metadata>" },

  { "inside-one-metadata-element",
    "<metadata><vfio:profile " TAG " name='a'><vfio:cpu pin='on' node='0'/></vfio:profile></metadata>",
    "<metadata><vfio:profile " TAG " name='a'><vfio:cpu pin='off' node='0'/></vfio:profile></metadata>",
    "<metadata><vfio:profile " TAG " name='b'><vfio:cpu pin='on' node='1'/><vfio:vga mode='on'/>"
    "</vfio:profile>"
    "</metadata>",
    "<metadata><vfio:profile " TAG " name='b'><vfio:cpu pin='off' node='1'/><vfio:vga mode='on'/>"
    "</vfio:profile></metadata>" },

  { "repeated-metadata-children",
    "<metadata><s:state " STATE "><s:was rule='a'/><s:was rule='b'/></s:state></metadata>",
    "<metadata><s:state " STATE "><s:was rule='a' x='1'/><s:was rule='b'/></s:state></metadata>",
    "<metadata><s:state " STATE "><s:was rule='a'/><s:was rule='b'/><s:was rule='c'/></s:state></metadata>",
    "<metadata><s:state " STATE "><s:was rule='a' x='1'/><s:was rule='b'/><s:was rule='c'/></s:state>"
    "</metadata>" },

  { "one-metadata-child-added-by-each", "<metadata><s:state " STATE "/></metadata>",
    "<metadata><s:state " STATE "><s:was rule='a'/></s:state></metadata>",
    "<metadata><s:state " STATE "><s:was rule='b'/></s:state></metadata>",
    "<metadata><s:state " STATE "><s:was rule='a'/><s:was rule='b'/></s:state></metadata>" },

  { "both-make-one-metadata-element", "<metadata/>",
    "<metadata><s:state " STATE "><s:was rule='a'/></s:state></metadata>",
    "<metadata><s:state " STATE "><s:was rule='b'/></s:state></metadata>",
    "<metadata><s:state " STATE "><s:was rule='b'/></s:state></metadata>" },

  { "same-knob", "<memory unit='KiB'>1</memory><vcpu placement='static' current='1'>4</vcpu>",
    "<memory unit='KiB'>2</memory><vcpu placement='auto' current='2'>4</vcpu>",
    "<memory unit='KiB'>3</memory><vcpu placement='static' current='3'>5</vcpu>",
    "<memory unit='KiB'>3</memory><vcpu placement='auto' current='3'>5</vcpu>" },

  { "attribute-removed-and-changed", "<vcpu placement='static' current='1' cpuset='1'>4</vcpu>",
    "<vcpu placement='static' current='2'>4</vcpu>", "<vcpu placement='static' cpuset='1'>4</vcpu>",
    "<vcpu placement='static' current='2'>4</vcpu>" },

  { "same-edit", "<memory>1</memory><devices/>", "<memory>2</memory><devices>" RNG ("0x04") "</devices>",
    "<memory>2</memory><devices>" RNG ("0x04") "</devices><on_crash>restart</on_crash>",
    "<memory>2</memory><devices>" RNG ("0x04") "</devices><on_crash>restart</on_crash>" },

  { "same-edit-in-a-longer-list", "<devices>" RNG ("0x03") "</devices>",
    "<devices>" RNG ("0x03") RNG ("0x04") NIC ("52:54:00:00:00:01", "") "</devices>",
    "<devices>" RNG ("0x03") RNG ("0x04") "<hub type='usb'/></devices>",
    "<devices>" RNG ("0x03") RNG ("0x04") NIC ("52:54:00:00:00:01", "") "<hub type='usb'/></devices>" },

  { "hyperv-removed-and-timer-added",
    "<features><acpi/><hyperv mode='custom'><relaxed state='on'/></hyperv></features>"
    "<clock offset='localtime'>"
    "<timer name='rtc' tickpolicy='catchup'/><timer name='hypervclock' present='yes'/></clock>",
    "<features><acpi/><hyperv mode='custom'><relaxed state='on'/></hyperv><apic/></features>"
    "<clock offset='localtime'>"
    "<timer name='rtc' tickpolicy='catchup'/><timer name='pit' tickpolicy='delay'/>"
    "<timer name='hypervclock' present='yes'/></clock>",
    "<features><acpi/><kvm><hidden state='on'/></kvm></features><clock offset='localtime'>"
    "<timer name='rtc' tickpolicy='catchup'/></clock>",
    "<features><acpi/><apic/><kvm><hidden state='on'/></kvm></features><clock offset='localtime'>"
    "<timer name='rtc' tickpolicy='catchup'/><timer name='pit' tickpolicy='delay'/></clock>" },

  { "boot-order-swapped", "<os><boot dev='hd'/><boot dev='network'/></os>",
    "<os><boot dev='network'/><boot dev='hd'/></os>",
    "<os><boot dev='hd'/><boot dev='network'/><bootmenu enable='yes'/></os>",
    "<os><boot dev='network'/><bootmenu enable='yes'/><boot dev='hd'/></os>" },

  { "cpu-features-and-numa-cells",
    "<cpu mode='host-model'><feature policy='require' name='vmx'/><numa><cell id='0' cpus='0' memory='1'/>"
    "<cell id='1' cpus='1' memory='1'/></numa></cpu>",
    "<cpu mode='host-model'><feature policy='disable' name='vmx'/>"
    "<feature policy='require' name='pcid'/><numa>"
    "<cell id='0' cpus='0' memory='2'/><cell id='1' cpus='1' memory='1'/></numa></cpu>",
    "<cpu mode='host-model'><topology sockets='1'/><feature policy='require' name='vmx'/><numa>"
    "<cell id='0' cpus='0' memory='1'/><cell id='1' cpus='1' memory='2'/></numa></cpu>",
    "<cpu mode='host-model'><topology sockets='1'/><feature policy='disable' name='vmx'/>"
    "<feature policy='require' name='pcid'/><numa><cell id='0' cpus='0' memory='2'/>"
    "<cell id='1' cpus='1' memory='2'/></numa></cpu>" },

  { "arguments-appended-by-both", ARGS (ARG ("-a") ARG ("1")), ARGS (ARG ("-a") ARG ("1") ARG ("-b") ARG ("2")),
    ARGS (ARG ("-a") ARG ("1") ARG ("-c") ARG ("3")),
    ARGS (ARG ("-a") ARG ("1") ARG ("-b") ARG ("2") ARG ("-c") ARG ("3")) },

  { "arguments-made-by-both", "<name>a</name>", "<name>a</name>" ARGS (ARG ("-b")), "<name>a</name>" ARGS (ARG ("-c")),
    "<name>a</name>" ARGS (ARG ("-b") ARG ("-c")) },

  { "one-argument-changed-by-both", ARGS (ARG ("-cpu") ARG ("a") ARG ("-x")), ARGS (ARG ("-cpu") ARG ("b") ARG ("-x")),
    ARGS (ARG ("-cpu") ARG ("c") ARG ("-x") ARG ("-y")), ARGS (ARG ("-cpu") ARG ("c") ARG ("-x") ARG ("-y")) },

  /* No pair is torn: a switch never gets the other side's value. */
  { "argument-pair-replaced-and-its-value-changed", ARGS (ARG ("-a") ARG ("1") ARG ("-z")),
    ARGS (ARG ("-b") ARG ("2") ARG ("-z")), ARGS (ARG ("-a") ARG ("9") ARG ("-z")),
    ARGS (ARG ("-a") ARG ("9") ARG ("-z")) },

  { "arguments-removed-and-changed", ARGS (ARG ("-a") ARG ("1") ARG ("-z")), ARGS (ARG ("-a") ARG ("5") ARG ("-z")),
    ARGS (ARG ("-z")), ARGS (ARG ("-a") ARG ("5") ARG ("-z")) },

  /* A switch and its value are one thing. */
  { "each-removes-one-of-two-globals", ARGS (GLOBAL ("A") GLOBAL ("B")), ARGS (GLOBAL ("B")), ARGS (GLOBAL ("A")),
    ARGS ("") },

  { "each-removes-another-of-three-globals", ARGS (GLOBAL ("A") GLOBAL ("B") GLOBAL ("C")),
    ARGS (GLOBAL ("B") GLOBAL ("C")), ARGS (GLOBAL ("A") GLOBAL ("B")), ARGS (GLOBAL ("B")) },

  { "each-removes-one-of-two-equal-globals", ARGS (GLOBAL ("A") GLOBAL ("A") GLOBAL ("B")),
    ARGS (GLOBAL ("A") GLOBAL ("A")), ARGS (GLOBAL ("A") GLOBAL ("B")), ARGS (GLOBAL ("A")) },

  { "one-global-changed-the-other-removed", ARGS (GLOBAL ("A") GLOBAL ("B")), ARGS (GLOBAL ("A=1") GLOBAL ("B")),
    ARGS (GLOBAL ("A")), ARGS (GLOBAL ("A=1")) },

  { "both-globals-changed", ARGS (GLOBAL ("A") GLOBAL ("B")), ARGS (GLOBAL ("A=1") GLOBAL ("B")),
    ARGS (GLOBAL ("A") GLOBAL ("B=2")), ARGS (GLOBAL ("A=1") GLOBAL ("B=2")) },

  { "flag-alone-before-a-global", ARGS (ARG ("-snapshot") GLOBAL ("A") ARG ("-nodefaults") GLOBAL ("B")),
    ARGS (GLOBAL ("A") ARG ("-nodefaults") GLOBAL ("B")), ARGS (ARG ("-snapshot") GLOBAL ("A") GLOBAL ("B")),
    ARGS (GLOBAL ("A") GLOBAL ("B")) },

  { "values-that-begin-with-a-dash",
    ARGS (ARG ("-serial") ARG ("-") ARG ("-icount") ARG ("-1") ARG ("--global") ARG ("A")),
    ARGS (ARG ("-icount") ARG ("-1") ARG ("--global") ARG ("A")),
    ARGS (ARG ("-serial") ARG ("-") ARG ("--global") ARG ("A")), ARGS (ARG ("--global") ARG ("A")) },

  { "value-without-a-flag", ARGS (ARG ("disk.img") GLOBAL ("A") ARG ("b.img") ARG ("c.img")),
    ARGS (GLOBAL ("A") ARG ("b.img") ARG ("c.img")), ARGS (ARG ("disk.img") GLOBAL ("A") ARG ("c.img")),
    ARGS (GLOBAL ("A") ARG ("c.img")) },

  { "global-and-environment", ARGS (GLOBAL ("A") GLOBAL ("B") "<qemu:env name='X' value='1'/>"),
    ARGS (GLOBAL ("B") "<qemu:env name='X' value='1'/>"), ARGS (GLOBAL ("A") "<qemu:env name='X' value='2'/>"),
    ARGS ("<qemu:env name='X' value='2'/>") },

  { "override-of-two-devices",
    "<qemu:override " QEMU "><qemu:device alias='ua-a'><qemu:frontend>"
    "<qemu:property name='x' type='bool' value='on'/>"
    "</qemu:frontend></qemu:device></qemu:override>",
    "<qemu:override " QEMU "><qemu:device alias='ua-a'><qemu:frontend>"
    "<qemu:property name='x' type='bool' value='off'/>"
    "</qemu:frontend></qemu:device></qemu:override>",
    "<qemu:override " QEMU "><qemu:device alias='ua-a'><qemu:frontend>"
    "<qemu:property name='x' type='bool' value='on'/>"
    "<qemu:property name='y' type='bool' value='on'/></qemu:frontend></qemu:device>"
    "<qemu:device alias='ua-b'/>"
    "</qemu:override>",
    "<qemu:override " QEMU "><qemu:device alias='ua-a'><qemu:frontend>"
    "<qemu:property name='x' type='bool' value='off'/>"
    "<qemu:property name='y' type='bool' value='on'/></qemu:frontend></qemu:device>"
    "<qemu:device alias='ua-b'/>"
    "</qemu:override>" },

  { "namespaces-with-other-prefixes",
    "<metadata><a:x xmlns:a='urn:x' a:k='1'><a:y/></a:x></metadata><memory>1</memory>",
    "<metadata><b:x xmlns:b='urn:x' b:k='1'><b:y/></b:x></metadata><memory>2</memory>",
    "<metadata><a:x xmlns:a='urn:x' a:k='2'><a:y/><y xmlns='urn:x'/></a:x></metadata><memory>1</memory>",
    "<metadata><a:x xmlns:a='urn:x' a:k='2'><a:y/><y xmlns='urn:x'/></a:x></metadata><memory>2</memory>" },

  { "one-prefix-for-two-namespaces", "<metadata><a:x xmlns:a='urn:x'/></metadata>",
    "<metadata><a:x xmlns:a='urn:x'/><a:x xmlns:a='urn:y' a:k='1'/></metadata>",
    "<metadata><a:x xmlns:a='urn:x'><a:z/></a:x><plain/></metadata>",
    "<metadata><a:x xmlns:a='urn:x'><a:z/></a:x><a:x xmlns:a='urn:y' a:k='1'/><plain/></metadata>" },

  { "text-with-elements-in-it", "<metadata><n:p xmlns:n='urn:n'>one <n:b>two</n:b> three</n:p></metadata>",
    "<metadata><n:p xmlns:n='urn:n'>ONE <n:b>two</n:b> three</n:p></metadata>",
    "<metadata><n:p xmlns:n='urn:n'>one <n:b>TWO</n:b> three</n:p></metadata>",
    "<metadata><n:p xmlns:n='urn:n'>ONE <n:b>TWO</n:b> three</n:p></metadata>" },

  { "unknown-elements", "<future><knob value='1'/><knob value='2'/></future>",
    "<future><knob value='1'/><knob value='3'/></future>",
    "<future><knob value='0'/><knob value='2'/><new>&lt;&amp;</new></future>",
    "<future><knob value='0'/><knob value='3'/><new>&lt;&amp;</new></future>" },
};

/* The same, but where the edit cannot be told from a new one when it is merged into the result again. */
static const Case cases_once[] = {
  { "all-globals-removed-and-one-changed", ARGS (GLOBAL ("A") GLOBAL ("B") GLOBAL ("C") ARG ("-z")),
    ARGS (GLOBAL ("A") GLOBAL ("B=1") GLOBAL ("C") ARG ("-z")), ARGS (ARG ("-z")), ARGS (GLOBAL ("B=1") ARG ("-z")) },

  { "one-global-changed-and-all-removed", ARGS (GLOBAL ("A") GLOBAL ("B") GLOBAL ("C") ARG ("-z")), ARGS (ARG ("-z")),
    ARGS (GLOBAL ("A") GLOBAL ("B=1") GLOBAL ("C") ARG ("-z")), ARGS (GLOBAL ("B=1") ARG ("-z")) },

  { "globals-removed-around-one-that-is-new", ARGS (GLOBAL ("A") GLOBAL ("B") ARG ("-z")),
    ARGS (GLOBAL ("A") GLOBAL ("N") GLOBAL ("B") GLOBAL ("M") ARG ("-z")), ARGS (ARG ("-z")),
    ARGS (GLOBAL ("N") GLOBAL ("M") ARG ("-z")) },

  { "globals-in-another-order", ARGS (GLOBAL ("A") GLOBAL ("B") GLOBAL ("C")),
    ARGS (GLOBAL ("B") GLOBAL ("A") GLOBAL ("C")), ARGS (GLOBAL ("A") GLOBAL ("B")), ARGS (GLOBAL ("B") GLOBAL ("A")) },

  { "iothreads-without-names", "<iothreads>2</iothreads>", "<iothreads>3</iothreads>", "<iothreads>1</iothreads>",
    "<iothreads>2</iothreads>" },

  { "both-attach-nameless-devices", "<devices>" RNG ("0x03") "</devices>",
    "<devices>" RNG ("0x03") RNG ("0x04") "</devices>",
    "<devices>" RNG ("0x03") "<sound model='ich9'>" PCI ("0x04") "</sound></devices>",
    "<devices>" RNG ("0x03") "<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>"
                             "<sound model='ich9'>" PCI ("0x04") "</sound></devices>" },

  { "argument-changed-and-others-added", ARGS (ARG ("-cpu") ARG ("a")),
    ARGS (ARG ("-first") ARG ("-cpu") ARG ("a") ARG ("-last")), ARGS (ARG ("-cpu") ARG ("c")),
    ARGS (ARG ("-first") ARG ("-cpu") ARG ("c") ARG ("-last")) },
};
