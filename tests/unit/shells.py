# SPDX-License-Identifier: LGPL-2.1-or-later
"""bash, zsh and fish, asked as a person asks them: type a line, press Tab.

Each class has `offers(line)`, the words that the shell offers there, and `typed(line)`, the line as
it stands after Tab. The completions are those of the folder given; nothing else of the user's or the
system's set-up is read.
"""

import os
import pty
import re
import shutil
import subprocess
import tempfile
import time

TAB, ASK, CLEAR = "\t", "\x18d", "\x15"


class Interactive:
    """A shell on a terminal, whose set-up binds ASK to writing the line to the file `line`, and which
    writes what it offered to `offered`."""

    def __init__(self, completions, environment, files):
        self.program = shutil.which(type(self).__name__.lower())
        self.folder = tempfile.mkdtemp(dir=".")
        for name, text in files.items():
            with open(self.path(name), "w", encoding="utf-8") as file:
                file.write(text.replace("COMPLETIONS", completions).replace("FOLDER", os.path.abspath(self.folder)))
        self.master, slave = pty.openpty()
        # The user's window may be of any size; here it is wide, so that nothing scrolls.
        self.process = subprocess.Popen(self.command(), stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                                        env={**environment, "TERM": "dumb", "COLUMNS": "500", "ZDOTDIR": self.folder})
        os.close(slave)
        os.set_blocking(self.master, False)
        self.seen = b""
        self.ask("", tries=20)

    def path(self, name):
        return os.path.join(self.folder, name)

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.master)

    def drain(self):
        try:
            self.seen += os.read(self.master, 65536)
        except (BlockingIOError, OSError):
            time.sleep(0.01)

    def ask(self, keys, tries=1):
        """Types the keys into an empty line; the line that comes of it."""
        for name in ("line", "offered"):
            if os.path.exists(self.path(name)):
                os.unlink(self.path(name))
        for _ in range(tries):
            os.write(self.master, (CLEAR + keys + ASK).encode())
            end = time.monotonic() + (60 if tries == 1 else 3)
            while time.monotonic() < end:
                if os.path.exists(self.path("line")):
                    with open(self.path("line"), encoding="utf-8") as file:
                        return file.read()
                self.drain()
        raise AssertionError(f"{self.program} does not answer: {self.seen.decode(errors='replace')}")

    def typed(self, line):
        return self.ask(line + TAB)

    def offers(self, line):
        self.ask(line + TAB)
        if not os.path.exists(self.path("offered")):
            return set()
        with open(self.path("offered"), encoding="utf-8") as file:
            return {word for word in file.read().split("\n") if word}


class Bash(Interactive):
    def __init__(self, completions, environment):
        super().__init__(completions, environment, {"rc": r"""
source 'COMPLETIONS/vfio-profile.bash'
wrapped() { _vfio_profile "$@"; printf '%s\n' "${COMPREPLY[@]}" > 'FOLDER/offered'; }
complete -F wrapped vfio-profile vfio-profiled
answer() { printf '%s' "$READLINE_LINE" > 'FOLDER/line.new'; mv 'FOLDER/line.new' 'FOLDER/line'; READLINE_LINE=; }
bind 'set enable-bracketed-paste off'
bind -x '"\C-xd": answer'
"""})

    def command(self):
        return [self.program, "--rcfile", self.path("rc"), "-i"]


class Zsh(Interactive):
    def __init__(self, completions, environment):
        super().__init__(completions, environment, {".zshrc": r"""
fpath=('COMPLETIONS' $fpath)
autoload -Uz compinit && compinit -u -D
unsetopt zle beep auto_list auto_menu; setopt zle
compadd() {
  local -a hits
  if [[ -z ${argv[(r)-[OAD]]} ]]; then
    builtin compadd -A hits "$@"
    (( $#hits )) && print -rl -- $IPREFIX$^hits >> 'FOLDER/offered'
  fi
  builtin compadd "$@"
}
answer() { print -rn -- "$BUFFER" > 'FOLDER/line.new'; mv 'FOLDER/line.new' 'FOLDER/line'; BUFFER= }
zle -N answer
bindkey -e
bindkey '^I' complete-word
bindkey '^Xd' answer
bindkey '^U' kill-whole-line
"""})

    def command(self):
        return [self.program, "--no-globalrcs", "-i"]


class Fish:
    def __init__(self, completions, environment):
        self.program = shutil.which("fish")
        self.environment = environment
        # As installed: fish looks for a file of the program's name.
        self.completions = os.path.abspath(tempfile.mkdtemp(dir="."))
        for name in ("vfio-profile", "vfio-profiled"):
            os.symlink(f"{completions}/vfio-profile.fish", f"{self.completions}/{name}.fish")

    def close(self):
        pass

    def complete(self, line, *options):
        script = "set -g fish_complete_path $argv[1]; complete -C $argv[2] $argv[3..-1]"
        done = subprocess.run([self.program, "--no-config", "-c", script, self.completions, line, *options],
                              capture_output=True, text=True, env=self.environment, timeout=60, check=True)
        assert done.stderr == "", done.stderr
        return {row.split("\t")[0] for row in done.stdout.split("\n") if row}

    def offers(self, line):
        return self.complete(line)

    def typed(self, line):
        found = self.complete(line, "--escape")
        if len(found) != 1:
            return line
        # What it gives takes the place of the last word, which may have spaces.
        chosen = found.pop()
        before = re.match(r"(.*? |)(?=(?:[^ '\"\\]|\\.|'[^']*$|\"[^\"]*$)*$)", line)[0]
        return before + chosen + ("" if chosen.endswith("/") else " ")


SHELLS = (Bash, Zsh, Fish)
