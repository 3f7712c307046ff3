# SPDX-License-Identifier: LGPL-2.1-or-later
"""The C sources as the tests of the house read them: text only, in the style that the house writes."""

import os
import re

FOLDERS = ("lib", "daemon", "hooks", "cli")

COMMENT_OR_STRING = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]', re.M)
DEFINITION = re.compile(r"^(vp_\w+) \(", re.M)  # the return type stands on the line before
DATA = re.compile(r"^(?!static\b|extern\b|typedef\b|return\b)\w[\w *]*?\b(vp_\w+)(?:\[\w*\])* = ", re.M)
TYPE = re.compile(r"^\}\s*(Vp\w+);|^typedef (?:enum|struct|union)\b[\w ]*\{.*\} (Vp\w+);|^typedef struct \w+ (Vp\w+);"
                  r"|^typedef [^;{]*\(\*(Vp\w+)\)", re.M)


def without_words(text):
    """The text with comments and strings blanked; lines and columns stay."""
    return COMMENT_OR_STRING.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)


def is_static(code, position):
    """Whether the definition whose name stands at the position is its file's own."""
    before = code[:position].rstrip("\n").rsplit("\n", 1)[-1]
    return before.startswith("static")


class Source:
    """One file: what it includes, defines, uses and declares, each with its line."""

    def __init__(self, path, text):
        self.path, self.text = path, text
        self.code = without_words(text)
        self.stem, self.extension = os.path.splitext(path)
        self.folder = os.path.dirname(path)
        self.includes = [(self.line_of(match.start(2)), match.group(1), match.group(2))
                         for match in INCLUDE.finditer(text)]
        self.types = [(self.line_of(match.end()), next(filter(None, match.groups())))
                      for match in TYPE.finditer(self.code)]
        self.words = set(re.findall(r"\w+", self.code))

    def line_of(self, position):
        """The number of the line of a position in the text."""
        return self.text.count("\n", 0, position) + 1

    def definitions(self):
        """Names of functions and data that other files may use, with their lines."""
        if self.extension == ".c":
            for match in DEFINITION.finditer(self.code):
                if not is_static(self.code, match.start()):
                    yield match.group(1), self.line_of(match.start())
        for match in DATA.finditer(self.code):
            yield match.group(1), self.line_of(match.start(1))

    def prototypes(self):
        """(name, line, whether a comment stands at it or over its group) of a header's functions."""
        commented, lines, code = False, self.text.split("\n"), self.code.split("\n")
        number = 0
        while number < len(lines):
            start = number
            while number + 1 < len(lines) and re.match(r"\w[^;{#]*\([^;{]*$", code[start]) and ";" not in code[number]:
                if "{" in code[number]:
                    break
                number += 1
            whole, said = " ".join(code[start:number + 1]), "/*" in "".join(lines[start:number + 1])
            match = re.match(r"(?!typedef\b|static\b|extern\b)[A-Za-z_][\w *]*?\b(\w+) \(.*\).*;", whole)
            if lines[start].strip() == "":
                commented = False
            commented = commented or said or (match is None and "*/" in lines[start])
            if match and not match.group(1).startswith("G_"):
                yield match.group(1), start + 1, commented
            number += 1


class Tree:
    """All sources of the product, by their paths; and the files of meson beside them."""

    def __init__(self, files):
        self.files = files
        self.sources = {path: Source(path, text) for path, text in files.items() if path.endswith((".c", ".h"))}

    @classmethod
    def read(cls, root):
        """The tree below a folder."""
        files = {}
        for top in FOLDERS:
            for folder, _, names in os.walk(os.path.join(root, top)):
                for name in names:
                    path = os.path.join(folder, name)
                    if name.endswith((".c", ".h")) or name == "meson.build":
                        with open(path, encoding="utf-8") as file:
                            files[os.path.relpath(path, root)] = file.read()
        return cls(files)

    def changed(self, path, change):
        """A copy in which one file is another; change makes its text from the present one."""
        copy = Tree({})
        copy.files = {**self.files, path: change(self.files.get(path, ""))}
        copy.sources = dict(self.sources)
        if path.endswith((".c", ".h")):
            copy.sources[path] = Source(path, copy.files[path])
        return copy

    def find_header(self, name):
        """The header that an include names, or None: it is not one of ours."""
        return next((path for path in (name, "lib/" + name) if path in self.sources), None)

    def unit_of(self, path):
        """A file for the rule about circles: X.c, X.h and X-private.h are one."""
        stem = os.path.splitext(path)[0]
        owner = stem.removesuffix("-private")
        return owner if owner + ".c" in self.sources else stem

    def arrows(self):
        """{unit: {unit that it needs: (path, line, what)}}: by includes, and by use of what another file defines."""
        homes = {name: source.path for source in self.sources.values() for name, _ in source.definitions()}
        arrows = {self.unit_of(path): {} for path in self.sources}
        for source in self.sources.values():
            unit = self.unit_of(source.path)
            for line, _, name in source.includes:
                header = self.find_header(name)
                if header is not None and self.unit_of(header) != unit:
                    arrows[unit].setdefault(self.unit_of(header), (source.path, line, f'includes "{name}"'))
            for name in source.words & homes.keys():
                if source.extension == ".c" and self.unit_of(homes[name]) != unit:
                    place = (source.path, line_of_word(source, name), f"uses {name}")
                    arrows[unit].setdefault(self.unit_of(homes[name]), place)
        return arrows


def line_of_word(source, word):
    """The first line of the code in which a word stands."""
    return source.line_of(re.search(rf"\b{word}\b", source.code).start())


def find_circles(arrows):
    """Lists of units that need each other (Tarjan's strongly connected components of more than one)."""
    index, low, stack, circles = {}, {}, [], []

    def visit(unit):
        index[unit] = low[unit] = len(index)
        stack.append(unit)
        for other in sorted(arrows.get(unit, ())):
            if other not in index:
                visit(other)
                low[unit] = min(low[unit], low[other])
            elif other in stack:
                low[unit] = min(low[unit], index[other])
        if low[unit] == index[unit]:
            circle = [stack.pop()]
            while circle[-1] != unit:
                circle.append(stack.pop())
            if len(circle) > 1:
                circles.append(sorted(circle))

    for unit in sorted(arrows):
        if unit not in index:
            visit(unit)
    return sorted(circles)
