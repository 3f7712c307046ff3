# SPDX-License-Identifier: LGPL-2.1-or-later
"""A policy that is Fedora's where our module meets it, made of this machine's and of the sources in fedora/.

The headers are those of this machine, with Fedora's names and none of the others; the module is compiled
against them as it is. What no stand-in can tell, as what else Fedora's daemons may do, is not asked.
"""
import os
import re
import shutil
import subprocess

import policy

DEVEL = "/usr/share/selinux/devel"
SOURCES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fedora")

# Names of interfaces, here and there.
NAMES = {
    "files_runtime_file": "files_pid_file",
    "files_runtime_filetrans": "files_pid_filetrans",
    "files_search_runtime": "files_search_pids",
}

# Fedora has none of that name, or, as all that vpfedora.if has, another one.
GONE = ("init_unit_file", "init_daemon_runtime_file")

# These modules of the reference policy declare what vpfedora.te declares.
REPLACED = ("virt", "qemu")

# The paths of a build for Fedora, where /usr/sbin is /usr/bin.
PATHS = {
    "SBINDIR": "/usr/bin",
    "HOOKSDIR": "/etc/libvirt/hooks",
    "SYSCONFDIR": "/etc",
    "STATEDIR": "/var/lib",
    "RUNDIR": "/run",
    "UNITDIR": "/usr/lib/systemd/system",
}

MODULAR = "virtqemud_t"
DAEMON = "/usr/bin/vfio-profiled"
LIBVIRTS = ("virtd_t", "virtqemud_t")

# Beside what the daemon changes elsewhere: slices, and libvirt's sockets, of which virt_stream_connect() gives all.
DAEMON_CHANGES = {("systemd_unit_file_t", "service")} | {
    (f"{name}_t", "unix_stream_socket") for name in ("virtqemud", "virtnetworkd")} | {
    (f"{name}_var_run_t", "sock_file") for name in ("virt", "virtqemud", "virtnetworkd")}

# Rows that only Fedora has a subject or an object for.
ACCESSES = """
daemon    /run/libvirt/virtqemud-sock sock_file write                                  - Y
daemon    type:systemd_hwdb_etc_t     file      read map                               - Y
daemon    type:systemd_hwdb_etc_t     file      write                                  - N
daemon    type:passwd_file_t          file      read                                   - Y
daemon    type:passwd_file_t          file      write                                  - N
daemon    /etc/libvirt/hooks          dir       write add_name                         - N
hook      {OTHER_HOOK}                file      read execute                           - N
hook      type:passwd_file_t          file      write                                  - N
container {WRAPPER}                   file      write unlink rename relabelto          - N
container {HOOK}                      file      write                                  - N
container {GATE}                      sock_file write                                  - N
container process:daemon              unix_stream_socket connectto                     - N
container process:daemon              process   signal ptrace                          - N
container process:hook                process   transition signal                      - N
container {JOURNAL}                   file      read write                             - N
container {INTENT}                    file      read write                             - N
container {PROFILE}                   file      write                                  - N
daemon    process:container           process   signal sigkill ptrace setsched         - N
daemon    type:container_file_t       file      read write                             - N
"""

# What the table calls by the reference policy's name.
ALIASES = {"systemd_unit_t": "systemd_unit_file_t"}


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def rename(text, gone):
    for here, there in NAMES.items():
        text = re.sub(rf"\b{here}\b", there, text)
    return re.sub(rf"\b({'|'.join(gone)})\b", r"refpolicy_\1", text)


def installed_as(path):
    """Where a build for Fedora has a file of this one."""
    return path.replace("/usr/sbin/", "/usr/bin/").replace("/lib/systemd/", "/usr/lib/systemd/", 1).replace(
        "/usr/usr/", "/usr/")


def make_headers(folder):
    """The Makefile of a tree of headers as Fedora has them."""
    headers = f"{folder}/include"
    shutil.copytree(f"{DEVEL}/include", headers)
    gone = [*GONE, *re.findall(r"interface\(`(\w+)'", read(f"{SOURCES}/vpfedora.if"))]
    for where, _, files in os.walk(headers):
        for name in files:
            path = os.path.join(where, name)
            if name[:-3] in REPLACED:
                os.remove(path)
            elif name.endswith(".if"):
                write(path, rename(read(path), gone))
    shutil.copy(f"{SOURCES}/vpfedora.if", f"{headers}/services")
    write(f"{headers}/build.conf", re.sub(r"(?m)^DISTRO .*", "DISTRO ?= redhat", read(f"{headers}/build.conf")))
    makefile = f"{folder}/Makefile"
    write(makefile, re.sub(r"(?m)^HEADERDIR .*", f"HEADERDIR := {headers}", read(f"{DEVEL}/Makefile")))
    return makefile


def compile_module(script, makefile, output, *sources):
    done = subprocess.run([script, makefile, output, *sources], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return output


def fill_in(template, output):
    text = read(template)
    for name, path in PATHS.items():
        text = text.replace(f"@{name}@", path.replace(".", r"\."))
    write(output, text)
    return output


class Fedora:
    """Two policies: `without` and `within` our module, which the sources in `source` are compiled to."""

    def __init__(self, folder, source):
        self.folder = folder
        self.module = f"{source}/selinux/vfioprofile"
        self.script = f"{source}/selinux/build-module"
        self.makefile = make_headers(folder)
        self.contexts = fill_in(f"{self.module}.fc.in", f"{folder}/vfioprofile.fc")
        self.without = policy.Policy(f"{folder}/without")
        self.within = policy.Policy(f"{folder}/with")

    def compile(self):
        return (compile_module(self.script, self.makefile, f"{self.folder}/vpfedora.pp.bz2",
                               f"{SOURCES}/vpfedora.te", f"{SOURCES}/vpfedora.fc"),
                compile_module(self.script, self.makefile, f"{self.folder}/vfioprofile.pp.bz2",
                               f"{self.module}.te", f"{self.module}.if", self.contexts))

    def install(self):
        base, ours = self.compile()
        replace = [word for name in REPLACED for word in ("-d", name)]
        self.without.semodule(*replace, "-i", base)
        self.within.semodule(*replace, "-i", base, "-i", ours, expand_check=True)
        self.without.load()
        self.within.load()
