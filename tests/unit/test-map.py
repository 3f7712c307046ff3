#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""vfio-profile map: the boxes, the marks of guests, the picture, JSON.

Usage: test-map.py VFIO-PROFILE DATA-FOLDER

DATA-FOLDER is tests/data of the source tree. Prints TAP.
"""

import glob
import json
import os
import pty
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET

PROGRAM = os.path.abspath(sys.argv[1])
HOSTS = sorted(glob.glob(os.path.join(os.path.abspath(sys.argv[2]), "hosts", "*.xml")))
I7_3770K = "pack:1 l3:1(size=8388608) core:4 pu:2(indexes=2*4:4*1)"
BIG = "pack:2 numa:4 l3:4(size=33554432) core:8 pu:2(indexes=2*256:256*1)"
SYNTHETIC = {
    I7_3770K: 8,
    BIG: 512,
    "pack:1 core:1 pu:1": 1,
    "pack:4 numa:1 core:24 pu:8": 768,             # SMT-8, no L3
    "pack:2 l3:1(size=50331648) core:64 pu:1": 128,  # cores of one L3 in several rows
    "pack:8 l3:64 core:8 pu:1": 4096,
}
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "</title><script>alert(1)</script>&amp;\u202e\u0085\u009b31m\u2028ü日本"


def guest(name, pins=(), vcpus=None, emulator=None, iothread=None, cpuset=None, current=None):
    """A definition's file; `pins` in the order of the vCPUs, None for one without."""
    text = "".join(f"<vcpupin vcpu='{i}' cpuset='{pin}'/>" for i, pin in enumerate(pins) if pin is not None)
    text += f"<emulatorpin cpuset='{emulator}'/>" if emulator else ""
    text += f"<iothreadpin iothread='1' cpuset='{iothread}'/>" if iothread else ""
    allowed = f" cpuset='{cpuset}'" if cpuset else ""
    allowed += f" current='{current}'" if current else ""
    root = ET.fromstring(f"<domain type='kvm'><name/><vcpu{allowed}>{vcpus or len(pins)}</vcpu>"
                         f"<iothreads>1</iothreads><cputune>{text}</cputune></domain>")
    root.find("name").text = name
    path = f"guest-{len(os.listdir('.'))}.xml"
    ET.ElementTree(root).write(path, encoding="utf-8")
    return path


def environment(**more):
    env = {"PATH": os.environ["PATH"], "HOME": os.getcwd(), "LC_ALL": "C.UTF-8", "TERM": "xterm"}
    for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "G_DEBUG"):
        if name in os.environ:
            env[name] = os.environ[name]
    return {**env, **more}


