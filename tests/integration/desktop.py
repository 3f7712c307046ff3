# SPDX-License-Identifier: LGPL-2.1-or-later
"""A desktop without a screen, and a program on it that is used through its accessibility tree.

Only for use in a sandbox: X server, buses and program end with it, and their
files are in its private /run and an overlay over /tmp.
"""
import contextlib
import os
import shutil
import subprocess
import sys

from lib import note, run, wait_until

HOME = "/run/home"
RUNTIME = f"{HOME}/runtime"
LOGS = "/run/sandbox/log"
DISPLAY = ":77"
SIZE = "1040x900x24"

# What is run; the Debian package that has it.
PROGRAMS = {
    "virt-manager": "virt-manager",
    "Xvfb": "xvfb",
    "xdotool": "xdotool",
    "import": "imagemagick",
    "dbus-daemon": "dbus-daemon",
    "/usr/libexec/at-spi-bus-launcher": "at-spi2-core",
}
# What virt-manager and this module load; as Python, and the package.
MODULES = {
    "import pyatspi": "python3-pyatspi",
    "import gi; gi.require_version('GtkVnc', '2.0')": "gir1.2-gtk-vnc-2.0",
    "import gi; gi.require_version('SpiceClientGtk', '3.0')": "gir1.2-spiceclientgtk-3.0",
}
FOLDERS = {"/usr/share/icons/Adwaita": "adwaita-icon-theme"}


def missing_packages():
    missing = [package for program, package in PROGRAMS.items() if shutil.which(program) is None]
    missing += [package for folder, package in FOLDERS.items() if not os.path.isdir(folder)]
    for code, package in MODULES.items():
        if run("/usr/bin/python3", "-c", code, ok=None).returncode != 0:
            missing.append(package)
    return missing


def skip_without_desktop():
    missing = missing_packages()
    if missing:
        print(f"1..0 # SKIP needs {', '.join(missing)} (Debian packages)")
        sys.exit(0)


