#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line without a libvirt: filters, plans, options.

Usage: test-cli.py VFIO-PROFILE DATA-FOLDER

DATA-FOLDER is tests/data of the source tree. Prints TAP.
"""

import json
import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET

PROGRAM = os.path.abspath(sys.argv[1])
SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(sys.argv[2])))
PROFILES = os.path.join(SOURCE, "data/profiles")
COMMANDS = ("set", "unset", "undo", "status", "plan", "map", "groups", "doctor", "sequester", "grant",
            "rewrite", "profiles", "rules")
I7_3770K = "pack:1 l3:1(size=8388608) core:4 pu:2(indexes=2*4:4*1)"
HOST = ("--topology", I7_3770K, "--profiles", PROFILES)
STATE_NS = "{urn:vfio-profile:state:1}"
LIMIT = 16 * 1024 * 1024


class Skip(Exception):
    """A prerequisite is missing."""


def domain(tag="pinned", memory=4194304, body="", features="", name="win10"):
    metadata = f'<metadata>{tag}</metadata>' if tag.startswith("<") else (
        f'<metadata><vfio:profile xmlns:vfio="urn:vfio-profile:1" name="{tag}"/></metadata>' if tag else "")
    return f"""<domain type='kvm'>
  <name>{name}</name>
  {metadata}
  <memory unit='KiB'>{memory}</memory>
  <vcpu placement='static'>4</vcpu>
  <iothreads>1</iothreads>
  <os><type arch='x86_64' machine='pc-i440fx-7.2'>hvm</type></os>
  <features><acpi/>{features}</features>
  <cpu><topology sockets='1' dies='1' cores='2' threads='2'/></cpu>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <graphics type='vnc' passwd='geheim'/>{body}
  </devices>
