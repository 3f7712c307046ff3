# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a machine is made of, as a case states it, and the QEMU options for it."""
from dataclasses import dataclass

# The boot display, behind a port of its own as in real machines. On the root bus it would
# keep the memory at 0xa0000 whatever Linux' VGA arbiter says, and guests find no font.
BOOT_DISPLAY = ["-vga", "none", "-device", "pcie-root-port,id=bootport,bus=pcie.0,addr=1,chassis=100,slot=100",
                "-device", "VGA,id=boot,bus=bootport"]


@dataclass(frozen=True)
class Card:
    """A graphics card in a slot of its own: behind a root port, on a NUMA node.

    It has an IOMMU group of its own. The port is on a PCI host bridge of the
    node's, bus 0x40 on node 0, 0x60 on node 1: so the first card of node 0 is 41:00.0.
    """
    name: str
    node: int = 0
    device: str = "VGA"
    audio: bool = False


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
    cpu: str = "Skylake-Client,-hle,-rtm"
    cards: tuple = (Card("gpu1", node=0), Card("gpu2", node=1))
    kernel: str = "intel_iommu=on"
    # Emulated, by one thread: then KVM works inside, on AMD's CPUs. With several threads
    # QEMU 7.2 loses a write to the kernel's code, and a CPU, when the first guest starts.
    kvm_inside: bool = False

    @property
    def cpus(self):
        return self.cores * self.threads

    def address(self, name):
        """The PCI address of a card."""
        card = next(card for card in self.cards if card.name == name)
        mates = [other.name for other in self.cards if other.node == card.node]
        return f"0000:{_bus(card.node) + 1 + mates.index(name):02x}:00.0"

    def options(self):
        words = ["-machine", "q35,kernel-irqchip=split", "-cpu", self.cpu,
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
        for slot, card in enumerate(self.cards, 1):
            words += ["-device", f"pcie-root-port,id=port{slot},bus=host{card.node},chassis={slot},slot={slot}",
                      "-device", f"{card.device},id={card.name},bus=port{slot},addr=0,multifunction=on"]
            if card.audio:
                words += ["-device", f"ich9-intel-hda,bus=port{slot},addr=0.1"]
        return words


def _bus(node):
    return 0x40 + 0x20 * node
