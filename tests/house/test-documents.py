# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the documents for developers name is there, and what is there they name."""

import glob
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "unit"))
import tap  # pylint: disable=wrong-import-position

ROOT = os.path.abspath(sys.argv[1])
DOCUMENTS = ("CONTRIBUTING.md", "docs/architecture.md")
TOPS = sorted(entry.name for entry in os.scandir(ROOT)
              if entry.is_dir() and not entry.name.startswith((".", "build", "__"))
              and not os.path.exists(os.path.join(entry.path, "build.ninja")))


def read(path):
    """The text of a file of the tree."""
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def named_paths(text):
    """(line, path) of all that begins with a folder of the tree."""
    for match in re.finditer(rf"(?<![\w/.-])(?:{'|'.join(TOPS)})/[\w./*-]*", text):
        yield text.count("\n", 0, match.start()) + 1, match.group().rstrip(".")


def map_folders(text):
    """The folders of the map: one a line, or several beside one another, below the one that is less indented."""
    folders, above = set(), []
    for line in text[text.index("## Where things are"):text.index("\n[docs/architecture.md]")].split("\n"):
        match = re.match(r"( {4,})((?:[\w-]+/\s*)+)", line)
        if match is None:
            continue
        indent, names = len(match.group(1)), match.group(2).split()
        above = [(depth, name) for depth, name in above if depth < indent]
        folders.update("".join(name for _, name in above) + name.rstrip("/") for name in names)
        above.append((indent, names[-1]))
    return folders


def tree_folders():
    """Those that the map has to name: the top, all of the sources, and one for each kind of test."""
    for top in TOPS:
        yield top
        for folder, _, names in os.walk(os.path.join(ROOT, top)):
            path = os.path.relpath(folder, ROOT)
            if top in ("lib", "daemon", "hooks", "cli") and any(name.endswith(".c") for name in names):
                yield path
            elif top == "tests" and path.count("/") == 1 and not path.endswith("__pycache__"):
                yield path


def test_paths_are_there():
    """each path that the documents name is there"""
    gone = [f"{document}:{line}: there is no {path}" for document in DOCUMENTS
            for line, path in named_paths(read(document)) if not glob.glob(os.path.join(ROOT, path))]
    assert not gone, "\n".join(gone)


def test_map_is_the_tree():
    """the map of CONTRIBUTING.md is the tree"""
    shown, there = map_folders(read("CONTRIBUTING.md")), set(tree_folders())
    wrong = [f"CONTRIBUTING.md: the map lacks {folder}/" for folder in sorted(there - shown)]
    wrong += [f"CONTRIBUTING.md: the map has {folder}/, which is not there" for folder in sorted(shown)
              if not os.path.isdir(os.path.join(ROOT, folder))]
    assert not wrong, "\n".join(wrong)


def test_packages_agree():
    """packaging/install-packages has the development files that the Debian package builds with"""
    control = read("packaging/debian/control")
    wanted = re.search(r"^Build-Depends:(.*?)^\S", control, re.M | re.S).group(1)
    script = read("packaging/install-packages")
    ours = re.search(r"build_packages='(.*?)'", script, re.S).group(1)
    packages = {name for name in re.findall(r"lib[\w.+-]+-dev\b", wanted)}
    listed = {name for name in re.findall(r"lib[\w.+-]+-dev\b", ours)} - {"libc6-dev"}
    assert packages == listed, f"only one of both has {', '.join(sorted(packages ^ listed))}"


tap.main(globals())
