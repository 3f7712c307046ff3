#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The SELinux module in copies of the machine's policy: does it go in, and what follows."""
import argparse
import json
import os
import re
import sys
import tempfile

import accesses
import fedora
import policy

GUEST_CATEGORIES = ":c100,c200"
BOOLEANS = ("vfioprofile_isolate_cpus", "vfioprofile_handover")
KINDS = {"dir": "dir", "sock_file": "socket"}

results = {"number": 0, "failures": 0}


def report(description, problem=""):
    results["number"] += 1
    print(f"{'not ok' if problem else 'ok'} {results['number']} - {description}", flush=True)
    for line in str(problem).splitlines():
        print(f"# {line}", flush=True)
    results["failures"] += bool(problem)


def check(description, function, *arguments):
    try:
        function(*arguments)
    except AssertionError as error:
        report(description, error or "it is not so")
    else:
        report(description)


# --- labels -------------------------------------------------------------------


def read_installed(build):
    with open(f"{build}/meson-info/intro-installed.json", encoding="utf-8") as file:
        return sorted(json.load(file).values())


def expect_label(path):
    """Of an installed path: a type of ours, or the one that the base gives to such files."""
    name = os.path.basename(path)
    ours = {
        "vfio-profiled": "vfioprofile_exec_t",
        "50-vfio-profile": "vfioprofile_hook_exec_t",
        "vfio-profile-load@.service": "vfioprofile_unit_t",
        "vfio-profile-unload@.service": "vfioprofile_unit_t",
        "vfio-profiled.service": "vfioprofile_unit_t",
        "vfio-profiled.socket": "vfioprofile_unit_t",
    }
    if name in ours and "/share/" not in path:
        return ours[name]
    if path.startswith("/etc/vfio-profile/"):
        return "vfioprofile_conf_t"
    for part, label in (("/bin/", "bin_t"), ("/libexec/", "bin_t"), ("/lib/dracut/", "bin_t"), ("/share/man/", "man_t"),
                        ("/share/", "usr_t")):
        if part in path:
            return label
    return "etc_t"


def check_labels(within, paths):
    for path in paths:
        wanted = expect_label(path)
        found = within.label(path)
        assert found == wanted, f"{path} is {found}, needed is {wanted}"


def check_made_labels(within, other_hook="virt_etc_rw_t"):
    for path, kind, wanted in (
        ("/etc/vfio-profile", "dir", "vfioprofile_conf_t"),
        ("/etc/vfio-profile/profiles.d", "dir", "vfioprofile_conf_t"),
        (accesses.PROFILE, "file", "vfioprofile_conf_t"),
        ("/var/lib/vfio-profile", "dir", "vfioprofile_var_lib_t"),
        ("/var/lib/vfio-profile/anything", "file", "vfioprofile_var_lib_t"),
        (accesses.WRAPPERS, "dir", "vfioprofile_wrapper_exec_t"),
        (accesses.WRAPPER, "file", "vfioprofile_wrapper_exec_t"),
        ("/var/lib/vfio-profile/intents", "dir", "vfioprofile_intent_t"),
        (accesses.INTENT, "file", "vfioprofile_intent_t"),
        ("/run/vfio-profile", "dir", "vfioprofile_runtime_t"),
        ("/var/run/vfio-profile", "dir", "vfioprofile_runtime_t"),
        (accesses.GATE, "socket", "vfioprofile_runtime_t"),
        # Not what only begins like ours.
        ("/var/lib/vfio-profile-other", "dir", "var_lib_t"),
        (accesses.OTHER_HOOK, "file", other_hook),
    ):
        found = within.label(path, kind)
        assert found == wanted, f"{path} is {found}, needed is {wanted}"


# --- accesses -----------------------------------------------------------------