</domain>
"""


CARD = """<hostdev mode='subsystem' type='pci' managed='yes'><source>
<address domain='0x0000' bus='0x01' slot='0x00' function='0x0'/></source></hostdev>"""


def environment(**more):
    env = {"PATH": os.environ["PATH"], "HOME": os.getcwd(), "LC_ALL": "C.UTF-8", "TERM": "xterm"}
    for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "G_DEBUG"):
        if name in os.environ:
            env[name] = os.environ[name]
    return {**env, **more}


def run(*arguments, stdin="", status=0, env=None, stdout=subprocess.PIPE, program=PROGRAM):
    done = subprocess.run([program, *arguments], input=stdin.encode(), stdout=stdout, stderr=subprocess.PIPE,
                          env=env or environment(), timeout=60, check=False)
    out = done.stdout.decode() if done.stdout is not None else ""
    err = done.stderr.decode()
    assert done.returncode == status, f"{arguments}: ended with {done.returncode}, not {status}\n{out}{err}"
    return out, err


def refused(*arguments, stdin="", status=1, env=None):
    """The one line on stderr of a command that fails."""
    out, err = run(*arguments, stdin=stdin, status=status, env=env)
    assert out == "", out
    assert err.startswith("vfio-profile: ") and err.endswith("\n") and err.count("\n") == 1, repr(err)
    return err


def on_terminal(*arguments, stdin_file=os.devnull, **more):
    """stdout of a command that has a terminal there."""
    master, slave = pty.openpty()
    with open(stdin_file, "rb") as stdin:
        process = subprocess.Popen([PROGRAM, *arguments], stdin=stdin, stdout=slave, stderr=subprocess.DEVNULL,
                                   env=environment(**more))
    os.close(slave)
    output = bytearray()
    while True:
        try:
            chunk = os.read(master, 65536)
        except OSError:  # the terminal's other side is closed
            break
        if not chunk:
            break
        output += chunk
    os.close(master)
    assert process.wait(30) == 0, output
    return output.decode()


def write(name, text):
    with open(name, "w", encoding="utf-8") as file:
        file.write(text)
    return name


def plan(xml, *options):
    return json.loads(run("plan", "--file", "-", "--json", *HOST, *options, stdin=xml)[0])


def rewrite(xml, *options, host=HOST):
    return run("rewrite", *host, *options, stdin=xml)[0]


def recorded_sysfs(pages_1g=8):
    """A /sys with one NVIDIA card and pools of both sizes."""
    folder = tempfile.mkdtemp(dir=".")
    for size, total in (("2048", 4096), ("1048576", pages_1g)):
        pool = f"{folder}/kernel/mm/hugepages/hugepages-{size}kB"
        os.makedirs(pool)
        write(f"{pool}/nr_hugepages", f"{total}\n")
        write(f"{pool}/free_hugepages", "0\n")
    device = f"{folder}/bus/pci/devices/0000:01:00.0"
    os.makedirs(device)
    for name, value in {"class": "0x030000", "vendor": "0x10de", "device": "0x1b81", "numa_node": "-1"}.items():
        write(f"{device}/{name}", value + "\n")
    return folder


# --- options ------------------------------------------------------------------


def test_version():
    """--version works everywhere, whatever else is missing"""
    version = run("--version")[0]
    assert re.fullmatch(r"vfio-profile \d+\.\d+\.\d+\n", version), version
    for command in COMMANDS:
        assert run(command, "--version")[0] == version


def test_help():
    """--help works everywhere and names each command"""
    text = run("--help")[0]
    for command in COMMANDS:
        assert re.search(rf"^  {command}\b", text, re.M), text
        assert f"vfio-profile {command} [" in run(command, "--help")[0]
        assert run(command, "-h")[0] == run(command, "--help")[0]


def test_usage():
    """wrong usage is exit 2 and one line that points to the help"""
    for arguments in ((), ("bogus",), ("set",), ("set", "win10"), ("unset",), ("unset", "a", "b"), ("undo",), ("undo", "a", "--all"), ("plan",),
                      ("plan", "a", "b"), ("plan", "a", "--file", "b"), ("plan", "a", "--diff", "--json"),
                      ("rewrite", "a", "b"), ("profiles", "a", "b"), ("status", "--bogus"), ("plan", "--file")):
        assert "--help'" in refused(*arguments, status=2), arguments


def test_option_override():
    """set --option says what is allowed before libvirt is asked"""
    assert "section.key=value" in refused("set", "x", "pinned", "--option", "cpu", status=2)
    assert "reserve-cores" in refused("set", "x", "pinned", "--option", "cpu.cores=2", status=2)
    assert "performance, efficiency, any" in refused("set", "x", "pinned", "-o", "cpu.kind=fast", status=2)
    assert "hypervisor" in refused("set", "x", "pinned", "-o", "disk.kind=", status=2)
    assert "PROFILE is needed for --option" in refused("set", "x", "-n", "4", "-o", "cpu.kind=any", status=2)
    for number in ("-1", "4097"):
        assert "from 1 to 4096" in refused("set", "x", "--vcpus", number, status=2)


def test_connection():
    """a libvirt that is not this host's QEMU is refused"""
    for command in (("set", "x", "pinned"), ("unset", "x"), ("undo", "x"), ("undo", "--all"), ("status",), ("plan", "x")):
        assert "test:///default" in refused(*command, "-c", "test:///default")


# --- plan -----------------------------------------------------------------------


def test_plan_json():
    """plan --json has the fields that the manual lists"""
    got = plan(domain())
    assert (got["domain"], got["profile"], got["ready"]) == ("win10", "pinned", False), got
    assert got["changes"]
    for change in got["changes"]:
        assert set(change) == {"rule", "path", "from", "to", "guest_visible", "reason"}, change
        assert isinstance(change["guest_visible"], bool) and change["reason"], change
    assert got["pins"]["vcpus"] == ["2", "6", "3", "7"], got["pins"]
    assert len(got["pins"]["iothreads"]) == 1, got["pins"]
    assert got["memory"] == {"page_kib": 2048, "pages": 2048}, got["memory"]
    assert got["warnings"] == [] and got["placement"]["summary"], got
    assert len(got["placement"]["reasons"]) == 4, got


