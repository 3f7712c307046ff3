# SPDX-License-Identifier: LGPL-2.1-or-later
"""virt-manager itself, on a screen of its own: the description box is all that a user needs.

Each test goes on where the one before it ended, as a user does. Pictures of each
step go to the folder $VIRT_MANAGER_OUTPUT: virt-manager-output in the build folder.
"""
import math
import os
import time
import xml.etree.ElementTree as ET

from desktop import Desktop, application, skip_without_desktop, wait_find
from lib import (TAG_NS, Qemu, check, check_equal, check_same, connect, definition, domain_xml, has, is_running,
                 main, note, pins, plan, ready, remove, test, wait_ready, wait_until)

NAME = "win10"
HASHTAG = "#vfio:nvidia"
TEXT = "Games, with the GTX 970"
QUIET_SECONDS = 3
# virt-manager's own define, the daemon's, and one more each where they meet.
MOST_DEFINES = 4

# Things that a client which writes whole documents could lose, and originals that rules replace.
GUEST = domain_xml(
    NAME, vcpus=1,
    head=f"""<title>Windows</title><description>{TEXT}</description>
<iothreads>1</iothreads>
<cputune><shares>2000</shares><vcpupin vcpu='0' cpuset='0'/><iothreadpin iothread='1' cpuset='0'/></cputune>""",
    metadata="""<app:note xmlns:app="urn:example:app"><app:a>text</app:a><!-- kept --></app:note>""",
    features="<hyperv mode='custom'><relaxed state='on'/><vendor_id state='on' value='mine'/></hyperv>",
    clock="""<clock offset='localtime'><timer name='hypervclock' present='yes'/>
<timer name='hpet' present='no'/></clock>""",
    devices="""<graphics type='vnc' port='-1' autoport='yes' passwd='secret' passwdValidTo='2030-01-01T00:00:00'/>
<video><model type='vga'/></video><serial type='pty'/>""")


class Defines:
    """Counts the definitions that libvirt tells of, of whomever."""

    def __init__(self, desktop):
        # A process of its own: libvirt's event loop in a thread and the accessibility library don't go together.
        desktop.spawn("events", "stdbuf", "-oL", "virsh", "--quiet", "event", "--event", "lifecycle", "--loop")
        self.desktop = desktop
        self.seen = 0

    def take(self):
        """How many since the last call."""
        before, self.seen = self.seen, self.desktop.log("events").count(f"for domain '{NAME}': Defined")
        return self.seen - before


class Manager:
    """The details window of the guest, in virt-manager."""

    def __init__(self):
        self.domain = connect().defineXML(GUEST)
        self.untouched = definition(self.domain)
        self.pictures = 0
        self.desktop = Desktop(os.environ.get("VIRT_MANAGER_OUTPUT"))
        self.defines = Defines(self.desktop)
        self.desktop.spawn("virt-manager", "virt-manager", "--no-fork", "--debug", "--connect", "qemu:///system",
                           "--show-domain-editor", NAME)
        self.window = None

    def open(self):
        try:
            self.window = wait_find(application("virt-manager"), "frame", "Windows on QEMU/KVM", 120)
            self.box()
        except AssertionError as error:
            raise AssertionError(f"{error}\nvirt-manager says:\n{self.desktop.log('virt-manager')[-3000:]}") from None

    def picture(self, name):
        time.sleep(0.3)  # GTK draws what it told of already
        self.pictures += 1
        self.desktop.picture(f"{self.pictures:02}-{name}")

    def box(self):
        """The box beside the label 'Description:'."""
        return wait_find(self.window, "text", test=lambda node: "multi line" in node.states())

    def title(self):
        text = ET.fromstring(definition(self.domain)).findtext("title") or ""
        return wait_find(self.window, "text", test=lambda node: node.text() == text)

    def apply(self, picture=None):
        button = wait_find(self.window, "button", "config-apply", test=lambda node: "sensitive" in node.states())
        if picture is not None:
            self.picture(picture)
        button.act("click")
        wait_find(self.window, "button", "config-apply", test=lambda node: "sensitive" not in node.states())

    def describe(self, text):
        """Writes into the box and applies it."""
        self.box().write(text)
        self.apply()

    def show(self, page, role, name):
        """Goes to a page of the list at the left; gives the widget by which it is known."""

        def look():
            row = self.window.find("table cell", page)
            if row is not None:
                row.click()
            return self.window.find(role, name)

        return wait_until(f"the page '{page}' shows '{name}'", look, 60, 0.5)

    def show_overview(self):
        def look():
            row = self.window.find("table cell", "Overview")
            if row is not None:
                row.click()
            return self.window.find("text", test=lambda node: "multi line" in node.states())

        wait_until("the page 'Overview' is there", look, 60, 0.5)

    def show_details(self):
        """From the console, which comes up by itself when the guest starts."""
        wait_find(self.window, "radio button", "Details").click()
        wait_find(self.window, "scroll pane", "hw-list-scroll")

    def check_quiet(self, what, most=MOST_DEFINES):
        """Nobody defines anything once all is done, and until then it was not much."""
        count = self.defines.take()
        check(count <= most, f"{what}: {count} defines")
        time.sleep(QUIET_SECONDS)
        check_equal(self.defines.take(), 0, f"defines in the {QUIET_SECONDS} s after '{what}'")
        note(f"{what}: {count} defines, then none in {QUIET_SECONDS} s")


