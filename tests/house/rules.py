# SPDX-License-Identifier: LGPL-2.1-or-later
"""The rules of the house. Each takes a tree and gives its findings, "file:line: what is wrong"."""

import os
import re

from sources import find_circles

LIB = ["base", "host", "domain", "profile", ("placement", "devices"), "plan"]


def below(order, top):
    """{folder: folders that it may name} of an order from the ground up; a tuple are folders side by side."""
    may, ground = {}, set()
    for level in order:
        folders = [f"{top}/{folder}" for folder in (level if isinstance(level, tuple) else (level,))]
        may.update({folder: set(ground) for folder in folders})
        ground.update(folders)
    return may


MAY = below(LIB, "lib")
MAY["lib/plan/rules"] = MAY["lib/plan"]
MAY["lib/merge"] = {"lib/base"}
MAY["lib/journal"] = {"lib/base", "lib/host"}
CORE = set(MAY)  # it cannot ask libvirt
MAY["lib/libvirt"] = set(CORE)
MAY["lib/edits"] = CORE | {"lib/libvirt"}
MAY["hooks"] = {"lib/base"}
MAY["daemon/hold"] = set(CORE)
MAY["daemon/handover"] = CORE | {"daemon/hold"}
MAY["daemon/gate"] = CORE | {"daemon/hold", "daemon/handover"}
MAY["daemon/keep"] = CORE | {"lib/libvirt", "lib/edits", "daemon/hold", "daemon/handover", "daemon/gate"}
MAY["daemon"] = MAY["daemon/keep"] | {"daemon/keep"}
MAY["cli/base"] = CORE | {"lib/libvirt", "lib/edits"}
for view in ("plan", "map", "cards", "status"):
    MAY["cli/" + view] = MAY["cli/base"] | {"cli/base"}
MAY["cli/doctor"] = MAY["cli/cards"] | {"cli/cards"}
MAY["cli/commands"] = MAY["cli/doctor"] | {"cli/doctor", "cli/plan", "cli/map", "cli/status"}
MAY["cli"] = MAY["cli/commands"] | {"cli/commands"}

# These may not name libvirt's own headers, nor link it.
WITHOUT_LIBVIRT = CORE | {"hooks", "daemon/hold", "daemon/handover", "daemon/gate"}

ONCE = {"main"}  # the one file name that each program has
MADE = {"config.h", "vp-resources.h"}  # by the build


def one_folder(folder):
    """A concept's folder: what lies deeper is a part of it."""
    return "/".join(folder.split("/")[:2])


def check_layers(tree):
    """a folder names only those below it"""
    for source in tree.sources.values():
        if source.folder not in MAY:
            yield f"{source.path}:1: {source.folder} has no place in the order; give it one in tests/house/rules.py"
            continue
        for line, _, name in source.includes:
            header = tree.find_header(name)
            if header is None or one_folder(os.path.dirname(header)) == one_folder(source.folder):
                continue
            if os.path.dirname(header) not in MAY[source.folder]:
                yield f'{source.path}:{line}: {source.folder} may not name {os.path.dirname(header)} ("{name}")'


def check_libvirt(tree):
    """the core, the hooks, and what answers the hook do not know libvirt"""
    for source in tree.sources.values():
        for line, bracket, name in source.includes:
            if bracket == "<" and name.startswith("libvirt/") and source.folder in WITHOUT_LIBVIRT:
                yield f"{source.path}:{line}: {source.folder} may not ask libvirt (<{name}>)"


def check_folders_in_includes(tree):
    """an include says the folder"""
    for source in tree.sources.values():
        for line, bracket, name in source.includes:
            if bracket == '"' and name not in MADE and ("/" not in name or tree.find_header(name) is None):
                yield f'{source.path}:{line}: "{name}" is no header with its folder, as in "placement/placement.h"'


def check_circles(tree):
    """no files need each other in a circle"""
    arrows = tree.arrows()
    for circle in find_circles(arrows):
        inside = [(unit, other) for unit in circle for other in sorted(arrows[unit]) if other in circle]
        said = "; ".join(f"{path}:{line} {what}" for path, line, what in (arrows[a][b] for a, b in inside))
        path, line, _ = arrows[inside[0][0]][inside[0][1]]
        yield f"{path}:{line}: {', '.join(circle)} need each other: {said}"


def check_file_names(tree):
    """a file's name stands once in the tree"""
    homes = {}
    for path in sorted(tree.sources):
        name = os.path.splitext(os.path.basename(path))[0]
        home = homes.setdefault(name, os.path.dirname(path))
        if home != os.path.dirname(path) and name not in ONCE:
            yield f"{path}:1: {home} has a file of the name {name} too"


def check_type_names(tree):
    """a type's name stands once in the tree"""
    homes = {}
    for path in sorted(tree.sources):
        for line, name in tree.sources[path].types:
            other, first = homes.setdefault(name, (path, line))
            if other != path:
                yield f"{path}:{line}: {other}:{first} defines a type {name} too"


def read_meson(tree):
    """({dependency: its folder}, [(file, line, folder, dependencies) of a library], {dependency: those in it})."""
    homes, libraries, parts = {}, [], {}
    for path, text in tree.files.items():
        if not path.endswith("meson.build"):
            continue
        folder = os.path.dirname(path)
        for match in re.finditer(r"^(\w+_deps) = \[([^\]]*)\]", text, re.M):
            parts[match.group(1)] = re.findall(r"\w+", match.group(2))
        for match in re.finditer(r"^(\w+) = (declare_dependency|static_library)\((.*?)\)$", text, re.M | re.S):
            links = re.search(r"\bdependencies:\s*(\[[^\]]*\]|\w+)", match.group(3))
            names = re.findall(r"\w+", links.group(1)) if links else []
            if match.group(2) == "declare_dependency":
                homes[match.group(1)], parts[match.group(1)] = folder, names
            elif links:
                line = text.count("\n", 0, match.start(3) + links.start()) + 1
                libraries.append((path, line, folder, names))
    return homes, libraries, parts


def spread(names, parts):
    """All that some names of dependencies stand for."""
    found, left = set(), list(names)
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += parts.get(name, [])
    return found


def check_links(tree):
    """a library links only those below it, and what answers the hook cannot link libvirt"""
    homes, libraries, parts = read_meson(tree)
    for path, line, folder, names in libraries:
        for name in sorted(spread(names, parts)):
            home = homes.get(name, folder)
            if home not in (folder, "lib") and home not in MAY.get(folder, ()):
                yield f"{path}:{line}: {folder} may not link {home} ({name})"
            if name == "libvirt_dep" and folder in WITHOUT_LIBVIRT:
                yield f"{path}:{line}: {folder} may not link libvirt"
    # By another variable it would not be known for what it is.
    for path, text in sorted(tree.files.items()):
        if os.path.basename(path) == "meson.build":
            for number, words in enumerate(text.splitlines(), 1):
                if re.search(r"dependency\('libvirt", words) and not (
                        path == "meson.build" and words.startswith("libvirt_dep = ")):
                    yield f"{path}:{number}: libvirt is libvirt_dep, of the topmost meson.build"


def check_meson_files(tree):
    """each folder has its meson.build"""
    for folder in sorted({one_folder(source.folder) for source in tree.sources.values()}):
        if folder + "/meson.build" not in tree.files:
            yield f"{folder}:1: it has no meson.build"


RULES = [check_layers, check_libvirt, check_folders_in_includes, check_circles, check_file_names, check_type_names,
         check_links, check_meson_files]
