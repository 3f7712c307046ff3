# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a machine is made of, as a case states it, and the QEMU options for it."""
from dataclasses import dataclass

# The boot display, behind a port of its own as in real machines. On the root bus it would
# keep the memory at 0xa0000 whatever Linux' VGA arbiter says, and guests find no font.
BOOT_DISPLAY = ["-vga", "none", "-device", "pcie-root-port,id=bootport,bus=pcie.0,addr=1,chassis=100,slot=100",
                "-device", "VGA,id=boot,bus=bootport"]

RUN_UNCONFINED = ["/usr/bin/runcon", "unconfined_u:unconfined_r:unconfined_t:s0-s0:c0.c1023"]


@dataclass(frozen=True)
class Card:
    """A graphics card in a slot of its own: behind a root port, on a NUMA node.

    It has an IOMMU group of its own, with its audio where it has that. Cards that name
    the same bridge stand behind that one, a conventional PCI bridge, and share a group.
    The port is on a PCI host bridge of the node's, bus 0x40 on node 0, 0x60 on node 1:
    so the first card of node 0 is 41:00.0.
    """
    name: str
    node: int = 0
    device: str = "VGA"
    audio: bool = False
    bridge: str = ""


def _card(card, bus, place):
    words = ["-device", f"{card.device},id={card.name},bus={bus},addr={place}.0,multifunction=on"]
    if card.audio:
        words += ["-device", f"ich9-intel-hda,id={card.name}-audio,bus={bus},addr={place}.1",
                  "-audiodev", f"none,id={card.name}-mute",
                  "-device", f"hda-output,bus={card.name}-audio.0,audiodev={card.name}-mute"]
    return words


def _behind_bridge(cards, bus):
    name = cards[0].bridge
    words = ["-device", f"pcie-pci-bridge,id={name},bus={bus},addr=0"]
    for place, card in enumerate(cards, 1):  # 0 is the bridge's own hotplug controller
        words += _card(card, name, place)
    return words


@dataclass(frozen=True)
class Machine:
    """CPUs are numbered core by core: 0 and 1 are the threads of core 0.

    Nodes have equal shares: of eight CPUs node 0 has 0 to 3, of which 0 and 1 are the
    core that the host keeps by default.
    """
    cores: int = 4
    threads: int = 2
    nodes: int = 2
    mib: int = 3584
    # With erms the kernel clears and copies byte by byte, which emulation does one by one.
    cpu: str = "Skylake-Client,-hle,-rtm,-erms"
    cards: tuple = (Card("gpu1", node=0), Card("gpu2", node=1))
    kernel: str = "intel_iommu=on"
    # Emulated, whatever the host can: then KVM works inside, on AMD's CPUs.
    kvm_inside: bool = False

    @property
    def cpus(self):
        return self.cores * self.threads

    @property
    def shell(self):
        """As an administrator has it. The agent's own domain is that of scripts at boot."""
        return [*RUN_UNCONFINED, "/bin/sh"] if "security=selinux" in self.kernel else ["/bin/sh"]

    def slots(self):
        """Lists of the cards behind each root port: one alone, or those behind a bridge."""
        found = {}
        for card in self.cards:
            found.setdefault(card.bridge or card.name, []).append(card)
        return list(found.values())

    def address(self, name, function=0):
        """The PCI address of a card, or of its audio, which is function 1."""
        node = next(card.node for card in self.cards if card.name == name)
        bus = _bus(node) + 1
        for cards in self.slots():
            names = [card.name for card in cards]
            if name in names:
                break
            bus += 0 if cards[0].node != node else 2 if cards[0].bridge else 1
        if cards[0].bridge:
            return f"0000:{bus + 1:02x}:{names.index(name) + 1:02x}.{function}"
        return f"0000:{bus:02x}:00.{function}"

    def options(self):
        # What is not there is not looked for, at each boot.
        words = ["-machine", "q35,kernel-irqchip=split,sata=off,smbus=off,i8042=off", "-cpu", self.cpu,
                 "-smp", f"{self.cpus},sockets={self.nodes},cores={self.cores // self.nodes},threads={self.threads}",
                 "-m", f"{self.mib}M",
                 "-device", "intel-iommu,intremap=on,caching-mode=on",
                 *BOOT_DISPLAY]
        share = self.cpus // self.nodes
        for node in range(self.nodes):
            words += ["-object", f"memory-backend-ram,id=mem{node},size={self.mib // self.nodes}M",
                      "-numa", f"node,nodeid={node},memdev=mem{node},cpus={node * share}-{(node + 1) * share - 1}"]
        for node in sorted({card.node for card in self.cards}):
            words += ["-device", f"pxb-pcie,id=host{node},bus=pcie.0,bus_nr={_bus(node)},numa_node={node}"]
        for slot, cards in enumerate(self.slots(), 1):
            words += ["-device", f"pcie-root-port,id=port{slot},bus=host{cards[0].node},chassis={slot},slot={slot}"]
            words += _behind_bridge(cards, f"port{slot}") if cards[0].bridge else _card(cards[0], f"port{slot}", 0)
        return words


def _bus(node):
    return 0x40 + 0x20 * node
