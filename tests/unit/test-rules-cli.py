#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rules on the command line, without a libvirt: the list, the switches, the check, plan and rewrite.

Usage: test-rules-cli.py VFIO-PROFILE DATA-FOLDER

DATA-FOLDER is tests/data of the source tree. Prints TAP.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET

PROGRAM = os.path.abspath(sys.argv[1])
DATA = os.path.abspath(sys.argv[2])
SOURCE = os.path.dirname(os.path.dirname(DATA))
PROFILES = ("--profiles", os.path.join(SOURCE, "data/profiles"))
SHIPPED = os.path.join(SOURCE, "data/rules")
# Not a libvirt that would be asked: the tests are about the rules alone.
NOWHERE = ("-c", "test:///default")
HOST = ("--topology", "pack:1 l3:1(size=8388608) core:4 pu:2(indexes=2*4:4*1)",
        "--sysfs", os.path.join(DATA, "sysfs/howto-2015"))
TAG = "{urn:vfio-profile:1}profile"
CARD = """<hostdev mode='subsystem' type='pci' managed='yes'><source>
<address domain='0x0000' bus='0x01' slot='0x00' function='0x0'/></source></hostdev>"""


def domain(text="", metadata="", devices=""):
    return f"""<domain type='kvm'>
  <name>win10</name>
  <description>{text}</description>
  {f'<metadata>{metadata}</metadata>' if metadata else ''}
  <memory unit='KiB'>4194304</memory>
  <vcpu placement='static'>4</vcpu>
  <os><type arch='x86_64' machine='pc-i440fx-7.2'>hvm</type></os>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>{devices}
  </devices>
</domain>
"""


def run(*arguments, stdin="", status=0):
    env = {"PATH": os.environ["PATH"], "HOME": os.getcwd(), "LC_ALL": "C.UTF-8"}
    env.update({name: os.environ[name] for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "G_DEBUG") if name in os.environ})
    done = subprocess.run([PROGRAM, *arguments], input=stdin, capture_output=True, text=True, env=env, timeout=60,
                          check=False)
    assert done.returncode == status, f"{arguments}: ended with {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout, done.stderr


def refused(*arguments, status=1, stdin=""):
    out, err = run(*arguments, status=status, stdin=stdin)
    assert out == "" and err.count("\n") == 1 and err.startswith("vfio-profile: "), (out, err)
    return err


def folder(**files):
    """A folder of rules; "_" in a name stands for "-", "__" for "."."""
    path = tempfile.mkdtemp(dir=".")
    for name, text in files.items():
        with open(f"{path}/{name.replace('__', '.').replace('_', '-')}", "w", encoding="utf-8") as file:
            file.write(text)
    return path


def listed(*folders):
    options = [option for path in folders for option in ("--rules", path)]
    return {rule["name"]: rule for rule in json.loads(run("rules", "--json", *NOWHERE, *PROFILES, *options)[0])}


def plan(xml, *options):
    return json.loads(run("plan", "--file", "-", "--json", *HOST, *PROFILES, *options, stdin=xml)[0])


def rewrite(xml, *options):
    return run("rewrite", *HOST, *PROFILES, *options, stdin=xml)[0]


def tag_of(xml):
    tag = ET.fromstring(xml).find(f"metadata/{TAG}")
    return dict(tag.attrib) if tag is not None else None


def test_list():
    """the shipped rules are listed; without a libvirt only whom they fit is not known"""
    text, err = run("rules", *NOWHERE, *PROFILES, "--rules", SHIPPED)
    assert re.search(r"^10-hashtag +on +as #vfio:… says +\?$", text, re.M), text
    assert re.search(r"^50-gpu +off +gaming, with BIOS also vga +\?$", text, re.M), text
    assert err.startswith("vfio-profile: warning: which domains they fit is not known: "), err
    rule = listed(SHIPPED)["50-gpu"]
    assert set(rule) == {"name", "description", "file", "enabled", "switch", "error", "profiles", "profiles_bios",
                         "match", "domains"}, rule
    assert (rule["enabled"], rule["switch"], rule["error"], rule["domains"]) == (False, None, None, None), rule
    assert rule["profiles"] == ["gaming"] and rule["profiles_bios"] == ["vga"], rule
    assert rule["match"] == {"hashtag": False, "device-class": ["03??"]}, rule


