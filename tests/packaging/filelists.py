# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the packages of the distributions have: the same files with the same modes, but for what is named here."""
import os
import re
import stat
import subprocess

from tap import Skip, run

# A file of the Debian package, where it is in others, and why. The first that fits counts.
MOVED = (
    (r"/usr/lib/vfio-profile/50-vfio-profile", {"rpm": "/etc/libvirt/hooks/qemu.d/50-vfio-profile",
                                                "arch": "/etc/libvirt/hooks/qemu.d/50-vfio-profile"},
     "dpkg takes it for a setting there: maintainer scripts copy it"),
    (r"(/usr)?/lib/systemd/system/", {"rpm": "/usr/lib/systemd/system/", "arch": "/usr/lib/systemd/system/"},
     "Debian 12 has units in /lib"),
    (r"/usr/sbin/", {"rpm": "/usr/bin/", "arch": "/usr/bin/"}, "one folder of programs, in Fedora since 42"),
    (r"/usr/libexec/", {"arch": "/usr/lib/"}, "there is no libexec in Arch"),
    (r"/usr/share/zsh/vendor-completions/", {"rpm": "/usr/share/zsh/site-functions/",
                                             "arch": "/usr/share/zsh/site-functions/"}, "a folder of Debian's own"),
    (r"/etc/apparmor\.d/usr\.sbin\.", {"arch": "/etc/apparmor.d/usr.bin."}, "named after the program's path"),
    (r"/usr/share/doc/vfio-profile/changelog(\.gz)?$", {"rpm": "/usr/share/doc/vfio-profile/NEWS",
                                                        "arch": "/usr/share/doc/vfio-profile/NEWS"},
     "Debian's name for it"),
)

# What only the Debian package has.
LACKED = {
    "rpm": (
        (r"/etc/apparmor\.d/|/usr/share/vfio-profile/apparmor/|/usr/libexec/vfio-profile-apparmor", "no AppArmor there"),
        (r"/usr/share/doc/vfio-profile/(copyright|changelog\.Debian\.gz)|/usr/share/lintian/", "Debian's papers"),
    ),
    "arch": (
        (r"/usr/share/selinux/", "no SELinux policy there"),
        (r"/usr/share/doc/vfio-profile/(copyright|changelog\.Debian\.gz)|/usr/share/lintian/", "Debian's papers"),
    ),
}

# What the Debian package has not.
ADDED = {
    "rpm": (
        (r"/usr/share/licenses/vfio-profile/LICENSE", "Debian's is in its copyright file"),
        (r"/usr/lib/\.build-id/", "rpmbuild makes links from each build to its program"),
        (r"/etc/libvirt/hooks/qemu\.d/$", "Debian's maintainer scripts make it"),
        (r"/var/lib/selinux/targeted/active/modules/200/vfioprofile", "semodule makes it: %ghost"),
    ),
    "arch": ((r"/etc/libvirt/hooks/qemu\.d/$", "Debian's maintainer scripts make it"),),
}


def is_of_interest(path):
    """Files, and the folders that a package makes where it has no file in them."""
    return not path.endswith("/") or path.startswith(("/etc/vfio-profile/", "/etc/libvirt/hooks/qemu.d/"))


def of_debian(source, build):
    """{path: mode} of the Debian package, which is built if it was not."""
    control = f"{source}/packaging/debian/control"
    if subprocess.run(["dpkg-checkbuilddeps", control], capture_output=True, cwd=build, check=False).returncode != 0:
        raise Skip("the Debian package cannot be built here")
    files = run(f"{source}/packaging/build-deb", "--if-changed", f"{build}/packages").splitlines()
    package = next(path for path in files if re.search(r"/vfio-profile_[^/]*\.deb$", path))
    found = {}
    for line in run("dpkg-deb", "--contents", package).splitlines():
        mode, path = line.split(None, 5)[0], line.split(None, 5)[5].split(" -> ")[0]
        found[path[1:]] = mode
    return found


def of_folder(root):
    """{path: mode} of a staged installation."""
    found = {}
    for where, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = os.path.join(where, name)
            mode = stat.filemode(os.lstat(path).st_mode)
            found[path[len(root):] + ("/" if mode[0] == "d" else "")] = mode
    return found


def bare(path):
    """Without what a tool of the distribution adds when it packs pages and documents."""
    return path[:-3] if re.match(r"/usr/share/(man|doc)/.*\.gz$", path) else path


def move(path, kind, used):
    for pattern, there, _ in MOVED:
        if kind in there and re.match(pattern, path):
            used.add(pattern)
            return re.sub(pattern, there[kind], path, count=1)
    return path


def leave_out(paths, patterns, used):
    def fits(path):
        found = [pattern for pattern, _ in patterns if re.match(pattern, path)]
        used.update(found)
        return found

    return {path for path in paths if not fits(path)}


def compare(kind, debian, other):
    """`kind`: rpm or arch. A difference that is named and is none any more is a fault, too."""
    used = set()
    kept = leave_out(filter(is_of_interest, debian), LACKED[kind], used)
    wanted = {bare(move(path, kind, used)): debian[path] for path in kept}
    found = {bare(path): other[path] for path in leave_out(filter(is_of_interest, other), ADDED[kind], used)}
    named = {row[0] for row in (*LACKED[kind], *ADDED[kind])} | {row[0] for row in MOVED if kind in row[1]}
    problems = [f"only in Debian's: {path}" for path in sorted(set(wanted) - set(found))]
    problems += [f"not in Debian's: {path}" for path in sorted(set(found) - set(wanted))]
    problems += [f"{path} is {found[path]}, and {mode} in Debian's" for path, mode in sorted(wanted.items())
                 if path in found and found[path] != mode]
    problems += [f"no such difference is left: {pattern}" for pattern in sorted(named - used)]
    assert not problems, "\n".join(problems)
