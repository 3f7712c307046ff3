#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The SELinux module in copies of the machine's policy: does it go in, and what follows."""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile

import accesses
import policy

GUEST_CATEGORIES = ":c100,c200"
BOOLEAN = "vfioprofile_isolate_cpus"
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


def check_labels(within, build):
    for path in read_installed(build):
        wanted = expect_label(path)
        found = within.label(path)
        assert found == wanted, f"{path} is {found}, needed is {wanted}"


def check_made_labels(within):
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
        ("/etc/libvirt/hooks/qemu.d/50-other", "file", "virt_etc_rw_t"),
    ):
        found = within.label(path, kind)
        assert found == wanted, f"{path} is {found}, needed is {wanted}"


# --- accesses -----------------------------------------------------------------


class Asker:
    """Answers the lines of the table for one policy."""

    def __init__(self, answering):
        self.policy = answering
        self.subjects = {"guest": "svirt_t", "libvirt": "virtd_t", "init": "init_t"}
        self.subjects["daemon"] = answering.transition("init_t", answering.label("/usr/sbin/vfio-profiled"))
        self.subjects["hook"] = answering.transition("virtd_t", answering.label(accesses.HOOK))

    def resolve(self, target, target_class):
        kind, _, name = target.partition(":")
        if kind == "type":
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
    ("init_t", "dbus"): "systemd",
    ("init_t", "system"): "units without a file",
    ("systemd_unit_t", "service"): "slices",
    ("systemd_transient_unit_t", "service"): "scopes",
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


def check_daemon_changes(within):
    extra = {key: value for key, value in list_changes(within, "vfioprofile_t").items() if key not in DAEMON_CHANGES}
    assert not extra, "the daemon may change more than the list says:\n" + "\n".join(
        f"{target}:{target_class} {{ {' '.join(sorted(names))} }}" for (target, target_class), names in
        sorted(extra.items()))


def check_hook_changes(within):
    extra = {key: value for key, value in list_changes(within, "vfioprofile_hook_t").items()
             if key not in (("virtd_t", "fifo_file"), ("virtd_t", "process"))}
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
    assert booleans.get(BOOLEAN) is True, "there is no such boolean, or it is off"
    query = within.setools.TERuleQuery(within.rules, ruletype=["allow"], source="vfioprofile_t", perms=["start"],
                                       source_indirect=True)
    free = [str(rule) for rule in query.results() if str(getattr(rule, "conditional", "")) != BOOLEAN]
    assert not free, f"the boolean does not switch these: {free}"


def check_removal(within):
    within.semodule("-r", "vfioprofile")
    assert within.label(accesses.WRAPPER) == "var_lib_t", within.label(accesses.WRAPPER)
    left = [name for name in policy.Policy.load(within).types if name.startswith(policy.OWN)]
    assert not left, left


# --- the names of Fedora's policy ---------------------------------------------

# As Fedora calls them.
FEDORA_NAMES = """
define(`files_pid_file', defn(`files_runtime_file'))
define(`files_pid_filetrans', defn(`files_runtime_filetrans'))
define(`files_search_pids', defn(`files_search_runtime'))
define(`systemd_unit_file', defn(`init_unit_file'))
define(`auth_read_passwd', `files_read_etc_files($1)')
define(`init_daemon_run_dir', `init_daemon_runtime_file($1, dir, $2)')
define(`init_nnp_daemon_domain', `
  gen_require(`type init_t;')
  allow init_t $1:process2 { nnp_transition nosuid_transition };
')
"""

# The names that only the reference policy has; its own interfaces need them, so we look for others.
REFPOLICY_NAMES = ("init_daemon_runtime_file", "files_runtime_filetrans", "files_search_runtime")

# Types that Debian's policy lacks, in a module that is installed beside ours.
FEDORA_TYPES = """
policy_module(vpfedoratypes, 1.0)
type virtqemud_t;
domain_type(virtqemud_t)
role system_r types virtqemud_t;
type systemd_unit_file_t;
files_type(systemd_unit_file_t)
"""


def build(script, folder, name, *texts):
    sources = []
    for suffix, text in zip(("te", "if", "fc"), texts):
        sources.append(f"{folder}/{name}.{suffix}")
        with open(sources[-1], "w", encoding="utf-8") as file:
            file.write(text)
    output = f"{folder}/{name}.pp.bz2"
    done = subprocess.run([script, "/usr/share/selinux/devel/Makefile", output, *sources], capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return output


def check_fedora_names(options, folder):
    source = f"{options.source}/selinux"
    texts = []
    for path in (f"{source}/vfioprofile.te", f"{source}/vfioprofile.if", f"{options.build}/selinux/vfioprofile.fc"):
        with open(path, encoding="utf-8") as file:
            texts.append(file.read())
    texts[0] = texts[0].replace("policy_module(", FEDORA_NAMES + "policy_module(", 1)
    for name in REFPOLICY_NAMES:
        texts = [text.replace(f"ifdef(`{name}',", "ifdef(`no_such_name',") for text in texts]
    modules = [build(f"{source}/build-module", folder, "vfioprofile", *texts),
               build(f"{source}/build-module", folder, "vpfedoratypes", FEDORA_TYPES)]
    fedora = policy.Policy(f"{folder}/fedora")
    fedora.semodule("-i", *modules)
    fedora.load().ask()
    assert fedora.transition("virtqemud_t", "vfioprofile_hook_exec_t") == "vfioprofile_hook_t"
    for source_type, target, target_class, permission in (
        ("virtqemud_t", "vfioprofile_wrapper_exec_t", "file", "execute_no_trans"),
        ("virtqemud_t", "vfioprofile_t", "file", "read"),
        ("vfioprofile_t", "systemd_unit_file_t", "service", "start"),
        ("vfioprofile_t", "vfioprofile_runtime_t", "sock_file", "create"),
        ("vfioprofile_hook_t", "vfioprofile_runtime_t", "sock_file", "write"),
    ):
        assert fedora.allows(source_type, target, target_class, permission), f"{source_type} {target} {permission}"


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
            check("every installed file has its label", check_labels, within, options.build)
            check("what is made at run time has its label", check_made_labels, within)
            check_accesses(without, within)
            check("no rule is about others only", check_scope, without, within)
            check("the daemon changes nothing that is not listed", check_daemon_changes, within)
            check("the hook changes nothing but libvirt's pipes", check_hook_changes, within)
            check("nobody writes a wrapper who may not write QEMU", check_writers, without, within)
            check("nobody new reaches the gate but the hook", check_gate_users, without, within)
            check("the folders of wrappers and of intents get their types when the daemon makes them", check_named_folder, within)
            check("the boolean is there and on", check_boolean, within)
            check("with the names of Fedora's policy it goes in too", check_fedora_names, options, folder)
            check("it goes out again", check_removal, within)
    print(f"1..{results['number']}")
    return 1 if results["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
