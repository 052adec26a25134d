"""Compose the texts that several families share: quoting, keys, and what is said of a missing tool.

Pure. Owns the two ways in which a text reaches a shell behind another program.
"""

from __future__ import annotations

import hashlib

from oxoflow.environments.family import Command, Site
from oxoflow.environments.shell import compose
from oxoflow.errors import RunError

# An image may hold no bash: its sh decides which one reads the command (5.13).
SHIM = 'if command -v bash >/dev/null 2>&1; then exec bash -c "$1"; else exec sh -c "$1"; fi'
_ESCAPES = str.maketrans({"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t"})


def inner_text(command: Command) -> str:
    """What the shell inside the environment reads: prelude, exports and the command (5.3)."""
    return compose(command.prelude, command.variables, command.text)


def one_line(text: str) -> str:
    """The same command for bash without a line break, which some launchers cannot pass on."""
    if "\n" not in text and "\r" not in text:
        return text
    return f"eval $'{text.translate(_ESCAPES)}'"


def key_of(kind: str, *parts: str | bytes | None) -> str:
    """Name an environment by everything that defines it."""
    digest = hashlib.sha256(kind.encode())
    for part in parts:
        raw = part if isinstance(part, bytes) else (part or "").encode("utf-8", "surrogateescape")
        digest.update(b"%d:" % (-1 if part is None else len(raw)) + raw)
    return digest.hexdigest()


def find_tool(site: Site, names: tuple[str, ...], cure: str) -> str:
    """The first of the programs that the host has; raises RunError naming what to install."""
    for name in names:
        if site.shell.has_program(name):
            return name
    listed = " or ".join(f"'{name}'" for name in names)
    raise RunError(f"{listed} is not on PATH; {cure}")
