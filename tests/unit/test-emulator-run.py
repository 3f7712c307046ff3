#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Wrapper files that the kernel runs through vfio-profile-emulator.

Usage: test-emulator-run.py VFIO-PROFILE-EMULATOR

The interpreter is copied into a folder of its own: the path in a #! line is short, and
another user must be able to run it. Prints TAP.
"""

import os
import shutil
import subprocess
import sys
import tempfile

PROGRAM = os.path.abspath(sys.argv[1])
DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data", "emulator-args")
NOBODY = 65534
ROOT = os.geteuid() == 0

# Writes what it is called with, NUL between.
PRINTER = """#!/bin/sh
printf '%s\\0' "$0" "$@"
"""


class Skip(Exception):
    """A prerequisite is missing."""


def path(name):
    return os.path.join(os.getcwd(), name)


def write(name, text, mode=0o755):
    with open(name, "wb") as file:
        file.write(text if isinstance(text, bytes) else text.encode())
    os.chmod(name, mode)
    return path(name)


def wrapper_text(emulator, interpreter=None):
    return (f"#!{interpreter or path('vfio-profile-emulator')}\n"
            "# Made by vfio-profiled for one QEMU. Do not edit: it is written anew when that QEMU changes.\n"
            f"emulator={emulator}\n"
            "identity=2049:1234:5678:1700000000.000000001\n")


def run(wrapper, *args, uid=None, program=False, **options):
    switch = {} if uid is None else {"user": uid, "group": uid, "extra_groups": []}
    argv = [path("vfio-profile-emulator"), wrapper] if program else [wrapper]
    return subprocess.run(argv + list(args), stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False,
                          **switch, **options)


def check_arguments(done, expected):
    assert done.returncode == 0 and done.stderr == b"", done
    assert done.stdout.split(b"\0")[:-1] == [os.fsencode(text) for text in expected], done.stdout


def check_refused(done, *words, status=126):
    text = done.stderr.decode()
    assert done.returncode == status and done.stdout == b"", done
    assert text.startswith("vfio-profile: ") and text.endswith("\n") and text.count("\n") == 1, text
    for word in words:
        assert word in text, (word, text)


def test_help_version_usage():
    done = run("--help", program=True)
    assert done.returncode == 0 and done.stdout.startswith(b"Usage: ") and done.stderr == b""
    assert b"--help" in done.stdout and b"--version" in done.stdout
    done = run("--version", program=True)
    assert done.returncode == 0 and done.stdout.startswith(b"vfio-profile-emulator ")
    done = subprocess.run([path("vfio-profile-emulator")], capture_output=True, check=False)
    assert done.returncode == 2 and done.stderr.count(b"\n") == 1


def test_arguments_arrive():
    qemu = write("qemu", PRINTER)
    wrapper = write("wrapper", wrapper_text(qemu))
    check_arguments(run(wrapper), [qemu])
    odd = ["--help", "--version", "", " ", "a b", "\n", "é", b"\xff\xfe", "*", "$HOME", "x" * 100000]
    check_arguments(run(wrapper, *odd), [qemu] + odd)
    check_arguments(run(wrapper, "-device", "vfio-pci,id=ua-a-x-vga"),
                    [qemu, "-device", "vfio-pci,id=ua-a-x-vga,x-vga=on"])


def test_missed_device_is_said():
    qemu = write("qemu", PRINTER)
    wrapper = write("wrapper", wrapper_text(qemu))
    device = '{"driver":"vfio-pci","id":"ua-a-x-vga","romfile":"/j\u00f6rg\n\x1b"' + "x" * 1000
    for arguments, lines in ((("-device", device), 1), (("-device", device, "-device", "vfio-x,id=ua-b-x-vga"), 2),
                             (("-append", device, "-device", "e1000,id=ua-b-x-vga"), 0)):
        done = run(wrapper, *arguments)
        said = done.stderr.decode("ascii").splitlines()
        assert done.stdout.split(b"\0")[:-1] == [os.fsencode(text) for text in (qemu,) + arguments], done
        assert len(said) == lines and all(line.startswith("vfio-profile: ") and "x-vga" in line for line in said), said
        assert all(len(line) < 320 and "\x1b" not in line for line in said), said


def test_recorded_lists():
    qemu = write("qemu", PRINTER)
    wrapper = write("wrapper", wrapper_text(qemu))
    names = sorted(name for name in os.listdir(DATA) if name.endswith(".args"))
    assert len(names) >= 4
    for name in names:
        with open(os.path.join(DATA, name), encoding="utf-8") as file:
            arguments = file.read().splitlines()
        with open(os.path.join(DATA, name.replace(".args", ".expected")), encoding="utf-8") as file:
            expected = file.read().splitlines()
        check_arguments(run(wrapper, *arguments[1:]), [qemu] + expected[1:])


def test_everything_else_is_inherited():
    qemu = write("qemu", "#!/bin/sh\nenv; pwd; umask; read -r line <&9; echo \"$line\"\n"
                         "for fd in /proc/$$/fd/*; do echo \"${fd##*/}\"; done; exit 42\n")
    wrapper = write("wrapper", wrapper_text(qemu))
    results = []
    for program in (qemu, wrapper):
        with open(write("input", "from nine\n"), "rb") as file:
            os.dup2(file.fileno(), 9)
        done = run(program, env={"A": "b", "PATH": os.environ["PATH"]}, pass_fds=(9,), cwd="/", umask=0o027)
        os.close(9)
        assert done.returncode == 42 and done.stderr == b"" and b"from nine" in done.stdout, done
        results.append(done.stdout)
    assert results[0] == results[1], results


def test_real_qemu():
    qemu = shutil.which("qemu-system-x86_64")
    if qemu is None:
        raise Skip("qemu-system-x86_64 is not installed")
    wrapper = write("wrapper", wrapper_text(qemu))
    done = run(wrapper, "-version")
    assert done.returncode == 0 and b"QEMU emulator version" in done.stdout, done
    # libvirt's capability probe, with a command that ends it; QEMU goes into the background.
    probe = ("-S", "-no-user-config", "-nodefaults", "-nographic", "-machine", "none,accel=kvm:tcg",
             "-qmp", f"unix:{path('qmp')},server=on,wait=off", "-pidfile", path("pid"), "-daemonize")
    done = run(wrapper, *probe)
    assert done.returncode == 0, done
    with open("pid", encoding="ascii") as file:
        pid = int(file.read())
    try:
        assert os.readlink(f"/proc/{pid}/exe") == os.path.realpath(qemu)
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            assert file.read().split(b"\0")[:-1] == [os.fsencode(text) for text in (qemu,) + probe]
    finally:
        os.kill(pid, 9)


def test_qemu_takes_x_vga():
    qemu = shutil.which("qemu-system-x86_64")
    if qemu is None:
        raise Skip("qemu-system-x86_64 is not installed")
    wrapper = write("wrapper", wrapper_text(qemu))
    for device in ('{"driver":"vfio-pci","host":"ffff:ff:1f.7","id":"ua-a-x-vga"}',
                   "vfio-pci,host=ffff:ff:1f.7,id=ua-a-x-vga"):
        done = run(wrapper, "-S", "-no-user-config", "-nodefaults", "-nographic", "-machine", "pc,accel=tcg",
                   "-device", device)
        # It gets as far as the card, which is not there; a property that it does not know ends it before.
        assert done.returncode == 1, done
        assert b"no such host device" in done.stderr and b"x-vga" not in done.stderr.split(b": ", 2)[-1], done


def test_missing_emulator():
    wrapper = write("wrapper", wrapper_text("/nonexistent/qemu"))
    check_refused(run(wrapper), "/nonexistent/qemu", wrapper, "No such file", status=127)
    plain = write("plain", "text", mode=0o644)
    check_refused(run(write("wrapper", wrapper_text(plain))), plain, "Permission denied", status=127)
    check_refused(run(write("wrapper", wrapper_text(os.getcwd()))), "Permission denied", status=127)
    check_refused(run(write("wrapper", wrapper_text(write("not-elf", "\x7fELF")))), "Exec format error", status=127)


def test_others_can_write():
    qemu = write("qemu", PRINTER)
    for mode in (0o775, 0o757, 0o777, 0o1777):
        check_refused(run(write("wrapper", wrapper_text(qemu), mode)), path("wrapper"), f"{mode:04o}", "0755")
    for mode in (0o755, 0o700, 0o555):
        check_arguments(run(write("wrapper", wrapper_text(qemu), mode)), [qemu])


def test_owner():
    if not ROOT:
        raise Skip("needs root, to give files away")
    qemu = write("qemu", PRINTER)
    wrapper = write("wrapper", wrapper_text(qemu))
    check_arguments(run(wrapper, uid=NOBODY), [qemu])
    os.chown(wrapper, NOBODY, NOBODY)
    check_arguments(run(wrapper, uid=NOBODY), [qemu])
    check_refused(run(wrapper), f"user {NOBODY}", "root")
    check_refused(run(wrapper, uid=NOBODY - 1), f"user {NOBODY}", f"user {NOBODY - 1}")


def test_links_and_other_files():
    qemu = write("qemu", PRINTER)
    wrapper = write("wrapper", wrapper_text(qemu))
    os.symlink(wrapper, "link")
    check_refused(run(path("link")), "symbolic link")
    os.mkdir("folder")
    check_refused(run(path("folder"), program=True), "not a regular file")
    os.mkfifo("pipe")
    check_refused(run(path("pipe"), program=True), "not a regular file")
    check_refused(run("/dev/null", program=True), "not a regular file")
    check_refused(run(path("nothing"), program=True), "No such file")


def test_wrong_text():
    qemu = write("qemu", PRINTER)
    good = wrapper_text(qemu)
    for text, word in ((b"", "begins with #!"), (good[2:], "begins with #!"), (good + "\0", "text"),
                       (good + "#" * 4096, "larger than 4096 bytes"),
                       (good.replace("emulator=", "emulator ="), "has 0 lines"),
                       (good.replace("emulator=", "#emulator="), "has 0 lines"),
                       (good + f"emulator={qemu}\n", "has 2 lines"),
                       (wrapper_text(""), "absolute path"), (wrapper_text("qemu"), "absolute path"),
                       (wrapper_text("/"), "absolute path"), (wrapper_text(" /bin/true"), "absolute path"),
                       (wrapper_text("/bin/true\r"), "absolute path"),
                       (wrapper_text("/bin/\x1b[2Jtrue"), "absolute path")):
        check_refused(run(write("wrapper", text), program=True), word)
    # The longest file, and one that ends with its emulator.
    check_arguments(run(write("wrapper", good + "#" * (4096 - len(good)))), [qemu])
    check_arguments(run(write("wrapper", f"#!{path('vfio-profile-emulator')}\nemulator={qemu}")), [qemu])


def test_no_loop():
    qemu = write("qemu", PRINTER)
    itself = path("itself")
    check_refused(run(write("itself", wrapper_text(itself))), "such a wrapper again", itself)
    wrapper = write("wrapper", wrapper_text(qemu))
    check_refused(run(write("outer", wrapper_text(wrapper))), "such a wrapper again", wrapper)
    check_refused(run(write("direct", wrapper_text(path("vfio-profile-emulator")))), "such a wrapper again")
    # By any other name or path.
    os.link("vfio-profile-emulator", "renamed")
    spaced = write("spaced", wrapper_text(qemu).replace("#!", "#! \t", 1))
    check_refused(run(write("outer", wrapper_text(spaced))), "such a wrapper again")
    renamed = write("by-other-name", wrapper_text(qemu, path("renamed")))
    check_refused(run(write("outer", wrapper_text(renamed))), "such a wrapper again")
    os.symlink(wrapper, "link")
    check_refused(run(write("outer", wrapper_text(path("link")))), "such a wrapper again")
    elsewhere = write("elsewhere", wrapper_text(qemu, "/other/libexec/vfio-profile-emulator"))
    check_refused(run(write("outer", wrapper_text(elsewhere))), "such a wrapper again")


def test_wrapper_by_relative_path():
    qemu = write("qemu", PRINTER)
    write("wrapper", wrapper_text(qemu))
    check_arguments(run("./wrapper", "-S"), [qemu, "-S"])


def prepare():
    shutil.copy(PROGRAM, "vfio-profile-emulator")
    os.chmod(".", 0o755)
    try:
        subprocess.run(["./vfio-profile-emulator", "--version"], capture_output=True, check=True)
    except PermissionError as error:
        raise Skip(f"cannot run programs from {os.getcwd()}") from error


def main():
    tests = [(name[5:].replace("_", " "), function) for name, function in globals().items()
             if name.startswith("test_")]
    failed = 0
    print(f"1..{len(tests)}")
    for number, (name, function) in enumerate(tests, 1):
        folder = tempfile.mkdtemp(prefix="vp-emu-")
        os.chdir(folder)
        try:
            prepare()
            function()
            print(f"ok {number} - {name}", flush=True)
        except Skip as reason:
            print(f"ok {number} - {name} # SKIP {reason}", flush=True)
        except Exception as error:  # any failure is this test's alone
            failed += 1
            line = error.__traceback__.tb_next.tb_lineno if error.__traceback__.tb_next else 0
            print(f"not ok {number} - {name}\n# line {line}: {type(error).__name__}: {str(error)[:600]!r}", flush=True)
        finally:
            os.chdir("/")
            shutil.rmtree(folder)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