def test_plan_pins_of_result():
    """the pins are those of the resulting definition; null where nothing is pinned"""
    got = plan(domain("vga"))
    assert got["pins"] == {"vcpus": [None] * 4, "emulator": None, "iothreads": [None], "node": None}, got["pins"]
    assert got["ready"] and got["placement"] is None and got["memory"]["page_kib"] == 0, got
    xml = domain("vga").replace("<os>", "<cputune><vcpupin vcpu='1' cpuset='0-3,^2'/></cputune><os>")
    assert plan(xml)["pins"]["vcpus"] == [None, "0-3,^2", None, None]


def test_plan_untagged():
    """an untagged domain has no profile and is ready"""
    got = plan(domain(""))
    assert got["profile"] is None and got["ready"] and got["changes"] == [], got
    assert "nothing to do" in run("plan", "--file", "-", *HOST, stdin=domain(""))[0]


def test_plan_ready():
    """what rewrite made is ready; without its tag the originals come back"""
    done = rewrite(domain())
    assert plan(done)["ready"]
    assert "ready for 'pinned'" in run("plan", "--file", "-", *HOST, stdin=done)[0]
    undone = plan(re.sub(r"<vfio:profile.*/>", "", done))
    assert undone["profile"] is None and not undone["ready"], undone
    assert all(change["to"] is None for change in undone["changes"]), undone["changes"]


def test_plan_table():
    """the table has rule, place, values and reason, and marks what the guest sees"""
    text, err = run("plan", "--file", "-", *HOST, stdin=domain("nvidia", features="<hyperv/>"))
    assert err == "", err
    row = next(line for line in text.splitlines() if line.startswith("hypervisor") and "features/hyperv" in line)
    assert "features/hyperv *" in row and "<hyperv/> → -" in row, row
    assert "* the guest sees this" in text
    assert re.search(r"^memory .*memoryBacking/hugepages  .*- → <hugepages>.*\n    2048 hugepages of 2M: ", text, re.M), text
    assert "Pins: vCPUs 2,6,3,7" in text and re.search(r"^  vCPU 1 → CPU 6: ", text, re.M), text
    assert "\033" not in text
    assert "sees this" not in run("plan", "--file", "-", *HOST, stdin=domain("pinned"))[0]


def test_plan_warnings():
    """warnings go to stderr and do not change the exit status"""
    _, err = run("plan", "--file", "-", *HOST, stdin=domain("gaming", body=CARD))
    assert "vfio-profile: warning: domain 'win10': an assigned device is not on this host" in err, err
    assert plan(domain("gaming", body=CARD))["warnings"]


def patch(text, diff):
    """The text after a unified diff; every line of its context must fit."""
    lines, result, at = text.splitlines(), [], 0
    for hunk in re.split(r"^(?=@@ )", diff, flags=re.M)[1:]:
        head, *body = hunk.splitlines()
        start, count = re.match(r"@@ -(\d+),(\d+) ", head).groups()
        begin = int(start) - (int(count) > 0)
        result += lines[at:begin]
        at = begin
        for line in body:
            if line[0] in " -":
                assert lines[at] == line[1:], (lines[at], line)
                at += 1
            if line[0] in " +":
                result.append(line[1:])
    return "\n".join(result + lines[at:]) + "\n"


def test_plan_diff():
    """plan --diff leads from the definition to what rewrite prints"""
    before = rewrite(domain("nvidia", features="<hyperv><relaxed state='on'/></hyperv>"), "--undo")
    text = run("plan", "--file", "-", "--diff", *HOST, stdin=before)[0]
    diff = text[text.index("\n--- ") + 1:]
    hide = {"passwd=\"geheim\"": "passwd=\"********\""}
    for clear, masked in hide.items():
        before, after = (t.replace(clear, masked) for t in (before, rewrite(before)))
    assert patch(before, diff) == after
    assert "--- " not in run("plan", "--file", "-", "--diff", *HOST, stdin=after)[0]


