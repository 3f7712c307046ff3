#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Words: manual pages and documents have those of --help, no more and no fewer.

Usage: test-words.py SOURCE-FOLDER VFIO-PROFILE VFIO-PROFILED HOOK EMULATOR

What the programs say with --help is the truth; what is too few or too many elsewhere is named, word
by word. Prints TAP.
"""

import os
import re
import shlex
import shutil
import subprocess

from tap import Skip, main
from words import DAEMON, EMULATOR, HOOK, PROGRAMS, SOURCE, TOOL, Truth
from words import differences, more_in_help, none, options, read, truth

# The page of each program, and the section that has its options.
PAGES = {TOOL: ("vfio-profile.1", "COMMANDS"), DAEMON: ("vfio-profiled.8", "OPTIONS"),
         HOOK: ("vfio-profile-hooks.7", "OPTIONS"), EMULATOR: ("vfio-profile-hooks.7", "OPTIONS")}


# --- manual pages ---------------------------------------------------------------


def sections(text, underline):
    """Title and body of each section that is underlined with that character."""
    parts = re.split(rf"^(.+)\n{re.escape(underline)}{{3,}}\n", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def lacks_in_synopsis(truth, text):
    """A line is that of --help; behind it may stand more that can take the place of the arguments."""
    lines = [re.sub(r"\*|\\\\", "", line) for line in re.findall(r"^\| (.*)$", text, re.M)]
    usage = [truth.usage[f"{TOOL} {command}"] for command in truth.commands]
    found = [next((one for one in usage if f"{line} | ".startswith(f"{one} | ")), line) for line in lines]
    lacks = differences("vfio-profile(1), SYNOPSIS,", usage, found)
    for line in lines:
        known = truth.options.get(" ".join(line.split()[:2]), {})
        words = re.findall(r"--[a-z-]+", line)
        lacks += [f"vfio-profile(1), SYNOPSIS, has {word}" for word in words if word not in known]
    return lacks


def lacks_in_pages(truth, man):
    lacks = []
    pages = {page: sections(read(f"{man}/{page}.rst"), "=") for page, _section in PAGES.values()}
    commands = sections(pages["vfio-profile.1"]["COMMANDS"], "-")
    common = truth.options[TOOL]
    lacks += differences("vfio-profile(1), COMMANDS", truth.commands, list(commands))
    for name in (DAEMON, HOOK, EMULATOR):
        page, section = PAGES[name]
        lacks += differences(f"{page}, {section}", truth.options[name], options(pages[page].get(section, "")))
    lacks += differences("vfio-profile(1), before the commands", common,
                         options(re.split(r"^.+\n---", pages["vfio-profile.1"]["COMMANDS"], flags=re.M)[0]))
    for command in truth.commands:
        wanted = {word: value for word, value in truth.options[f"{TOOL} {command}"].items() if word not in common}
        lacks += differences(f"vfio-profile(1), {command},", wanted, options(commands.get(command, "")))
    return lacks + lacks_in_synopsis(truth, pages["vfio-profile.1"]["SYNOPSIS"])


def lacks_of_keys(truth, man):
    text = sections(sections(read(f"{man}/vfio-profile.conf.5.rst"), "=")["KEYS"], "-")
    found = {}
    for section, body in text.items():
        for key, entry in re.findall(r"^\*\*([a-z-]+)\*\*\n((?:    .*\n|\n(?=    ))+)", body, re.M):
            found[f"{section.strip('[]')}.{key}"] = " ".join(entry.split())
    found.pop("profile.description", None)
    lacks = differences("vfio-profile.conf(5)", list(truth.keys), list(found))
    for key, entry in found.items():
        if key not in truth.keys:
            continue
        words = f"Values: {truth.keys[key]['allowed']}. Default: {truth.keys[key]['default']}."
        if not entry.endswith(words):
            lacks.append(f"vfio-profile.conf(5), {key}, lacks: {words}")
    return lacks


# --- documents --------------------------------------------------------------------


def spans(path):
    """What in a document is typed and no prose: (line number, text)."""
    fenced = prompt = False
    for number, line in enumerate(read(path).split("\n"), 1):
        if path.endswith(".md") and line.lstrip().startswith("```"):
            fenced = not fenced
            prompt = "console" in line
        elif fenced or line.startswith("    "):
            # With prompts what stands behind them; what comes without is output.
            found = re.match(r"\s*[#$] (.*)", line)
            if found or not prompt or not fenced:
                yield number, found[1] if found else line.strip()
        elif path.endswith(".rst"):
            for found in re.finditer(r"``([^`]+)``|\*\*(vfio-profile [^*]+)\*\*", line):
                yield number, found[1] or found[2]
        else:
            yield from ((number, text) for text in re.findall(r"`([^`]+)`", line))


def lacks_of_line(truth, text):
    """Words of a command line that the program does not have."""
    found = re.search(r"(?:^|[ ;|&(])(vfio-profiled?)((?: +(?:'[^']*'|\"[^\"]*\"|[^\s;|&>#()'\"]+))*)", text)
    if not found or found[2] == "" or re.match(r" [0-9]", found[2]):
        return []
    name, words = found[1], shlex.split(found[2])
    if name == TOOL and words[0] not in ("--help", "--version", "-h"):
        name, words = f"{TOOL} {words[0]}", words[1:]
    if name not in truth.options:
        return [f"there is no command '{name}'"]
    known = set(truth.options[name]) | {short for short, _value in truth.options[name].values()}
    given = [word.split("=")[0] for word in words if re.match("--?[a-z]", word)]
    lacks = [f"'{name}' has no {word}" for word in given if word not in known]
    # Options that take a value, and the keys that are overridden.
    for key, value in re.findall(r"(?:-o |--option[ =])([a-z.-]+)=([^\s`]*)", found[2]):
        allowed = truth.keys[key]["allowed"] if key in truth.keys else "nothing"
        if value and re.fullmatch(r"[a-z]+(, [a-z]+)*", allowed) and value not in allowed.split(", "):
            lacks.append(f"no key takes {key}={value}")
    return lacks


def documents(folder):
    yield from (f"{folder}/{name}" for name in ("README.md", "CONTRIBUTING.md"))
    for sub in ("docs", "man"):
        names = sorted(os.listdir(f"{folder}/{sub}"))
        yield from (f"{folder}/{sub}/{name}" for name in names if name.endswith((".md", ".rst")))


def lacks_in_documents(truth, folder):
    return [f"{os.path.relpath(path, folder)}:{number}: {lack}" for path in documents(folder)
            for number, text in spans(path) for lack in lacks_of_line(truth, text)]


def anchors(path):
    """What a heading is called in a link, as the usual viewers have it."""
    titles = re.findall(r"^#+ (.*)$", read(path), re.M)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def dead_links(folder):
    """Links to files and headings, and pages that `man` is told to show."""
    lacks = []
    for path in documents(folder):
        text = read(path)
        for link, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", text) if path.endswith(".md") else []:
            target = os.path.join(os.path.dirname(path), link) if link else path
            if not os.path.exists(target) or (anchor and anchor not in anchors(target)):
                lacks.append(f"{os.path.relpath(path, folder)}: there is no {link}{anchor and '#'}{anchor}")
        for found in re.finditer(r"`man ([a-z_.-]+)`|\*\*(vfio-?profile[a-z_.-]*)\*\*\\\(\d\)", text):
            page = found[1] or found[2]
            if not any(name.startswith(f"{page}.") for name in os.listdir(f"{folder}/man")):
                lacks.append(f"{os.path.relpath(path, folder)}: there is no manual page {page}")
    return lacks


def literals():
    """The texts in the sources."""
    found = []
    for top in ("cli", "daemon", "hooks", "lib"):
        for folder, _, names in sorted(os.walk(f"{SOURCE}/{top}")):
            for name in sorted(name for name in names if name.endswith((".c", ".h"))):
                text = read(f"{folder}/{name}").replace('\\"', "\x01")
                text = re.sub(r'"\s*(?:\b[A-Z]\w+\b\s*)?"', "", text)  # one text in several pieces
                found += [literal.replace("\x01", '"') for literal in re.findall(r'"((?:[^"\\\n]|\\.)*)"', text)]
    return found


def unknown_messages(path, texts):
    """Messages in a document, in bold and quotes, that no program prints. "…" stands for what varies."""
    lacks = []
    for message in re.findall(r'\*\*"([^"]+(?:"[^"*]+)*)"\*\*', " ".join(read(path).split())):
        parts = [part.strip() for part in message.split("…") if part.strip()]
        if not any(re.search(".*".join(map(re.escape, parts)), text) for text in texts):
            lacks.append(f"{os.path.basename(path)}: nothing prints: {message}")
    return lacks


# --- tests ------------------------------------------------------------------------


def test_pages():
    """the manual pages have each program's commands, options and arguments, and no others"""
    assert len(truth().commands) >= 11 and "--file" in truth().options[f"{TOOL} plan"], truth().options
    none(lacks_in_pages(truth(), f"{SOURCE}/man"))


