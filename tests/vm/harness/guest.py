# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest in the machine: its definition, and what the machine's kernel says of its QEMU.

Its disk is one sector (guest.S): enough for a picture and a line on the serial port.
"""
import json
import os
import re
import subprocess
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
DISK = "/var/lib/libvirt/images/guest.img"
SERIAL = "/var/log/libvirt/qemu/{name}.serial"


def make_disk():
    """The bytes of the guests' disk."""
    with tempfile.TemporaryDirectory() as folder:
        code, image = os.path.join(folder, "guest.o"), os.path.join(folder, "guest.img")
        subprocess.run(["as", "--32", "-o", code, os.path.join(HERE, "guest.S")], check=True)
        subprocess.run(["ld", "-m", "elf_i386", "-Ttext=0x7c00", "--oformat=binary", "-o", image, code], check=True)
        with open(image, "rb") as file:
            return file.read().ljust(1 << 20, b"\0")  # SeaBIOS boots from nothing much smaller


def hostdev(address, rom):
    domain, bus, slot, function = re.split(r"[:.]", address)
    return f"""
    <hostdev mode='subsystem' type='pci' managed='yes'>
      <source><address domain='0x{domain}' bus='0x{bus}' slot='0x{slot}' function='0x{function}'/></source>
      <rom bar='{'on' if rom else 'off'}'/>
    </hostdev>"""


def domain_xml(name, cards=(), vcpus=4, mib=256, kind="qemu", features="", clock="", head="", devices="",
               rom=True):
    """A BIOS guest with the cards at these addresses, and with no display of its own.

    Where a card is not the primary VGA, its BIOS hangs; rom=False keeps SeaBIOS from running it.
    """
    return f"""
<domain type='{kind}'>
  <name>{name}</name>
  <memory unit='MiB'>{mib}</memory>
  {head}
  <vcpu>{vcpus}</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <features><acpi/><apic/>{features}</features>
  {clock}
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw'/>
      <source file='{DISK}'/>
      <target dev='vda' bus='virtio'/>
      <readonly/>
    </disk>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
    <serial type='file'><source path='{SERIAL.format(name=name)}'/></serial>
    {"".join(hostdev(address, rom) for address in cards)}
    {devices}
  </devices>
</domain>"""


class Guest:
    """A guest by its name; all answers are of the moment."""

    def __init__(self, vm, name):
        self.name = name
        self._vm = vm

    def pid_file(self):
        return f"/run/libvirt/qemu/{self.name}.pid"

    def start(self, deadline=60):
        self._vm.sh(f"rm -f {SERIAL.format(name=self.name)}; virsh start {self.name}", deadline=deadline)

    def stop(self):
        self._vm.sh(f"virsh destroy {self.name}")

    def state(self):
        return self._vm.sh(f"virsh domstate {self.name}").out.strip()

    def xml(self):
        return self._vm.sh(f"virsh dumpxml --inactive {self.name}").out

    def says(self):
        """What it has written to its serial port."""
        return self._vm.sh(f"cat {SERIAL.format(name=self.name)}", ok=None).out

    def wait_up(self, seconds=60):
        self._vm.wait(f"guest '{self.name}' runs its boot sector", lambda: "hypervisor:" in self.says(), seconds)

    def arguments(self):
        return self._proc("cmdline").rstrip("\0").split("\0")

    def pci_devices(self):
        """QEMU's vfio-pci devices as dictionaries."""
        words = self.arguments()
        values = [words[i + 1] for i, word in enumerate(words) if word == "-device"]
        devices = [json.loads(value) for value in values if value.startswith("{")]
        return [device for device in devices if device["driver"] == "vfio-pci"]

    def cpus(self):
        """{thread: the CPUs it may run on}, with 'CPU 0' for the first vCPU's."""
        # Threads that end meanwhile make grep fail.
        out = self._vm.sh(f"cd /proc/$(cat {self.pid_file()})/task && "
                          "{ grep -sH -e ^Name: -e ^Cpus_allowed_list: */status || :; }").out
        names = dict(re.findall(r"^(\d+)/status:Name:\t(.*)$", out, re.M))
        lists = dict(re.findall(r"^(\d+)/status:Cpus_allowed_list:\t(.*)$", out, re.M))
        return {names[thread].split("/")[0]: lists[thread] for thread in names if thread in lists}

    def hugepages(self):
        """{node: number of its 2 MiB pages there}"""
        found = {}
        for line in self._proc("numa_maps").splitlines():
            if "kernelpagesize_kB=2048" in line:
                for node, pages in re.findall(r" N(\d+)=(\d+)", line):
                    found[int(node)] = found.get(int(node), 0) + int(pages)
        return found

    def _proc(self, file):
        return self._vm.sh(f"cat /proc/$(cat {self.pid_file()})/{file}").out