def test_plan_secrets():
    """no password reaches the output of plan"""
    near = domain(body="<graphics type='spice' passwd='geheim2'/><hostdev mode='subsystem' type='mdev'/>")
    for options in ((), ("--diff",), ("--json",)):
        assert "geheim" not in run("plan", "--file", "-", *options, *HOST, stdin=near)[0], options
    assert "geheim2" in rewrite(near)


def test_plan_recorded_host():
    """--sysfs brings pools and devices"""
    sysfs = recorded_sysfs()
    got = plan(domain("gaming", body=CARD), "--sysfs", sysfs)
    assert got["memory"] == {"page_kib": 1048576, "pages": 4}, got
    hidden = [c for c in got["changes"] if c["path"] == "features/kvm/hidden"]
    assert len(hidden) == 1 and hidden[0]["guest_visible"] and got["warnings"] == [], got
    # Alone it stands beside this machine's CPUs, which may be fewer than the guest has.
    text = run("plan", "--file", "-", "--json", "--sysfs", sysfs, "--profiles", PROFILES, stdin=domain("gaming"))[0]
    assert json.loads(text)["memory"]["page_kib"] == 1048576, text


def test_plan_this_host():
    """without --topology and --sysfs it is this machine, and no root is needed"""
    text = run("plan", "--file", "-", "--json", "--profiles", PROFILES, stdin=domain())[0]
    assert json.loads(text)["memory"]["pages"] > 0, text


def test_topology_file():
    """--topology takes an hwloc file"""
    lstopo = shutil.which("lstopo-no-graphics")
    if lstopo is None:
        raise Skip("no lstopo-no-graphics (hwloc-nox)")
    subprocess.run([lstopo, "-i", I7_3770K, "--of", "xml", "i7.xml"], check=True, capture_output=True)
    from_file = run("plan", "--file", "-", "--json", "--topology", "i7.xml", "--profiles", PROFILES, stdin=domain())[0]
    assert json.loads(from_file)["pins"] == plan(domain())["pins"]


def test_host_errors():
    """a host that cannot be read is one line"""
    assert "/nowhere" in refused("rewrite", "--sysfs", "/nowhere", stdin=domain())
    refused("rewrite", "--topology", "nonsense", stdin=domain())
    assert "/nowhere" in refused("rewrite", "--profiles", "/nowhere", stdin=domain())


# --- rewrite ---------------------------------------------------------------------


def canonical(xml):
    return ET.canonicalize(xml, strip_text=True)


def test_rewrite_filter():
    """rewrite reads stdin, "-" and a file alike"""
    from_stdin = rewrite(domain())
    assert rewrite(domain(), "-") == from_stdin
    assert rewrite("", write("guest.xml", domain())) == from_stdin
    root = ET.fromstring(from_stdin)
    assert [pin.get("cpuset") for pin in root.findall("cputune/vcpupin")] == ["2", "6", "3", "7"]
    assert root.find(f"metadata/{STATE_NS}state") is not None


def test_rewrite_and_undo():
    """rewriting twice changes nothing; --undo and an untagged document give the original"""
    xml = domain("nvidia", features="<hyperv><relaxed state='on'/></hyperv>")
    once = rewrite(xml)
    assert rewrite(once) == once
    assert canonical(rewrite(once, "--undo")) == canonical(xml)
    assert rewrite(domain("")) == rewrite(domain(""), "--undo")


def test_rewrite_host_only():
    """--host-only changes nothing that the guest sees"""
    root = ET.fromstring(rewrite(domain("nvidia", features="<hyperv/>"), "--host-only"))
    assert root.find("features/hyperv") is not None and root.find("features/kvm") is None
    assert root.find("cputune/vcpupin") is not None