class Asker:
    """Answers the lines of the table for one policy."""

    def __init__(self, answering, libvirt="virtd_t", daemon="/usr/sbin/vfio-profiled", aliases=None):
        """`aliases`: what this policy calls types of the table."""
        self.policy = answering
        self.aliases = aliases or {}
        self.subjects = {"guest": "svirt_t", "libvirt": libvirt, "init": "init_t", "container": "container_t"}
        self.subjects["daemon"] = answering.transition("init_t", answering.label(daemon))
        self.subjects["hook"] = answering.transition(libvirt, answering.label(accesses.HOOK))

    def resolve(self, target, target_class):
        kind, _, name = target.partition(":")
        if kind == "type":
            name = self.aliases.get(name, name)
            return name if name in self.policy.types else None
        if kind == "process":
            return self.subjects[name]
        return self.policy.label(target, KINDS.get(target_class, "file"))

    def answer(self, subject, target, target_class, permission):
        source = self.subjects[subject]
        found = self.resolve(target, target_class)
        if source is None or found is None:
            return "-"
        categories = GUEST_CATEGORIES if subject == "guest" else ""
        return "Y" if self.policy.allows(source, found, target_class, permission, categories) else "N"


def check_accesses(without, within):
    answers = []
    rows = list(accesses.read())
    for one in (without, within):
        one.ask()
        asker = Asker(one)
        answers.append([[asker.answer(*row[:3], permission) for permission in row[3]] for row in rows])
    for row, before, after in zip(rows, *answers):
        subject, target, target_class, permissions, *wanted = row
        problems = [f"{permission}: '{old} {new}' where '{' '.join(wanted)}' is needed"
                    for permission, old, new in zip(permissions, before, after) if [old, new] != wanted]
        report(f"{subject} {target} {target_class} {{ {' '.join(permissions)} }}: {' '.join(wanted)}",
               "\n".join(problems))


# --- the module as a whole ----------------------------------------------------


def check_installs(within, module):
    within.semodule("-i", module, expand_check=True)


def check_scope(without, within):
    old = without.statements()
    strangers = [text for text, types in within.statements().items()
                 if text not in old and not any(name.startswith(policy.OWN) for name in types)]
    assert not strangers, "these rules are about nobody of ours:\n" + "\n".join(sorted(strangers))


# What changes something: everything else only looks.
STRONG = {"append", "connectto", "create", "entrypoint", "execute_no_trans", "link", "load_policy", "mounton",
          "ptrace", "relabelfrom", "relabelto", "rename", "send_msg", "sendto", "setattr", "setenforce", "setsched",
          "sigkill", "signal", "start", "stop", "transition", "unlink", "write"}

# (type, class) that the daemon changes, each with what for.
DAEMON_CHANGES = {
    ("sysfs_t", "file"): "pools of hugepages, governors",
    ("sysctl_irq_t", "file"): "IRQ affinity",
    ("sysctl_vm_t", "file"): "compact_memory",
    ("virt_runtime_t", "sock_file"): "libvirt's socket",
    ("virtd_t", "unix_stream_socket"): "libvirt",
    ("system_dbusd_runtime_t", "sock_file"): "D-Bus",
    ("system_dbusd_t", "unix_stream_socket"): "D-Bus",
    ("system_dbusd_t", "dbus"): "D-Bus",
    ("session_dbusd_tmp_t", "sock_file"): "comes with D-Bus's interface in Debian 13's policy",
    ("init_t", "dbus"): "systemd",
    ("init_t", "system"): "units without a file",
    ("systemd_unit_t", "service"): "slices",
    ("systemd_transient_unit_t", "service"): "scopes",
    ("systemd_logind_t", "dbus"): "sessions that use a card",
    ("systemd_logind_inhibit_runtime_t", "fifo_file"): "the host does not suspend while a guest has its card",
    ("init_t", "unix_dgram_socket"): "sd_notify()",
    ("init_t", "unix_stream_socket"): "standard output",
    ("devlog_t", "sock_file"): "the log",
    ("syslogd_t", "unix_dgram_socket"): "the log",
    ("syslogd_t", "unix_stream_socket"): "the log",
    ("kernel_t", "unix_dgram_socket"): "the log, until the journal listens",
    ("sysctl_vm_t", "dir"): "comes with the interface, and the kernel lets nobody write there",
    ("var_run_t", "dir"): "the run folder, where systemd did not make it",
}