def test_one():
    """rules NAME shows one, and knows the others' names"""
    text = run("rules", "50-gpu", *NOWHERE, *PROFILES, "--rules", SHIPPED)[0]
    assert text.startswith("50-gpu: A GPU is assigned\n") and "device-class: 03??" in text, text
    assert "10-hashtag, 50-gpu" in refused("rules", "gpu", *NOWHERE, *PROFILES, "--rules", SHIPPED)
    one = json.loads(run("rules", "50-gpu", "--json", *NOWHERE, *PROFILES, "--rules", SHIPPED)[0])
    assert one["name"] == "50-gpu", one


def test_switches():
    """--enable and --disable write one file into the last folder, and leave the rule's alone"""
    own = folder()
    both = (*PROFILES, "--rules", SHIPPED, "--rules", own)
    assert f"{own}/50-gpu.enabled" in run("rules", "--enable", "50-gpu", *both)[0]
    with open(f"{own}/50-gpu.enabled", encoding="utf-8") as file:
        assert file.read() == "yes\n"
    assert os.stat(f"{own}/50-gpu.enabled").st_mode & 0o777 == 0o644
    rule = listed(SHIPPED, own)["50-gpu"]
    assert rule["enabled"] and rule["switch"] == f"{own}/50-gpu.enabled", rule
    assert "already" in run("rules", "--enable", "50-gpu", *both)[0]
    run("rules", "--disable", "50-gpu", "--disable=10-hashtag", *both)
    assert [rule["enabled"] for rule in listed(SHIPPED, own).values()] == [False, False, False]
    assert sorted(os.listdir(own)) == ["10-hashtag.enabled", "50-gpu.enabled"]
    assert "10-hashtag, 50-gpu" in refused("rules", "--enable", "gpu", *both)
    os.rmdir(gone := folder())
    assert gone in refused("rules", "--enable", "50-gpu", *PROFILES, "--rules", gone)


def test_broken():
    """a broken rule is shown with its error, spoils no other, and is not turned on"""
    own = folder(**{"20-a__conf": "[rule]\nprofiles=vga\nenabled=no\n[match]\nnames=x\n",
                    "30-b__conf": "[rule]\nprofiles=gamming\n[match]\nname=x\n",
                    "40-c__conf": "[rule]\nprofiles=pinned\n[match]\nname=win*\n",
                    "50-d__conf": "[rule]\nprofiles=pinned\n[match]\nname=win*\n", "50-d__enabled": "on\n"})
    text = run("rules", *NOWHERE, *PROFILES, "--rules", own)[0]
    assert re.search(r"^20-a +broken .*\n    .*20-a\.conf: match has no key 'names'; it has: ", text, re.M), text
    assert re.search(r"^30-b +broken .*\n    .*there is no profile 'gamming'; there are: gaming, ", text, re.M), text
    assert re.search(r"^50-d +broken .*\n    .*50-d\.enabled: it holds neither yes nor no", text, re.M), text
    assert "names" in refused("rules", "--enable", "20-a", *PROFILES, "--rules", own)
    assert tag_of(rewrite(domain(), "--rules", own)) == {"name": "pinned", "rule": "40-c"}
    run("rules", "--disable", "50-d", *PROFILES, "--rules", own)
    assert listed(own)["50-d"]["error"] is None


def test_check():
    """--check says of a file whether it is right, before it is in its folder"""
    own = folder(**{"good__conf": "[rule]\nprofiles=vga\n[match]\nname=x\n", "bad__conf": "[rule]\nprofiles=vgas\n",
                    "odd__name": "[rule]\nprofiles=vga\n[match]\nname=x\n"})
    assert run("rules", "--check", f"{own}/good.conf", *PROFILES) == (f"{own}/good.conf: right\n", "")
    assert "no [match]" in refused("rules", "--check", f"{own}/bad.conf", *PROFILES)
    assert "NAME.conf" in run("rules", "--check", f"{own}/odd.name", *PROFILES)[1]
    assert "nowhere.conf" in refused("rules", "--check", "nowhere.conf", *PROFILES)
    for path in ("10-hashtag", "50-gpu"):
        run("rules", "--check", f"{SHIPPED}/{path}.conf", *PROFILES)


def test_usage():
    """what does not go together is exit 2"""
    for arguments in (("a", "b"), ("--enable",), ("--enable", "a", "--json"), ("--check", "a", "--disable", "b"),
                      ("--check", "a", "b"), ("--bogus",)):
        assert "--help'" in refused("rules", *arguments, status=2), arguments
    assert "/nowhere" in refused("rules", "--rules", "/nowhere")


