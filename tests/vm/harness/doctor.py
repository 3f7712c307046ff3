# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `vfio-profile doctor` says in the machine."""
import json


def ask(vm, check):
    """(results, text) of one check, which may have several lines: {"OK", "FAIL"}, and what was seen."""
    report = json.loads(vm.sh("vfio-profile doctor --json", ok=None, deadline=120).out)
    lines = [line for line in report["checks"] if line["check"] == check]
    return {line["result"] for line in lines}, "\n".join(line["seen"] for line in lines)


def expect(vm, check, result, *words):
    """All its lines have this result, and what was seen has these words."""
    results, text = ask(vm, check)
    vm.check(results == {result} and all(word in text for word in words), f"the doctor says of {check}: {results} {text}")
