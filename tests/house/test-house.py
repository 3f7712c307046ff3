# SPDX-License-Identifier: LGPL-2.1-or-later
"""The rules of the house hold; and each fails where a line breaks it."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "unit"))
import tap  # pylint: disable=wrong-import-position
from rules import (check_circles, check_file_names, check_folders_in_includes, check_layers, check_libvirt, check_links,
                   check_meson_files, check_type_names)  # pylint: disable=wrong-import-position
from sources import Tree  # pylint: disable=wrong-import-position

ROOT = os.path.abspath(sys.argv[1])
TREE = Tree.read(ROOT)

SHARE_OF_COMMENTS = 100  # percent


def line_added(line):
    """A change of a file: one line more, the first."""
    return lambda text: line + "\n" + text


def line_at_the_end(line):
    """A change of a file: one line more, the last."""
    return lambda text: text + line + "\n"


def replaced(old, new):
    """A change of a file: the first of one text is another."""
    def change(text):
        assert old in text, f"there is no {old!r} to change"
        return text.replace(old, new, 1)
    return change


# (the rule, the file, its change, the line that is named, words of the finding)
MUTATIONS = [
    (check_layers, "lib/base/list.c", line_added('#include "hooks/hook.h"'), 1, "may not name hooks"),
    (check_layers, "lib/plan/plan.c", line_added('#include "daemon/hold/book.h"'), 1, "may not name daemon/hold"),
    (check_layers, "lib/plan/plan.c", line_added('#include "cli/base/output.h"'), 1, "may not name cli/base"),
    (check_layers, "lib/host/host.c", line_added('#include "domain/domain.h"'), 1, "may not name lib/domain"),
    (check_layers, "lib/placement/placement.c", line_added('#include "devices/devices.h"'), 1, "lib/devices"),
    (check_layers, "lib/merge/merge.c", line_added('#include "host/host.h"'), 1, "may not name lib/host"),
    (check_layers, "lib/plan/rules/rule-cpu.c", line_added('#include "libvirt/libvirt-client.h"'), 1, "lib/libvirt"),
    (check_layers, "cli/map/map.c", line_added('#include "daemon/hold/book.h"'), 1, "may not name daemon/hold"),
    (check_layers, "hooks/qemu.c", line_added('#include "host/host.h"'), 1, "hooks may not name lib/host"),
    (check_layers, "hooks/qemu.c", line_added('#include "daemon/daemon.h"'), 1, "hooks may not name daemon"),
    (check_layers, "daemon/hold/book.c", line_added('#include "daemon/gate/answer.h"'), 1, "may not name daemon/gate"),
    (check_layers, "daemon/gate/answer.c", line_added('#include "daemon/keep/keeper.h"'), 1, "daemon/keep"),
    (check_layers, "daemon/gate/answer.c", line_added('#include "libvirt/libvirt-client.h"'), 1, "lib/libvirt"),
    (check_layers, "daemon/gate/answer.c", line_added('#include "edits/intents.h"'), 1, "lib/edits"),
    (check_layers, "lib/libvirt/libvirt-client.c", line_added('#include "edits/round.h"'), 1, "may not name lib/edits"),
    (check_layers, "daemon/keep/keeper.c", line_added('#include "daemon/daemon.h"'), 1, "may not name daemon"),
    (check_layers, "lib/attic/attic.c", line_added("int attic;"), 1, "has no place in the order"),
    (check_libvirt, "daemon/gate/answer.c", line_added("#include <libvirt/libvirt.h>"), 1, "may not ask libvirt"),
    (check_libvirt, "lib/plan/plan.c", line_added("#include <libvirt/virterror.h>"), 1, "may not ask libvirt"),
    (check_folders_in_includes, "lib/plan/plan.c", line_added('#include "slot.h"'), 1, '"slot.h" is no header'),
    (check_folders_in_includes, "lib/plan/plan.c", line_added('#include "plan/gone.h"'), 1, '"plan/gone.h" is no'),
    (check_circles, "lib/base/error.c", line_added('#include "base/xml.h"'), 1, 'includes "base/xml.h"'),
    (check_circles, "lib/placement/placement-view.c",
     line_at_the_end("gpointer back (void) { return vp_placement_new; }"), None, "uses vp_placement_new"),
    (check_file_names, "lib/profile/domain.c", line_added("int copy;"), 1, "lib/domain has a file of the name domain"),
    (check_type_names, "lib/profile/profile.h", line_added("typedef struct VpPlacement { int x; } VpPlacement;"), 1,
     "defines a type VpPlacement too"),
    (check_type_names, "lib/placement/placement.h", line_added("typedef struct VpHost VpHost;"), 1, "type VpHost too"),
    (check_links, "lib/host/meson.build", replaced("dependencies: [", "dependencies: [plan_dep, "), None,
     "may not link"),
    (check_links, "daemon/hold/meson.build", replaced("dependencies: [", "dependencies: [libvirt_dep, "), None,
     "may not link libvirt"),
    (check_links, "daemon/gate/meson.build", replaced("gate_deps = [", "gate_deps = [dependency('libvirt'), "), None,
     "libvirt is libvirt_dep"),
    (check_meson_files, "lib/attic/attic.c", line_added("int attic;"), 1, "lib/attic:1: it has no meson.build"),
]


def make_check(rule):
    """A test that a rule holds in the tree."""
    def check():
        findings = list(rule(TREE))
        assert not findings, "\n".join(findings)
    check.__doc__ = rule.__doc__
    return check


def make_mutation(rule, path, change, line, words):
    """A test that a rule finds what one changed file breaks, and says where."""
    def check():
        present = set(rule(TREE))
        findings = [finding for finding in rule(TREE.changed(path, change)) if finding not in present]
        place = path if line is None else f":{line}:"
        assert any(place in finding and words in finding for finding in findings), f"found: {findings}"
    check.__doc__ = f"not so where {path} breaks it: {words}"
    return check


def test_prototypes_have_comments():
    """prototypes in headers have a comment, their own or their group's"""
    prototypes = [(path, *prototype) for path, source in sorted(TREE.sources.items()) if source.extension == ".h"
                  for prototype in source.prototypes()]
    bare = [f"{path}:{line}: {name} has no comment" for path, name, line, commented in prototypes if not commented]
    share = 100 * (len(prototypes) - len(bare)) / len(prototypes)
    print(f"# {len(prototypes)} prototypes, {share:.1f} % have a comment")
    assert share >= SHARE_OF_COMMENTS, "\n".join([f"less than {SHARE_OF_COMMENTS} % have a comment", *bare])


def add_tests(names):
    """A test for each rule and each mutation."""
    rules = dict.fromkeys(mutation[0] for mutation in MUTATIONS)
    for rule in rules:
        names[f"test_{rule.__name__}"] = make_check(rule)
    for number, mutation in enumerate(MUTATIONS):
        names[f"test_mutation_{number}"] = make_mutation(*mutation)


add_tests(globals())
tap.main(globals())