manager = None


def tag():
    element = ET.fromstring(definition(manager.domain)).find(f"metadata/{{{TAG_NS}}}profile")
    return dict(element.attrib) if element is not None else None


def wait_prepared():
    wait_until("the rule has tagged it", lambda: tag() == {"name": "nvidia", "rule": "10-hashtag"}, 30)
    wait_ready(NAME, 30)
    wanted = {str(vcpu): cpus for vcpu, cpus in enumerate(plan(NAME)["pins"]["vcpus"])}
    check_equal(pins(definition(manager.domain)), wanted, "vcpupin")


def check_kept():
    text = definition(manager.domain)
    for path in ("devices/graphics[@passwd='secret'][@passwdValidTo='2030-01-01T00:00:00']", "devices/serial",
                 "iothreads", "cputune/shares", "metadata/{urn:example:app}note/{urn:example:app}a"):
        check(has(text, path), f"{path} is lost")
    check("<!-- kept -->" in text, "a comment in another application's metadata is lost")


def memory_kib(text):
    root = ET.fromstring(text)
    return root.findtext("memory"), root.findtext("currentMemory")


def check_tuned(mib):
    """The guest that runs is the prepared one."""
    qemu = Qemu(NAME)
    check(any("kvm=off" in option.split(",") for option in qemu.option("-cpu")), f"-cpu {qemu.option('-cpu')}")
    check(not any("hv-" in option for option in qemu.option("-cpu")), f"Hyper-V: -cpu {qemu.option('-cpu')}")
    check(qemu.option("-m") in ([str(mib)], [f"size={mib * 1024}k"]), f"-m {qemu.option('-m')}")
    check_equal(qemu.hugetlb_kib(), mib * 1024, "guest memory on hugepages, KiB")
    check_equal({str(vcpu): cpus for vcpu, cpus in qemu.vcpu_affinities().items()},
                pins(manager.domain.XMLDesc()), "affinities of the vCPU threads")


def stop_guest():
    manager.domain.destroy()
    manager.show_details()
    wait_find(manager.window, "button", "Run", test=lambda node: "sensitive" in node.states())


def press_play():
    wait_find(manager.window, "button", "Run", test=lambda node: "sensitive" in node.states()).act("click")
    wait_until("the guest runs", lambda: is_running(manager.domain), 60)
    wait_find(manager.window, "button", "Run", test=lambda node: "sensitive" not in node.states())


@test("virt-manager opens the details of a guest that nobody has tagged, and that changes nothing")
def open_window():
    global manager  # pylint: disable=global-statement
    manager = Manager()
    manager.open()
    check_equal(manager.box().text(), TEXT, "the text in the box")
    manager.picture("opened")
    manager.check_quiet("opening")
    check_equal(definition(manager.domain), manager.untouched, "the definition")


@test(f"{HASHTAG} in the Description, Apply: prepared, and virt-manager's define and ours come to rest")
def write_word():
    manager.box().write(f"{TEXT}\n{HASHTAG}")
    manager.apply("description")
    wait_prepared()
    check_kept()
    check_equal(ET.fromstring(definition(manager.domain)).findtext("description"), f"{TEXT}\n{HASHTAG}",
                "the description")
    manager.picture("applied")
    manager.check_quiet("Apply of the description")
    check(ready(NAME), "it is not ready any more")


@test("play: the guest that runs is tuned")
def play():
    press_play()
    check_tuned(64)
    manager.picture("running")
    manager.check_quiet("play")