def test_rewrite_errors():
    """what cannot be rewritten is one line on stderr, and nothing on stdout"""
    assert "expected <domain>" in refused("rewrite", *HOST, stdin="<network/>")
    assert "not XML" in refused("rewrite", *HOST, stdin="no xml")
    assert "DTD" in refused("rewrite", *HOST, stdin="<!DOCTYPE domain []><domain/>")
    refused("rewrite", *HOST, stdin="")
    assert "No such file" in refused("rewrite", *HOST, "missing.xml")
    refused("rewrite", *HOST, ".")
    assert "gaming, nvidia, one-card, pinned, vga" in refused("rewrite", *HOST, stdin=domain("games"))
    sized = ("<vfio:profile xmlns:vfio='urn:vfio-profile:1' name='pinned'><vfio:memory page-size='2M'/>"
             "</vfio:profile>")
    line = refused("rewrite", *HOST, stdin=domain(sized, memory=4194305))
    assert "4194305" in line and "2048" in line, line
    assert "setmaxmem win10 4194304" in "".join(plan(domain(memory=4194305))["warnings"])


def test_input_limit():
    """more than 16 MiB are refused, 16 MiB are read"""
    head, tail = "<domain><name>x</name><metadata>", "</metadata></domain>"
    for size, status in ((LIMIT, 0), (LIMIT + 1, 1)):
        count, blanks = divmod(size - len(head) - len(tail), len("<x/>\n"))
        xml = head + "<x/>\n" * count + " " * blanks + tail
        assert len(xml) == size
        err = run("rewrite", *HOST, stdin=xml, status=status)[1]
        assert status == 0 or "16777216" in err, err


# --- profiles --------------------------------------------------------------------


def test_profiles_list():
    """profiles lists name, description and file"""
    text = run("profiles", "--profiles", PROFILES)[0]
    for name in ("gaming", "nvidia", "pinned", "vga"):
        assert re.search(rf"^{name} .*{re.escape(PROFILES)}/{name}\.conf$", text, re.M), text
    names = [entry["name"] for entry in json.loads(run("profiles", "--json", "--profiles", PROFILES)[0])]
    assert names == sorted(names) and "pinned" in names, names


def test_profiles_one():
    """profiles NAME shows values, and which are defaults"""
    text = run("profiles", "pinned", "--profiles", PROFILES)[0]
    assert re.search(r"^cpu\.pin +yes  ", text, re.M), text
    assert re.search(r"^cpu\.kind +performance \(default\)  ", text, re.M), text
    keys = json.loads(run("profiles", "pinned", "--json", "--profiles", PROFILES)[0])["keys"]
    assert {"key": "cpu.pin", "value": "yes", "default": "no", "is_default": False,
            "allowed": "no, yes, required", "by_tag": "any"} in keys, keys
    assert re.search(r"^cpu\.isolate +no \(default\) +no +no, yes$", text, re.M) and "built-in limits" in text, text
    assert "gaming" in refused("profiles", "bogus", "--profiles", PROFILES)


def test_limits():
    """what a tag says beyond the limits is refused with key, value, limit and file, wherever a tag is read"""
    for key, value, limit in (("memory.deadline", "999", "at most 60"), ("cpu.isolate", "yes", "no"),
                              ("cpu.irqs", "move", "keep"), ("cpu.reserve-cores", "0", "at least 1")):
        section, name = key.split(".")
        xml = domain(f"<vfio:profile xmlns:vfio='urn:vfio-profile:1' name='pinned'><vfio:{section} {name}='{value}'/>"
                     "</vfio:profile>")
        for command in (("plan", "--file", "-"), ("rewrite",)):
            err = refused(*command, *HOST, stdin=xml)
            assert f"{key}='{value}' is beyond the limit '{limit}' of the built-in limits" in err, err
    os.makedirs("studio", exist_ok=True)
    write("studio/quiet.conf", "[cpu]\npin=yes\nisolate=yes\nreserve-cores=0\n[memory]\ndeadline=999\n")
    xml = domain("<vfio:profile xmlns:vfio='urn:vfio-profile:1' name='quiet'><vfio:cpu isolate='yes'/>"
                 "<vfio:memory deadline='60'/></vfio:profile>")
    assert plan(xml, "--profiles", "studio")


