# SPDX-License-Identifier: LGPL-2.1-or-later
"""Finds the cases, and deals them out so that those with equal machines share a boot.

A case is a file of cases/: its first line of documentation is its title, MACHINE
says what it runs on, and run(vm) is its steps.
"""
import importlib.util
import os
import threading
from dataclasses import dataclass
from typing import Any

FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "cases")


@dataclass(frozen=True)
class Case:
    name: str
    title: str
    machine: Any
    run: Any


def load(names):
    """Those that are named, by their number or their whole name; all where none is."""
    found = [_load(file) for file in sorted(os.listdir(FOLDER)) if file.endswith(".py")]
    unknown = [name for name in names if not any(_is_called(case, name) for case in found)]
    if unknown:
        raise SystemExit(f"run: there is no case {', '.join(unknown)}; --list shows them")
    return [case for case in found if not names or any(_is_called(case, name) for name in names)]


class Waiting:
    """The cases that nobody has taken yet."""

    def __init__(self, found):
        self._cases = list(found)
        self._begun = set()
        self._lock = threading.Lock()

    def take(self, machine=None):
        """One for this machine; else one for a machine that none was taken for yet; else any; else None.

        The last comes first: later cases are longer, and short ones even out when the lanes end.
        """
        with self._lock:
            if not self._cases:
                return None
            found = min(reversed(self._cases), key=lambda case: (case.machine != machine, case.machine in self._begun))
            self._cases.remove(found)
            self._begun.add(found.machine)
            return found


def _is_called(case, name):
    return name in (case.name, case.name.split("-")[0], case.name.split("-")[0].lstrip("0"))


def _load(file):
    name = file.removesuffix(".py")
    spec = importlib.util.spec_from_file_location("case_" + name, os.path.join(FOLDER, file))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return Case(name, module.__doc__.splitlines()[0].rstrip("."), module.MACHINE, module.run)