# What all of these have in common comes with being a daemon: descriptors of systemd's, sd_notify().
PLAIN_DAEMONS = ("avahi_t", "chronyd_t", "rpcbind_t")


def list_changes(within, domain):
    """What a domain may change that is not its own, beyond what every daemon may."""
    plain = [within.permissions(name) for name in PLAIN_DAEMONS if name in within.types]
    found = {}
    for (target, target_class), permissions in within.permissions(domain).items():
        every = set.intersection(*(one.get((target, target_class), set()) for one in plain))
        strong = (permissions & STRONG) - every
        if strong and not target.startswith(policy.OWN):
            found[target, target_class] = strong
    return found


def check_daemon_changes(within, also=()):
    listed = {*DAEMON_CHANGES, *also}
    extra = {key: value for key, value in list_changes(within, "vfioprofile_t").items() if key not in listed}
    assert not extra, "the daemon may change more than the list says:\n" + "\n".join(
        f"{target}:{target_class} {{ {' '.join(sorted(names))} }}" for (target, target_class), names in
        sorted(extra.items()))


def check_hook_changes(within, libvirt=("virtd_t",)):
    extra = {(target, target_class): names for (target, target_class), names
             in list_changes(within, "vfioprofile_hook_t").items()
             if target not in libvirt or target_class not in ("fifo_file", "process")}
    assert not extra, f"the hook may change more than libvirt's pipes: {extra}"


def check_writers(without, within):
    """Who writes a wrapper decides what runs as QEMU: nobody but who may write QEMU itself."""
    for permission in ("write", "append", "relabelto", "unlink", "rename", "setattr"):
        allowed = without.holders("qemu_exec_t", "file", permission) | {"vfioprofile_t"}
        extra = within.holders("vfioprofile_wrapper_exec_t", "file", permission) - allowed
        assert not extra, f"these may {permission} a wrapper, and not QEMU: {sorted(extra)}"


def check_gate_users(without, within):
    """Who may connect: the hook, and who may connect to libvirt's root socket by being unconfined."""
    allowed = without.holders("init_t", "unix_stream_socket", "connectto") | {"vfioprofile_hook_t", "vfioprofile_t"}
    extra = within.holders("vfioprofile_t", "unix_stream_socket", "connectto") - allowed
    assert not extra, f"these may connect to the gate: {sorted(extra)}"


def check_named_folder(within):
    query = within.setools.TERuleQuery(within.rules, ruletype=["type_transition"], source="vfioprofile_t",
                                       target="vfioprofile_var_lib_t", tclass=["dir"])
    rules = sorted(str(rule) for rule in query.results())
    wanted = [r' vfioprofile_intent_t "?intents"?;$', r' vfioprofile_wrapper_exec_t "?emulators"?;$']
    assert len(rules) == 2 and all(any(re.search(one, rule) for rule in rules) for one in wanted), rules


def check_boolean(within):
    booleans = {str(one): one.state for one in within.rules.bools()}
    assert all(booleans.get(name) is True for name in BOOLEANS), "there is no such boolean, or it is off"
    query = within.setools.TERuleQuery(within.rules, ruletype=["allow"], source="vfioprofile_t", perms=["start"],
                                       source_indirect=True)
    free = [str(rule) for rule in query.results() if not str(rule.target).startswith(policy.OWN)
            and str(getattr(rule, "conditional", "")) not in BOOLEANS]
    assert not free, f"no boolean switches these: {free}"


def check_removal(within):
    within.semodule("-r", "vfioprofile")
    assert within.label(accesses.WRAPPER) == "var_lib_t", within.label(accesses.WRAPPER)
    left = [name for name in policy.Policy.load(within).types if name.startswith(policy.OWN)]
    assert not left, left


# --- Fedora's policy -----------------------------------------------------------


def check_fedora_contexts(other):
    """Fedora takes /var/run for /run, and makes a module of the lines that say otherwise: a second one breaks it."""
    text = fedora.read(other.contexts)
    assert "/var/run" not in text, text