def test_profiles_broken():
    """a broken profile is shown with its error and spoils no other; later folders go over earlier ones"""
    os.makedirs("own", exist_ok=True)
    write("own/vga.conf", "[vga]\nx-vga=maybe\n")
    write("own/pinned.conf", "[profile]\ndescription=mine\n")
    folders = ("--profiles", PROFILES, "--profiles", "own")
    text = run("profiles", *folders)[0]
    assert re.search(r"^vga +broken .*\n    .*vga.x-vga cannot be 'maybe'; allowed: off, on, auto", text, re.M), text
    assert re.search(r"^pinned +mine ", text, re.M), text
    assert "maybe" in refused("profiles", "vga", *folders)
    assert "maybe" in refused("rewrite", "--topology", I7_3770K, *folders, stdin=domain("vga"))
    assert plan(domain(), "--profiles", "own")["ready"]


# --- the terminal ------------------------------------------------------------------


def test_colour():
    """colour on a terminal only, and not with NO_COLOR or TERM=dumb"""
    file = write("coloured.xml", domain())
    arguments = ("plan", "--diff", "--file", file, *HOST)
    assert "\033[32m+" in on_terminal(*arguments)
    for more in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert "\033" not in on_terminal(*arguments, **more), more
    assert "\033[" in on_terminal(*arguments, NO_COLOR="")


def test_control_characters():
    """control characters of a definition do not reach the terminal"""
    file = write("hostile.xml", domain(name="a\u009b31mb", features="<kvm><hidden state='\u0085on'/></kvm>"))
    for options in ((), ("--diff",)):
        text = on_terminal("plan", "--file", file, *options, *HOST, NO_COLOR="1")
        assert "a?31mb" in text and "\u009b" not in text and "\u0085" not in text, text
    assert "\u009b" not in refused("rewrite", *HOST, stdin=domain("no\u009bpe", name="a\u009b31mb"))


def test_full_disk():
    """output that cannot be written is a failure"""
    if not os.path.exists("/dev/full"):
        raise Skip("no /dev/full")
    write("guest.xml", domain())
    for arguments in (("--help",), ("rewrite", *HOST, "guest.xml"), ("plan", "--file", "guest.xml", *HOST),
                      ("plan", "--json", "--file", "guest.xml", *HOST), ("profiles", "--profiles", PROFILES)):
        with open("/dev/full", "wb") as full:
            err = run(*arguments, status=1, stdout=full)[1]
        assert err.startswith("vfio-profile: cannot write the output") and err.count("\n") == 1, err


def test_plain_locale():
    """the C locale shows the same plan"""
    text = run("plan", "--file", "-", *HOST, stdin=domain(), env=environment(LC_ALL="C"))[0]
    assert "cputune/vcpupin[@vcpu='0']" in text, text


def main():
    tests = [value for name, value in list(globals().items()) if name.startswith("test_")]
    failures = 0
    print(f"1..{len(tests)}")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for number, test in enumerate(tests, 1):
            title = test.__doc__
            try:
                test()
            except Skip as reason:
                print(f"ok {number} - {title} # SKIP {reason}", flush=True)
            except Exception as error:  # pylint: disable=broad-except
                failures += 1
                line = error.__traceback__
                while line.tb_next is not None and line.tb_next.tb_frame.f_code.co_filename == __file__:
                    line = line.tb_next
                print(f"not ok {number} - {title}", flush=True)
                for text in f"{type(error).__name__} at line {line.tb_lineno}: {error}".splitlines():
                    print(f"# {text}", flush=True)
            else:
                print(f"ok {number} - {title}", flush=True)
        os.chdir("/")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