class Desktop:
    """X server and session bus. `output`: a folder for pictures, or None."""

    def __init__(self, output):
        self.processes = []
        # Opened before /tmp gets its overlay: a build folder may be in there.
        self.output = None
        if output is not None:
            os.makedirs(output, exist_ok=True)
            for name in os.listdir(output):
                if name.endswith(".png"):
                    os.unlink(f"{output}/{name}")
            self.output = os.open(output, os.O_RDONLY | os.O_DIRECTORY)
        self._hide_tmp()
        os.makedirs(RUNTIME, mode=0o700, exist_ok=True)
        self._ask_for_accessibility()
        os.environ.update(
            DISPLAY=DISPLAY, XDG_RUNTIME_DIR=RUNTIME, XDG_CONFIG_HOME=f"{HOME}/config", XDG_CACHE_HOME=f"{HOME}/cache",
            GSETTINGS_BACKEND="keyfile", GDK_BACKEND="x11", LIBGL_ALWAYS_SOFTWARE="1",
            DBUS_SESSION_BUS_ADDRESS=f"unix:path={RUNTIME}/bus")
        for name in ("NO_AT_BRIDGE", "GTK_MODULES", "WAYLAND_DISPLAY", "AT_SPI_BUS_ADDRESS"):
            os.environ.pop(name, None)
        self.spawn("xvfb", "Xvfb", DISPLAY, "-screen", "0", SIZE, "-nolisten", "tcp", "-noreset")
        self.spawn("session-bus", "dbus-daemon", "--session", "--nofork", "--nopidfile",
                   f"--address=unix:path={RUNTIME}/bus")
        wait_until("the X server answers", lambda: run("xdotool", "getmouselocation", ok=None).returncode == 0, 60, 0.2)
        wait_until("the session bus answers", lambda: os.path.exists(f"{RUNTIME}/bus"), 60)

    @staticmethod
    def _ask_for_accessibility():
        """As gsettings would write it."""
        os.makedirs(f"{HOME}/config/glib-2.0/settings", exist_ok=True)
        with open(f"{HOME}/config/glib-2.0/settings/keyfile", "w", encoding="utf-8") as file:
            file.write("[org/gnome/desktop/interface]\ntoolkit-accessibility=true\n")

    @staticmethod
    def _hide_tmp():
        """The X server's socket and lock go to /tmp, and that is the host's."""
        os.makedirs("/run/sandbox/tmp/upper")
        os.makedirs("/run/sandbox/tmp/work")
        os.chmod("/run/sandbox/tmp/upper", 0o1777)
        run("mount", "-t", "overlay", "overlay", "-o",
            "lowerdir=/tmp,upperdir=/run/sandbox/tmp/upper,workdir=/run/sandbox/tmp/work", "/tmp")
        shutil.rmtree("/tmp/.X11-unix", ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"/tmp/.X{DISPLAY[1:]}-lock")

    def spawn(self, name, *command):
        with open(f"{LOGS}/{name}.log", "wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.processes.append(process)
        return process

    def picture(self, name):
        """Keeps what is on the screen as NAME.png. A picture that cannot be taken fails no test."""
        if self.output is None:
            return
        try:
            data = subprocess.run(["import", "-window", "root", "png:-"], capture_output=True, timeout=60, check=True)
        except subprocess.SubprocessError as error:
            note(f"no picture '{name}': {error}")
            return
        target = os.open(f"{name}.png", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644, dir_fd=self.output)
        with open(target, "wb") as file:
            file.write(data.stdout)

    @staticmethod
    def log(name):
        with open(f"{LOGS}/{name}.log", errors="replace", encoding="utf-8") as file:
            return file.read()

    def end(self):
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


# What AT-SPI calls them since 2.53, by what it did before.
ROLES = {"push button": "button"}


class Accessible:
    """One node of the tree, found again for each use: GTK makes new ones whenever it likes."""

    def __init__(self, node):
        self.node = node

    def walk(self, skip=("menu",)):
        """What is on the screen: pages that are not in front and menus that are not open are left out."""
        yield self
        for child in self.children():
            if child.describe()[0] not in skip and "showing" in child.states():
                yield from child.walk(skip)

    def children(self):
        try:
            return [Accessible(child) for child in self.node if child is not None]
        except Exception:  # pylint: disable=broad-except  the node is gone, or the program is busy
            return []

    def describe(self):
        try:
            role = self.node.getRoleName()
            return (ROLES.get(role, role), self.node.name)
        except Exception:  # pylint: disable=broad-except
            return ("", "")

    def states(self):
        """{"showing", "sensitive", …}"""
        import pyatspi  # pylint: disable=import-outside-toplevel
        try:
            return {pyatspi.stateToString(state) for state in self.node.getState().getStates()}
        except Exception:  # pylint: disable=broad-except
            return set()

    def find(self, role, name=None, test=None):
        # Tables have many cells, and each question takes its time.
        for node in self.walk(("menu",) if role == "table cell" else ("menu", "table")):
            found_role, found_name = node.describe()
            if found_role != role or name not in (None, found_name):
                continue
            try:
                if test is None or test(node):
                    return node
            except Exception:  # pylint: disable=broad-except  the node is gone
                continue
        return None

    def dump(self):
        """For a message: what is showing."""
        return "\n".join(f"{role} '{name}'" for role, name in (node.describe() for node in self.walk()) if role)

    def act(self, *names):
        """Does the first of the named actions that it has."""
        action = self.node.queryAction()
        found = [action.getName(i) for i in range(action.nActions)]
        for name in names:
            if name in found:
                action.doAction(found.index(name))
                return
        raise AssertionError(f"{self.describe()} has none of the actions {names}, but {found}")

    def text(self):
        text = self.node.queryText()
        return text.getText(0, text.characterCount)

    def write(self, text):
        self.node.queryEditableText().setTextContents(text)

    def center(self):
        import pyatspi  # pylint: disable=import-outside-toplevel
        box = self.node.queryComponent().getExtents(pyatspi.DESKTOP_COORDS)
        return box.x + box.width // 2, box.y + box.height // 2

    def click(self):
        x, y = self.center()
        run("xdotool", "mousemove", str(x), str(y), "click", "1")


def application(name, seconds=120):
    """The program of that name, once it is on the accessibility bus."""
    import pyatspi  # pylint: disable=import-outside-toplevel
    from gi.repository import Atspi  # pylint: disable=import-outside-toplevel

    Atspi.set_timeout(30000, 30000)  # ms; a busy program answers late

    def look():
        for child in Accessible(pyatspi.Registry.getDesktop(0)).children():
            if child.describe()[1] == name:
                # What was seen before is old: no loop runs here that would hear of changes.
                child.node.set_cache_mask(Atspi.Cache.NONE)
                return child
        return None

    return wait_until(f"{name} is on the accessibility bus", look, seconds, 0.3)


def wait_find(parent, role, name=None, seconds=60, test=None):
    try:
        return wait_until(f"there is a {role} '{name or ''}'", lambda: parent.find(role, name, test), seconds, 0.2)
    except AssertionError as error:
        raise AssertionError(f"{error}; there is:\n{parent.dump()}") from None