def run(*arguments, status=0, env=None):
    done = subprocess.run([PROGRAM, "map", *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                          env=env or environment(), timeout=120, check=False)
    assert done.returncode == status, f"{arguments}: ended with {done.returncode}\n{done.stderr.decode()}"
    return done.stdout.decode() if status == 0 else done.stderr.decode()


def cpus_of(topology):
    """The online CPUs, found without the program."""
    if not os.path.exists(topology):
        return set(range(SYNTHETIC[topology]))
    with open(topology, encoding="utf-8") as file:
        return {int(index) for index in re.findall(r'<object type="PU" os_index="(\d+)"', file.read())}


def parts(text):
    """The boxes and the legend."""
    boxes, _, legend = text.partition("\n\n")
    return boxes, legend


def cells(text):
    """Sign and mark of each CPU in the boxes; none may be there twice."""
    found = {}
    for line in parts(text)[0].splitlines()[1:]:
        for part in re.split("[│|]", line):
            match = re.fullmatch(r" *(\d+)([iox]?) *(\S*) *", part)
            if match:
                assert int(match[1]) not in found, (match[1], text)
                found[int(match[1])] = (match[2], match[3])
    return found


def all_topologies():
    return HOSTS + list(SYNTHETIC)


def test_fits():
    """every line fits 80 columns, and every online CPU is there once, on each host"""
    pinned = guest("pinned", [2, 6, 3, 7], emulator="0-1")
    other = guest("a name that is much longer than any line of a terminal: " + "x" * 200, [2, 3] + [None] * 300)
    for topology in all_topologies():
        for options in ((), ("--ascii",)):
            text = run("--topology", topology, *options, pinned, other)
            for line in text.splitlines():
                assert len(line) <= 80, (topology, line)
            shown = {cpu for cpu, (sign, _) in cells(text).items() if sign != "o"}
            assert shown == cpus_of(topology), (topology, shown ^ cpus_of(topology))


def test_walls():
    """walls meet: a box has no gap and no loose end"""
    east, west, south, north = "─┌└├┬┴┼", "─┐┘┤┬┴┼", "│┌┐├┤┬┼", "│└┘├┤┴┼"
    for topology in all_topologies():
        rows = parts(run("--topology", topology, guest("one", [0, 0, 1, 2])))[0].splitlines()[1:]
        width = max(map(len, rows))
        rows = [row.ljust(width) for row in rows]
        for y, row in enumerate(rows):
            for x, character in enumerate(row):
                if character in east:
                    assert x + 1 < width and (row[x + 1] in west or row[x + 1] not in "│┌└├"), (topology, row)
                if character in south:
                    assert y + 1 < len(rows) and rows[y + 1][x] in north, (topology, y, x, row)
                if character in north:
                    assert y > 0 and rows[y - 1][x] in south, (topology, y, x, row)


def test_marks():
    """a vCPU's CPU has its guest's letter; the rest is the host's share or has emulator threads"""
    files = (guest("win10", [2, 6, 3, 7], emulator="0,4", iothread="4"), guest("arch", [1]))
    for options, idle in (((), "·"), (("--ascii",), ".")):
        text = run("--topology", I7_3770K, *options, *files)
        marks = {cpu: mark for cpu, (_, mark) in cells(text).items()}
        assert marks == {0: "e", 1: "A", 2: "B", 3: "B", 4: "e", 5: idle, 6: "B", 7: "B"}, text
        legend = parts(text)[1]
        assert legend.startswith("A  arch (definition): 1 vCPU on 1 core (none whole) of L3 0, node 0\n"), legend
        assert "\nB  win10 (definition): 4 vCPUs on 2 whole cores of L3 0, node 0\n" in legend, legend
        assert "vCPUs 2,6,3,7; emulator 0,4; iothreads 4\n" in legend, legend
        assert f"\n{idle}  the host's share, no vCPU is pinned here: 0,4-5\n" in legend, legend
        assert "\ne  emulator threads or iothreads are pinned here: 0,4\n" in legend, legend
        assert "conflict" not in legend, legend


def test_large():
    """marks on 512 CPUs: every vCPU of two guests"""
    first, second = list(range(16, 32)) + list(range(272, 288)), list(range(200, 264))
    text = run("--topology", BIG, guest("first", first), guest("second", second))
    for cpu, (_, mark) in cells(text).items():
        assert mark == ("A" if cpu in first else "B" if cpu in second else "·"), (cpu, mark)
    assert "A  first (definition): 32 vCPUs on 16 whole cores of L3 2-3, node 0\n" in text, parts(text)[1]
    assert len(text.splitlines()) < 220, len(text.splitlines())


def test_conflict():
    """CPUs of two guests have both letters and are a conflict"""
    files = (guest("a", [1, 5, 2]), guest("b", [2, 6, 3, 7]), guest("c", [2, 4]))
    text = run("--topology", I7_3770K, *files)
    marks = {cpu: mark for cpu, (_, mark) in cells(text).items()}
    assert (marks[2], marks[6], marks[1], marks[4]) == ("ABC", "B", "A", "C"), text
    assert "!  conflict: CPU 2: held by A, B and C\n" in text, text
    got = json.loads(run("--json", "--topology", I7_3770K, *files))
    assert got["conflicts"] == [{"cpus": "2", "guests": ["A", "B", "C"], "running": 0}], got["conflicts"]
    assert "!  conflict: CPU 3: more than one vCPU of A on each" in run("--topology", I7_3770K, guest("a", [3, 3]))


def test_unpinned():
    """a vCPU that is not pinned to one CPU has no place, and its guest is unpinned"""
    text = run("--topology", I7_3770K, guest("loose", [None, "0-3,^2"]), guest("partly", ["2-2", "4,5", 6]),
               guest("set", vcpus=2, cpuset="1"))
    marks = {cpu: mark for cpu, (_, mark) in cells(text).items()}
    assert [cpu for cpu, mark in marks.items() if "A" in mark] == [], text
    assert {cpu for cpu, mark in marks.items() if "B" in mark} == {2, 6}, text
    assert "C" in marks[1], text
    assert "A  loose (definition): 2 vCPUs, unpinned\n     vCPUs - 0-3,^2\n" in text, text
    assert "B  partly (definition): 3 vCPUs, 1 of them unpinned, the others on 1 whole core" in text, text


def test_offline_vcpus():
    """vCPUs that are offline hold nothing, whatever they are pinned to, and are counted apart"""
    files = [guest("plugs", [2, 6, 3, 7], current=2), guest("other", [3, 7])]
    text = run("--topology", I7_3770K, *files)
    marks = {cpu: mark for cpu, (_, mark) in cells(text).items()}
    assert {cpu for cpu, mark in marks.items() if "B" in mark} == {2, 6} and "conflict" not in text, text
    assert "B  plugs (definition): 2 vCPUs on 1 whole core of L3 0, node 0; 2 more offline" in text, text
    got = json.loads(run("--json", "--topology", I7_3770K, *files))["guests"][1]
    assert (got["vcpus"], got["offline"], got["pinned"]) == (2, 2, 2), got


def test_other_host():
    """pins on CPUs that the host does not have are named"""
    text = run("--topology", I7_3770K, guest("moved", [2, 6, 30, 31]))
    words = " ".join(parts(text)[1].split())
    assert "4 vCPUs on 1 whole core of L3 0, node 0; this host has no CPU 30-31 vCPUs 2,6,30,31 " in words, text
    run("--topology", I7_3770K, guest("odd", ["x", "-1", "5-2", "99999999", "", "4-"], emulator="^"))


def test_states():
    """offline, disallowed and isolated CPUs are shown as such"""
    file = guest("one", [2, 6])
    offline = run("--topology", next(host for host in HOSTS if "/16_" in host), file)
    assert {cpu for cpu, (sign, _) in cells(offline).items() if sign == "o"} == {0, 1, 2, 3, 21, 22, 23}, offline
    assert cells(offline)[2] == ("o", "A") and "\no  offline: 0-3,21-23\n" in offline, offline
    assert "offline or not allowed: CPU 2\n" in offline and "no node" in offline, offline
    denied = run("--topology", next(host for host in HOSTS if "/17b_" in host), file)
    assert {cpu for cpu, (sign, _) in cells(denied).items() if sign == "x"} == set(range(6, 32)), denied
    assert cells(denied)[31] == ("x", "") and "not allowed to this session's cgroup: 6-31" in denied, denied
    os.makedirs("sys/devices/system/cpu")
    with open("sys/devices/system/cpu/isolated", "w", encoding="ascii") as out:
        out.write("2-3,6-7\n")
    isolated = run("--topology", I7_3770K, "--sysfs", "sys", file)
    assert {cpu for cpu, (sign, _) in cells(isolated).items() if sign == "i"} == {2, 3, 6, 7}, isolated
    assert cells(isolated)[6] == ("i", "A") and "\ni  isolated from the scheduler: 2-3,6-7\n" in isolated, isolated


def test_titles():
    """kinds of core, sizes of L3 and memory are shown where they are known"""
    file = guest("one", [0])
    hybrid = run("--topology", next(host for host in HOSTS if "/19_" in host), file)
    assert "┌─E───┬─E───┬─E───┬─E───┬─P───┐" in hybrid, hybrid
    assert "P  performance cores, E: efficiency cores\n" in hybrid, hybrid
    assert "┌─ Package 0, node 0, 3.7 GiB ──" in hybrid and "│ L3 0, 4 MiB " in hybrid, hybrid
    arm = run("--topology", next(host for host in HOSTS if "/18_" in host), file)
    assert arm.count("─P─") == 1 and arm.count("─M─") == 4 and arm.count("─E─") == 3, arm
    nodes = run("--topology", next(host for host in HOSTS if "/17b_" in host), file)
    assert "┌─ Node 7, 16 GiB, not allowed ─" in nodes, nodes


def test_ascii():
    """plain ASCII with --ascii and in other locales, whatever the names are"""
    files = (guest(HOSTILE, [2, 6, 2]), guest("ß", [2]))
    plain = run("--ascii", "--topology", I7_3770K, *files)
    assert plain.isascii() and re.search(r"^[+]-+", plain, re.M), plain
    assert run("--topology", I7_3770K, *files, env=environment(LC_ALL="C")) == plain
    assert cells(plain) == {cpu: (sign, mark.replace("·", "."))
                            for cpu, (sign, mark) in cells(run("--topology", I7_3770K, *files)).items()}


def test_hostile_names():
    """no control character, and none that reorders text, comes out of a name"""
    file = guest(HOSTILE, [2, 6])
    for text in (run("--topology", I7_3770K, file), run("--svg", "-", "--topology", I7_3770K, file)):
        bad = [hex(ord(c)) for c in text if c != "\n" and (ord(c) < 32 or 127 <= ord(c) < 160 or c in "\u202e\u2028")]
        assert bad == [] and "ü日本" in text, (bad, text)


def on_terminal(*arguments, **more):
    master, slave = pty.openpty()
    with subprocess.Popen([PROGRAM, "map", *arguments], stdin=subprocess.DEVNULL, stdout=slave,
                          env=environment(**more)) as process:
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
    assert process.returncode == 0
    return output.decode().replace("\r\n", "\n")


def test_colour():
    """colour on a terminal only, and the same text without it"""
    arguments = ("--topology", I7_3770K, guest("one", [2, 6]), guest("two", [6]))
    coloured = on_terminal(*arguments)
    assert "\033[0;1;34mA" in coloured and "\033[0;1;31m" in coloured, coloured
    assert re.sub(r"\033\[[0-9;]*m", "", coloured) == run(*arguments)
    assert "\033" not in on_terminal(*arguments, NO_COLOR="1")


def test_many_guests():
    """labels go on behind Z, and marks stay readable"""
    files = [guest(f"guest-{number:02}", [number]) for number in range(60)]
    text = run("--topology", BIG, *files, guest("guest-99", [0, 1]))
    marks = {cpu: mark for cpu, (_, mark) in cells(text).items()}
    assert (marks[0], marks[1], marks[25], marks[26], marks[59]) == ("A+BI", "B+BI", "Z", "AA", "BH"), marks
    many = run("--topology", I7_3770K, *[guest(f"same-{number:02}", [2]) for number in range(40)])
    assert cells(many)[2][1] == "A+B+C+D+" and max(map(len, many.splitlines())) <= 80, many
    assert "AN  same-39 (definition): 1 vCPU on 1 core" in many, many


def svg(*arguments):
    text = run("--svg", "-", *arguments)
    assert text.startswith('<?xml version="1.0" encoding="UTF-8"?>'), text[:80]
    return text, ET.fromstring(text)


def test_svg():
    """the picture is well-formed and has each CPU, on each host"""
    file = guest("one", [2, 6])
    for topology in all_topologies():
        text, root = svg("--topology", topology, file)
        groups = [group for group in root.iter(f"{SVG}g") if group.find(f"{SVG}title") is not None]
        shown = [int(group.find(f"{SVG}text").text) for group in groups]
        assert len(shown) == len(set(shown)) and cpus_of(topology) <= set(shown), topology
        assert set(shown) == set(cells(run("--topology", topology, file))), topology
        width, height = float(root.get("width")), float(root.get("height"))
        for box in root.iter(f"{SVG}rect"):
            assert float(box.get("x")) + float(box.get("width")) <= width, topology
            assert float(box.get("y")) + float(box.get("height")) <= height, topology
        assert not re.search(r"<script|href|@import|<image|<style|onload", text), topology


def test_svg_guests():
    """a vCPU's CPU has its guest's colour, the one in the legend; names are escaped"""
    text, root = svg("--topology", I7_3770K, guest("A" + HOSTILE, [2, 6]), guest("win10", [3, 7, 6]))
    assert "<script" not in text and "&lt;script&gt;alert(1)&lt;/script&gt;" in text, text
    fills = {}
    for group in root.iter(f"{SVG}g"):
        if group.find(f"{SVG}title") is not None:
            number, caption = [line.text for line in group.findall(f"{SVG}text")]
            fills[int(number)] = (caption, [box.get("fill") for box in group.findall(f"{SVG}rect")][:-1])
    legend = list(root.findall(f"{SVG}g")[-1])
    colours = {legend[i + 1].text: legend[i].get("fill") for i in range(len(legend) - 1)
               if legend[i].tag == f"{SVG}rect"}
    assert fills[2] == ("A 0", [colours["A"]]) and fills[7] == ("B 1", [colours["B"]]), (fills, colours)
    assert fills[6] == ("AB", [colours["A"], colours["B"]]) and fills[0][0] == "host", fills
    assert colours["A"] != colours["B"] != fills[0][1][0], colours
    texts = " ".join(child.text for child in legend if child.tag == f"{SVG}text")
    assert "conflict: CPU 6: held by A and B" in texts, texts


def test_svg_file():
    """the picture's file is whole or as it was, and a device is not replaced"""
    file = guest("one", [2])
    before = set(os.listdir("."))
    assert run("--svg", "map.svg", "--topology", I7_3770K, file) == ""
    with open("map.svg", encoding="utf-8") as picture:
        assert picture.read() == svg("--topology", I7_3770K, file)[0]
    assert set(os.listdir(".")) - before == {"map.svg"}
    assert os.stat("map.svg").st_mode & 0o111 == 0
    assert "/nowhere/map.svg" in run("--svg", "/nowhere/map.svg", "--topology", I7_3770K, file, status=1)
    assert "no regular file" in run("--svg", "/dev/null", "--topology", I7_3770K, file, status=1)
    assert "no regular file" in run("--svg", ".", "--topology", I7_3770K, file, status=1)


def test_json():
    """JSON says the same as the boxes"""
    files = (guest("win10", [2, 6, 3, 7], emulator="0,4"), guest("loose", [None]))
    for topology in (I7_3770K, *HOSTS):
        got = json.loads(run("--json", "--topology", topology, *files))
        text = cells(run("--topology", topology, *files))
        assert {cpu["cpu"] for cpu in got["cpus"]} == set(text), topology
        assert got["host"]["cpus"] + got["host"]["offline"] == len(text), topology
        for cpu in got["cpus"]:
            sign, mark = text[cpu["cpu"]]
            labels = "".join(hold["label"] for hold in cpu["vcpus"]) + ("e" if cpu["emulator"] else "")
            assert mark == (labels or ("·" if cpu["host_share"] else "")), (topology, cpu, mark)
            assert (sign == "o") == (not cpu["online"]) and ("core" in cpu) == cpu["online"], (topology, cpu)
            assert cpu["online"] is False or (sign == "x") == (not cpu["allowed"]), (topology, cpu)
    got = json.loads(run("--json", "--topology", I7_3770K, *files))
    assert [(each["label"], each["name"], each["state"], each["vcpus"], each["pinned"]) for each in got["guests"]] == [
        ("A", "loose", "definition", 1, 0), ("B", "win10", "definition", 4, 4)], got["guests"]
    assert got["guests"][1]["pins"]["vcpus"] == ["2", "6", "3", "7"], got["guests"]
    assert [hold for cpu in got["cpus"] if cpu["cpu"] == 3 for hold in cpu["vcpus"]] == [{"label": "B", "vcpu": 2}]


def test_this_host():
    """without --topology it is this machine"""
    shown = {cpu for cpu, (sign, _) in cells(run(guest("one", [0]))).items() if sign != "o"}
    assert shown >= os.sched_getaffinity(0), shown


def test_usage():
    """what cannot be shown is one line"""
    file = guest("one", [0])
    for options in (("--json", "--ascii"), ("--svg", "x", "--json"), ("--bogus",)):
        assert run(*options, file, status=2).count("\n") == 1, options
    assert "missing.xml" in run("missing.xml", status=1)
    assert "neither" in run("--topology", "nonsense", file, status=1)
    assert "test:///default" in run("-c", "test:///default", status=1)


def main():
    tests = [value for name, value in list(globals().items()) if name.startswith("test_")]
    failures = 0
    print(f"1..{len(tests)}")
    for number, test in enumerate(tests, 1):
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            try:
                test()
            except Exception as error:  # pylint: disable=broad-except
                failures += 1
                line = error.__traceback__
                while line.tb_next is not None and line.tb_next.tb_frame.f_code.co_filename == __file__:
                    line = line.tb_next
                print(f"not ok {number} - {test.__doc__}", flush=True)
                for text in f"{type(error).__name__} at line {line.tb_lineno}: {error}".splitlines():
                    print(f"# {text}", flush=True)
            else:
                print(f"ok {number} - {test.__doc__}", flush=True)
            os.chdir("/")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
