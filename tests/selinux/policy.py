# SPDX-License-Identifier: LGPL-2.1-or-later
"""A copy of the machine's SELinux policy, with modules installed, that answers questions.

It needs no SELinux in the kernel and changes nothing of the machine: semodule works
in a root of its own.
"""
import os
import re
import shutil
import subprocess

NAMES_OF_STORES = ("default", "targeted", "mcs")
PRIORITY = "200"  # a distribution's package; the base policy has 100, an administrator 400
OWN = "vfioprofile_"


class Missing(Exception):
    """What the tests need and is not there; the text says what."""


def find_store():
    for name in NAMES_OF_STORES:
        if os.path.isdir(f"/etc/selinux/{name}/policy") and os.path.isdir(f"/var/lib/selinux/{name}"):
            return name
    raise Missing("no SELinux policy is installed (selinux-policy-default)")


def check_prerequisites():
    for program, package in (("semodule", "policycoreutils"), ("selabel_lookup", "selinux-utils"), ("bzip2", "bzip2")):
        if shutil.which(program) is None:
            raise Missing(f"there is no {program} (package {package})")
    for module, package in (("selinux.audit2why", "python3-selinux"), ("setools", "python3-setools")):
        try:
            __import__(module)
        except ImportError:
            raise Missing(f"Python has no {module} (package {package})") from None
    if os.geteuid() != 0:
        raise Missing("only root can read the store of policy modules")
    find_store()


class Policy:
    """One linked policy. Asked about types only where a path's label is not what is meant."""

    def __init__(self, root):
        self.store = find_store()
        self.root = root
        os.makedirs(f"{root}/etc")
        os.makedirs(f"{root}/var/lib")
        shutil.copytree("/etc/selinux", f"{root}/etc/selinux", symlinks=True)
        shutil.copytree("/var/lib/selinux", f"{root}/var/lib/selinux", symlinks=True)

    def semodule(self, *arguments, expand_check=False):
        """`expand_check`: with the neverallow rules of the base, which takes as long again."""
        with open(f"{self.root}/etc/selinux/semanage.conf", "a", encoding="utf-8") as file:
            file.write(f"\nexpand-check={int(expand_check)}\n")
        done = subprocess.run(["semodule", "-p", self.root, "-s", self.store, "-n", "-X", PRIORITY, *arguments],
                              capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"semodule {' '.join(arguments)} failed:\n{done.stderr}"

    @property
    def binary(self):
        folder = f"{self.root}/etc/selinux/{self.store}/policy"
        return f"{folder}/{max(os.listdir(folder), key=lambda name: int(name.rsplit('.', 1)[1]))}"

    # --- labels ---

    def label(self, path, kind="file"):
        """The type that file_contexts gives a path; None: it says nothing about it."""
        contexts = f"{self.root}/etc/selinux/{self.store}/contexts/files/file_contexts"
        done = subprocess.run(["selabel_lookup", "-b", "file", "-f", contexts, "-t", kind, "-k", path],
                              capture_output=True, text=True, check=False)
        found = re.search(r"[a-z_]+:object_r:(\w+)", done.stdout)
        return found.group(1) if found else None

    # --- rules ---

    def load(self):
        import setools  # pylint: disable=import-outside-toplevel
        import selinux.audit2why as audit2why  # pylint: disable=import-outside-toplevel

        self.rules = setools.SELinuxPolicy(self.binary)
        self.types = {str(one) for one in self.rules.types()}
        self.setools = setools
        self.why = audit2why
        self.level = ":s0" if self.rules.mls else ""
        return self

    def ask(self):
        """Before allows(): the library behind it knows one policy at a time."""
        self.why.finish()
        self.why.init(self.binary)

    def transition(self, source, target):
        """The domain that `source` enters by running a file of type `target`; None: it stays, or may not."""
        query = self.setools.TERuleQuery(self.rules, ruletype=["type_transition"], source=source, target=target,
                                         tclass=["process"])
        found = {str(rule.default) for rule in query.results()}
        return found.pop() if len(found) == 1 else None

    def allows(self, source, target, target_class, permission, categories=""):
        """Constraints and booleans count; `categories`: those of the source, as a guest has."""
        answer, _ = self.why.analyze(f"system_u:system_r:{source}{self.level}{categories if self.level else ''}",
                                     f"system_u:{'system_r' if self.is_domain(target) else 'object_r'}:{target}"
                                     f"{self.level}", target_class, [permission])
        assert answer in (self.why.ALLOW, self.why.DONTAUDIT, self.why.TERULE, self.why.BOOLEAN, self.why.CONSTRAINT,
                          self.why.RBAC), f"{source} {target}:{target_class} {permission}: {answer}"
        return answer == self.why.ALLOW

    def is_domain(self, name):
        return "domain" in {str(one) for one in self.rules.lookup_type(name).attributes()}

    def statements(self):
        """All allow and transition rules as text, as written, with the types that they name."""
        found = {}
        for rule in self.rules.terules():
            if str(rule.ruletype) == "allow":
                found[str(rule)] = (str(rule.source), str(rule.target))
            elif str(rule.ruletype) == "type_transition":
                found[str(rule)] = (str(rule.source), str(rule.target), str(rule.default))
        return found

    def permissions(self, source):
        """{(target type, class): permissions} of one domain, attributes expanded, default booleans."""
        query = self.setools.TERuleQuery(self.rules, ruletype=["allow"], source=source, source_indirect=True)
        found = {}
        for rule in query.results():
            if not rule.enabled():
                continue
            targets = rule.target.expand() if hasattr(rule.target, "expand") else [rule.target]
            for target in targets:
                found.setdefault((str(target), str(rule.tclass)), set()).update(str(one) for one in rule.perms)
        return found

    def holders(self, target, target_class, permission):
        """All types that have a permission on one."""
        query = self.setools.TERuleQuery(self.rules, ruletype=["allow"], target=target, target_indirect=True,
                                         tclass=[target_class], perms=[permission])
        found = set()
        for rule in query.results():
            if rule.enabled():
                found |= {str(one) for one in rule.source.expand()}
        return found