@test("while it runs: a title in the GUI is kept, and the guest stays as it was started")
def title_while_running():
    manager.show_details()
    manager.show_overview()
    manager.title().write("Windows 10")
    manager.apply()
    wait_until("the title is in the definition", lambda: ET.fromstring(definition(manager.domain)).findtext("title")
               == "Windows 10", 30)
    wait_prepared()
    check_kept()
    check_tuned(64)
    manager.picture("title")
    manager.check_quiet("Apply of the title")


@test("the memory in the GUI, Apply: the edit is kept, it is still prepared, and runs with it")
def memory():
    stop_guest()
    manager.show("Memory", "spin button", "Max Memory Select").node.queryValue().currentValue = 96
    manager.show("Memory", "spin button", "Memory Select").node.queryValue().currentValue = 96
    manager.apply("memory")
    wait_until("the memory is in the definition",
               lambda: memory_kib(definition(manager.domain)) == ("98304", "98304"), 30)
    wait_prepared()
    check_kept()
    manager.check_quiet("Apply of the memory")
    check_equal(memory_kib(definition(manager.domain)), ("98304", "98304"), "the memory, KiB")
    press_play()
    check_tuned(96)
    manager.picture("more-memory")
    stop_guest()


@test("two edits on two pages, as fast as the GUI takes them: both are kept")
def two_edits():
    manager.show("CPUs", "spin button", "Virtual CPU Select").node.queryValue().currentValue = 2
    manager.apply()
    manager.show_overview()
    manager.describe(f"{HASHTAG} {TEXT}")
    wait_prepared()
    text = definition(manager.domain)
    check_equal((ET.fromstring(text).findtext("vcpu"), ET.fromstring(text).findtext("description")),
                ("2", f"{HASHTAG} {TEXT}"), "vCPUs and description")
    check_kept()
    manager.check_quiet("two edits", 2 * MOST_DEFINES)


@test("the word goes, Apply: everything is undone, but for what was edited in the GUI")
def delete_word():
    manager.show_overview()
    manager.describe(TEXT)
    wait_until("tag and state are gone", lambda: "urn:vfio-profile:" not in definition(manager.domain), 30)
    wanted = manager.untouched.replace("KiB'>65536<", "KiB'>98304<").replace(
        "<title>Windows<", "<title>Windows 10<").replace("<vcpu placement='static'>1<", "<vcpu placement='static'>2<")
    check(wanted != manager.untouched, "nothing was replaced in what is wanted")
    check_same(ET.canonicalize(definition(manager.domain), strip_text=True), ET.canonicalize(wanted, strip_text=True),
               "undone")
    manager.picture("undone")
    manager.check_quiet("Apply without the word")
    press_play()
    check(not any("kvm=off" in option for option in Qemu(NAME).option("-cpu")), "the guest is still hidden")
    check_equal(Qemu(NAME).hugetlb_kib(), 0, "guest memory on hugepages, KiB")


def topology_of(text):
    """How many vCPUs it is for; 0: there is none."""
    topology = ET.fromstring(text).find("cpu/topology")
    return math.prod(int(number) for number in topology.attrib.values()) if topology is not None else 0


def wait_count(count):
    """Number, topology and pins agree, and nothing is left to do."""
    wait_until(f"a topology for {count}", lambda: topology_of(definition(manager.domain)) == count, 30)
    wait_ready(NAME, 30)
    text = definition(manager.domain)
    check_equal((ET.fromstring(text).findtext("vcpu"), len(pins(text))), (str(count), count), "vCPUs and pins")


@test("the page CPUs while a topology of ours stands: its cores change the number of vCPUs, and all is planned anew")
def cores():
    stop_guest()
    manager.show_overview()
    manager.describe(f"#vfio:gaming {TEXT}")
    wait_count(2)
    manager.check_quiet("Apply of a profile with a topology")
    number = manager.show("CPUs", "spin button", "Virtual CPU Select")
    check("sensitive" not in number.states(), "the number can be edited beside the topology")
    # Sockets, cores and threads have no names: whichever has the two.
    wait_find(manager.window, "spin button", test=lambda node: node.describe()[1] != "Virtual CPU Select"
              and node.node.queryValue().currentValue == 2).node.queryValue().currentValue = 1
    manager.apply("cores")
    wait_count(1)
    manager.check_quiet("Apply of the cores")
    manager.show_overview()
    manager.describe(TEXT)
    wait_until("tag and state are gone", lambda: "urn:vfio-profile:" not in definition(manager.domain), 30)
    check_equal(ET.fromstring(definition(manager.domain)).findtext("vcpu"), "1", "vCPUs without the word")


skip_without_desktop()
try:
    main()
finally:
    if manager is not None:
        remove(manager.domain)
        manager.desktop.end()