def test_keys():
    """vfio-profile.conf(5) has each key with its values and its default"""
    none(lacks_of_keys(truth(), f"{SOURCE}/man"))


def test_format():
    """the manual pages are valid"""
    rst2man = shutil.which("rst2man")
    if rst2man is None:
        raise Skip("no rst2man (python3-docutils)")
    for page in os.listdir(f"{SOURCE}/man"):
        if page.endswith(".rst"):
            subprocess.run([rst2man, "--strict", f"{SOURCE}/man/{page}", os.devnull], check=True)


def test_documents():
    """commands and options in README, docs and manual pages exist"""
    none(lacks_in_documents(truth(), SOURCE))
    assert sum(1 for path in documents(SOURCE) for _n, text in spans(path) if f"{TOOL} " in text) > 50


def test_links():
    """files and manual pages that the documents lead to exist"""
    none(dead_links(SOURCE))


def test_messages():
    """messages that the documents explain are those that the programs print"""
    texts = literals()
    none([lack for path in documents(SOURCE) if path.endswith(".md") for lack in unknown_messages(path, texts)])


def changed(folder, path, old, new):
    """A copy of the words in the source tree with one change."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("man", "docs", "data/completions"):
        shutil.copytree(f"{SOURCE}/{name}", f"{folder}/{name}")
    for name in ("README.md", "CONTRIBUTING.md"):
        shutil.copy(f"{SOURCE}/{name}", folder)
    text = read(f"{folder}/{path}")
    assert old in text, (path, old)
    with open(f"{folder}/{path}", "w", encoding="utf-8") as file:
        file.write(text.replace(old, new, 1))
    return folder


def test_lacks_are_seen():
    """one word too few or too many, anywhere in pages and documents, is found and named"""
    page = "man/vfio-profile.1.rst"
    for path, old, new, wanted in (
            (page, "-d, --diff  ", "-d, --dif   ", "plan, lacks --diff"),
            (page, "-d, --diff  ", "-D, --diff  ", "--diff as ('-D', '')"),
            (page, "--file=FILE", "--file=PATH", "--file as ('-f', 'PATH')"),
            (page, "-a, --all    ", "a, all       ", "undo, lacks --all"),
            (page, "**--all**", "**--every**", "SYNOPSIS, has --every"),
            (page, "rewrite\n-------\n", "rewrite\n", "COMMANDS lacks rewrite"),
            (page, "[*OPTION*…] *DOMAIN* [*PROFILE*…]", "*DOMAIN* [*PROFILE*…]", "SYNOPSIS, lacks vfio-profile set"),
            ("man/vfio-profiled.8.rst", "-v, --verbose", "--verbose", "--verbose as ('', '')"),
            ("man/vfio-profile-hooks.7.rst", "\n--version ", "\n", "vfio-profile-hooks.7, OPTIONS lacks --version")):
        lacks = lacks_in_pages(truth(), changed("copy", path, old, new) + "/man")
        assert any(wanted in lack for lack in lacks), (wanted, lacks)
    for path, old, new, wanted in (
            ("README.md", "vfio-profile set win10", "vfio-profile sett win10", "README.md:"),
            ("docs/tutorial.md", "vfio-profile groups", "vfio-profile groups --jsn", "groups' has no --jsn"),
            ("man/vfio-profile.conf.5.rst", "**vfio-profile profiles**", "**vfio-profile pro**", "no command"),
            (page, "--option cpu.reserve-cores=2", "--option cpu.cores=2", "no key takes cpu.cores=2")):
        lacks = lacks_in_documents(truth(), changed("copy", path, old, new))
        assert len(lacks) == 1 and wanted in lacks[0], (wanted, lacks)
    lacks = lacks_of_keys(truth(), changed("copy", "man/vfio-profile.conf.5.rst", "**method**", "method") + "/man")
    assert any("lacks vga.method" in lack for lack in lacks), lacks
    page = "docs/when-it-does-not-work.md"
    copy = changed("copy", page, "it was edited and is not prepared for", "it was edited and is not ready for")
    lacks = unknown_messages(f"{copy}/{page}", literals())
    assert len(lacks) == 1 and "it was edited and is not ready for" in lacks[0], lacks
    lacks = dead_links(changed("copy", page, "(#something-about-hugepages)", "(#nothing)"))
    assert f"{page}: there is no #nothing" in lacks, lacks
    lacks = dead_links(changed("copy", "docs/tutorial.md", "(when-it-does-not-work.md)", "(when-it-works.md)"))
    assert "docs/tutorial.md: there is no when-it-works.md" in lacks, lacks


def test_new_words():
    """a new option or command that the pages do not have is named"""
    lacks = lacks_in_pages(Truth({**PROGRAMS, TOOL: more_in_help(PROGRAMS[TOOL])}), f"{SOURCE}/man")
    for wanted in ("plan, lacks --invented", "COMMANDS lacks lend", "lend, lacks --until", "SYNOPSIS, lacks "):
        assert any(wanted in lack for lack in lacks), (wanted, lacks)


main(globals())