def test_plan():
    """plan shows the tag as a change with its reason, and rewrite writes it"""
    got = plan(domain("fast: #vfio:pinned"), "--rules", SHIPPED)
    assert (got["profile"], got["tag_rule"]) == ("pinned", "10-hashtag"), got
    assert got["changes"][0] == {"rule": "rules", "path": "metadata/profile", "from": None,
                                 "to": "pinned (rule 10-hashtag)", "guest_visible": False,
                                 "reason": "rule 10-hashtag: its text says #vfio:pinned"}, got["changes"][0]
    text = run("plan", "--file", "-", *HOST, *PROFILES, "--rules", SHIPPED, stdin=domain("#vfio:pinned"))[0]
    assert "to make it ready for 'pinned' (rule '10-hashtag')" in text, text
    once = rewrite(domain("#vfio:pinned"), "--rules", SHIPPED)
    assert tag_of(once) == {"name": "pinned", "rule": "10-hashtag"} and "<vcpupin" in once, once
    assert rewrite(once, "--rules", SHIPPED) == once
    assert plan(once, "--rules", SHIPPED)["ready"]


def test_undo():
    """the word goes, the rule goes, or --undo: everything is as it was"""
    own = folder()
    given = rewrite(domain("#vfio:pinned", devices=CARD), "--rules", SHIPPED)
    without = given.replace("#vfio:pinned", "nothing")
    assert rewrite(without, "--rules", SHIPPED) == rewrite(domain("nothing", devices=CARD))
    for options in (("--rules", own), ("--rules", SHIPPED, "--undo")):
        assert rewrite(given, *options) == rewrite(domain("#vfio:pinned", devices=CARD)), options
    # Elsewhere, and where no rules are known, it is a tag like others.
    for options in (("--rules", own, "--host-only"), ()):
        assert tag_of(rewrite(given, *options)) == {"name": "pinned", "rule": "10-hashtag"}, options


def test_own_tag():
    """a tag of its own wins, with the rules on"""
    own = folder(**{"50-gpu__enabled": "yes"})
    rules = ("--rules", SHIPPED, "--rules", own)
    tag = '<vfio:profile xmlns:vfio="urn:vfio-profile:1" name="vga"/>'
    assert plan(domain("#vfio:pinned", tag, CARD), *rules)["profile"] == "vga"
    got = plan(domain("", "", CARD), *rules)
    assert (got["profile"], got["tag_rule"]) == ("gaming vga", "50-gpu"), got
    assert got["changes"][0]["reason"] == "rule 50-gpu: an NVIDIA GPU is assigned (0000:01:00.0)", got["changes"][0]


def test_wrong_word():
    """a profile that does not exist is a warning, and no tag"""
    got = plan(domain("#vfio:pined"), "--rules", SHIPPED)
    assert got["profile"] is None and got["ready"], got
    assert len(got["warnings"]) == 1 and "#vfio:pined" in got["warnings"][0] and "pinned" in got["warnings"][0], got


def test_manual():
    """vfio-profile-rules(5) has each key that a rule takes, and each shipped rule"""
    with open(os.path.join(SOURCE, "man/vfio-profile-rules.5.rst"), encoding="utf-8") as file:
        text = file.read()
    keys = set()
    for section in ("rule", "match"):
        own = folder(**{"x__conf": f"[{section}]\nbogus=1\n"})
        keys |= set(listed(own)["x"]["error"].split("it has: ")[1].split(", "))
    found = {name for line in re.findall(r"^\*\*.*\*\*$", text.split("\nKEYS\n")[1], re.M)
             for name in re.findall(r"\*\*([a-z-]+)\*\*", line)}
    assert found == keys, (found, keys)
    for name in os.listdir(SHIPPED):
        assert re.search(rf"^{name[:-len('.conf')]}\n    ", text, re.M), name


def main():
    tests = [value for name, value in globals().items() if name.startswith("test_")]
    failures = 0
    print(f"1..{len(tests)}")
    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        for number, function in enumerate(tests, 1):
            try:
                function()
            except Exception as error:  # pylint: disable=broad-except
                failures += 1
                print(f"not ok {number} - {function.__doc__}")
                print("\n".join(f"# {line}" for line in repr(error).split("\\n")))
            else:
                print(f"ok {number} - {function.__doc__}")
    sys.exit(1 if failures else 0)


main()