def check_fedora_accesses(other):
    """Of the table the column with the module: without it, answers would be about the stand-in alone."""
    other.within.ask()
    asker = Asker(other.within, fedora.MODULAR, fedora.DAEMON, fedora.ALIASES)
    problems = []
    for subject, target, target_class, permissions, _, wanted in [*accesses.read(), *accesses.read(fedora.ACCESSES)]:
        for permission in permissions:
            found = asker.answer(subject, target, target_class, permission)
            if found != wanted:
                problems.append(f"{subject} {target} {target_class} {permission}: {found} where {wanted} is needed")
    assert not problems, "\n".join(problems)


def check_fedora_hooks(other):
    """The boolean is the daemon's of networks: it must not be taken for what lets our hook run."""
    rules = other.within.setools.TERuleQuery(other.within.rules, ruletype=["type_transition"], tclass=["process"],
                                             target="virt_hook_t").results()
    found = {str(rule.source): str(rule.conditional) for rule in rules if hasattr(rule, "conditional")}
    assert found == {"virtnetworkd_t": "virt_hooks_unconfined"}, found
    for libvirt in ("virtd_t", "virtqemud_t"):
        entered = other.within.transition(libvirt, "vfioprofile_hook_exec_t")
        assert entered == "vfioprofile_hook_t", f"{libvirt} runs our hook as {entered}"


def check_fedora(other, build):
    check("Fedora's policy: the module compiles, goes in, and breaks no neverallow", other.install)
    if results["failures"]:
        return
    paths = [fedora.installed_as(path) for path in read_installed(build)]
    check("Fedora's policy: no path is given twice", check_fedora_contexts, other)
    check("Fedora's policy: every installed file has its label", check_labels, other.within, paths)
    check("Fedora's policy: what is made at run time has its label", check_made_labels, other.within, "virt_hook_t")
    check("Fedora's policy: the table of accesses", check_fedora_accesses, other)
    check("Fedora's policy: our hook runs with its boolean off, and in its own domain", check_fedora_hooks, other)
    check("Fedora's policy: no rule is about others only", check_scope, other.without, other.within)
    check("Fedora's policy: the daemon changes nothing that is not listed", check_daemon_changes, other.within,
          fedora.DAEMON_CHANGES)
    check("Fedora's policy: the hook changes nothing but libvirt's pipes", check_hook_changes, other.within,
          fedora.LIBVIRTS)
    check("Fedora's policy: nobody writes a wrapper who may not write QEMU", check_writers, other.without, other.within)
    check("Fedora's policy: nobody new reaches the gate but the hook", check_gate_users, other.without, other.within)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--source", required=True)
    parser.add_argument("--module", help="the compiled one; none: it was not built")
    options = parser.parse_args()
    try:
        if options.module is None:
            raise policy.Missing("the module was not built: no development files of a policy (selinux-policy-dev)")
        policy.check_prerequisites()
    except policy.Missing as reason:
        print(f"1..0 # SKIP {reason}")
        return 0
    with tempfile.TemporaryDirectory(prefix="vp-selinux-") as folder:
        without = policy.Policy(f"{folder}/without")
        within = policy.Policy(f"{folder}/with")
        check("the module goes into the policy, and breaks no neverallow", check_installs, within, options.module)
        if results["failures"] == 0:
            without.load()
            within.load()
            check("every installed file has its label", check_labels, within, read_installed(options.build))
            check("what is made at run time has its label", check_made_labels, within)
            check_accesses(without, within)
            check("no rule is about others only", check_scope, without, within)
            check("the daemon changes nothing that is not listed", check_daemon_changes, within)
            check("the hook changes nothing but libvirt's pipes", check_hook_changes, within)
            check("nobody writes a wrapper who may not write QEMU", check_writers, without, within)
            check("nobody new reaches the gate but the hook", check_gate_users, without, within)
            check("the folders of wrappers and of intents get their types when the daemon makes them", check_named_folder, within)
            check("the boolean is there and on", check_boolean, within)
            check("it goes out again", check_removal, within)
        check_fedora(fedora.Fedora(f"{folder}/fedora", options.source), options.build)
    print(f"1..{results['number']}")
    return 1 if results["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
