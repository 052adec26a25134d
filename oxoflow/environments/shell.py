"""Compose the text that a shell runs, and tell when no shell is needed.

Owns the composition of spec/oxoflow-format.md 5.3 from the inside out, and the rule of design 5 for
starting a program directly. Looks for programs on a given PATH; runs nothing.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping

# Words that mean the same with and without a shell: no quoting, expansion, globbing or operator.
_LITERAL = re.compile(r"[\w@%+=:,./-]+(?:[ \t]+[\w@%+=:,./-]+)*", re.ASCII)
_MAGIC = (b"#!", b"\x7fELF")
_KEYWORDS = (
    """if then elif else fi time for in until while do done case esac coproc select function"""
)
_BUILTINS = """. : alias bg bind break builtin caller cd command compgen complete compopt continue
declare dirs disown echo enable eval exec exit export false fc fg getopts hash help history jobs
kill let local logout mapfile popd printf pushd pwd read readarray readonly return set shift shopt
source suspend test times trap true type typeset ulimit umask unalias unset wait"""
_SHELL_WORDS = frozenset([*_KEYWORDS.split(), *_BUILTINS.split()])


def quote(text: str) -> str:
    """Quote a text for the shell, always in single quotes."""
    return "'" + text.replace("'", "'\\''") + "'"


def compose(prelude: str, variables: Mapping[str, str], command: str) -> str:
    """Put exports and prelude above a command, for a shell that may not inherit variables."""
    exports = (f"export {name}={quote(value)}" for name, value in variables.items())
    return "\n".join(part for part in (prelude, *exports, command) if part)


class Shell:
    """The shell of the host, with what is on one PATH. Threads may share it."""

    def __init__(self, path: str, functions: bool = False) -> None:
        self._path = path
        self._direct = not functions  # BASH_ENV or exported functions may redefine any program
        self._programs: dict[str, str | None] = {}
        self._shell = shutil.which("bash", path=path) or shutil.which("sh", path=path) or "/bin/sh"

    def argv(self, text: str, *, bare: bool = False) -> tuple[str, ...]:
        """The arguments that run `text`; a `bare` text may be started without a shell."""
        if bare and self._direct:
            words = self._literal_words(text)
            if words is not None:
                return words
        return (self._shell, "-c", text)

    def has_program(self, name: str) -> bool:
        """True when a program of this name is on the PATH of the rules."""
        return self._program(name) is not None

    def _literal_words(self, text: str) -> tuple[str, ...] | None:
        text = text.strip(" \t\n")
        if not _LITERAL.fullmatch(text):
            return None
        words = text.split()
        first = words[0]
        if "=" in first or "/" in first or first in _SHELL_WORDS:
            return None
        program = self._program(first)
        return None if program is None else (program, *words[1:])

    def _program(self, name: str) -> str | None:
        if name not in self._programs:
            found = shutil.which(name, path=self._path)
            usable = found is not None and os.path.isabs(found) and _starts_itself(found)
            self._programs[name] = found if usable else None
        return self._programs[name]


def _starts_itself(path: str) -> bool:
    """A script without an interpreter line is run by shells only."""
    try:
        with open(path, "rb") as handle:
            return handle.read(4).startswith(_MAGIC)
    except OSError:
        return False
