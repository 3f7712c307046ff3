# SPDX-License-Identifier: LGPL-2.1-or-later
"""Machines that this one is not: as hwloc's synthetic description, and what shares what on them.

Where a CPU is, is worked out here from the numbers alone, so that it can be held
against what the project made of the description.
"""


class Host:
    """All packages alike: `l3s` caches in each, with `cores` each, with `threads` each."""

    def __init__(self, packages=1, l3s=1, cores=4, threads=2, node_gib=0, siblings_far=False):
        """node_gib: each package is a NUMA node with that memory. siblings_far: threads of one core are
        not n, n + 1 but n, n + the number of cores."""
        self.packages, self.l3s, self.cores, self.threads = packages, l3s, cores, threads
        self.node_gib = node_gib
        n_cores = packages * l3s * cores
        if siblings_far:
            self.numbers = [core + thread * n_cores for core in range(n_cores) for thread in range(threads)]
        else:
            self.numbers = list(range(n_cores * threads))

    def synthetic(self):
        node = f" [numa(memory={self.node_gib}GiB)]" if self.node_gib else ""
        numbers = ",".join(map(str, self.numbers))
        return (f"pack:{self.packages}{node} l3:{self.l3s} core:{self.cores} "
                f"pu:{self.threads}(indexes={numbers})")

    def core(self, cpu):
        return self.numbers.index(cpu) // self.threads

    def l3(self, cpu):
        return self.core(cpu) // self.cores

    def package(self, cpu):
        return self.l3(cpu) // self.l3s
