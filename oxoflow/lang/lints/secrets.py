"""Find what looks like a password or key in a workflow text (S008, spec/oxo-flow-api.md 5.2).

Owns the patterns. They want a word boundary and a minimum length, so that `task-01` and
`secretary.txt` pass, and they run in linear time. The secret itself is never repeated.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from msgspec.structs import replace

from oxoflow.errors import Diagnostic
from oxoflow.lang.lints.advice import documents, warn
from oxoflow.lang.model import Workflow
from oxoflow.lang.patterns import compile_pattern

TOKENS = compile_pattern(
    r"\b(?:AKIA[0-9A-Z]{16}|sk-[A-Za-z0-9_-]{20,}|ghp_[A-Za-z0-9]{20,}|glpat-[A-Za-z0-9_-]{16,})"
    r"|-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----"
)
ASSIGNED = compile_pattern(
    r"(?i)\b[a-z0-9_-]{0,40}(?:password|secret|api_key|apikey|access_token|private_key)"
    r"""\b["']?\s{0,4}[=:]\s{0,4}["']?[^\s"'${}<>]{6,}"""
)
NAME = compile_pattern(r"(?i)(?:^|[_-])(?:password|secret|api_key|access_token|private_key)$")
HINTS = ("akia", "sk-", "ghp_", "glpat-", "password", "secret", "key", "token")
LEAST = 6  # characters of a value that may be a secret
MOST = 64  # findings in one text; one with more has made its point


def secret_checks(workflow: Workflow) -> Iterator[Diagnostic]:
    """Yield a warning for each value of a text, or of an included one, that seems a secret."""
    for file, document in documents(workflow):
        for path, what in islice(_suspects(document), MOST):
            where = ".".join(str(step) for step in path)
            message = f"'{where}' seems to hold {what}, readable by everybody who sees this file"
            cure = "take it from the environment of the run, or pass it with --config"
            yield replace(warn("S008", message, None, where, cure), file=file)


def _suspects(document: Any) -> Iterator[tuple[tuple[str | int, ...], str]]:
    stack: list[tuple[tuple[str | int, ...], Any]] = [((), document)]
    while stack:
        path, value = stack.pop()
        if isinstance(value, dict):
            stack += [((*path, key), item) for key, item in reversed(value.items())]
        elif isinstance(value, list):
            stack += [((*path, at), value[at]) for at in range(len(value) - 1, -1, -1)]
        elif isinstance(value, str) and len(value) >= LEAST:
            what = _what(path, value)
            if what:
                yield path, what


def is_secret_name(name: str) -> bool:
    """Return whether a key's name says that its value is a secret."""
    return NAME.search(name) is not None


def holds_secret(value: str) -> str | None:
    """Return what kind of secret stands in a text, None when it holds none."""
    lowered = value.lower()
    if not any(hint in lowered for hint in HINTS):
        return None
    if TOKENS.search(value):
        return "an access key or token"
    return "a password or key" if ASSIGNED.search(value) else None


def _what(path: tuple[str | int, ...], value: str) -> str | None:
    name = path[-1] if path else ""
    if name == "default" and len(path) > 1:
        name = path[-2]
    if isinstance(name, str) and is_secret_name(name) and _is_literal(value):
        return f"the value of a {name}"
    return holds_secret(value)


def _is_literal(value: str) -> bool:
    """Return whether a value is the secret itself, not a reference or a path to it."""
    return not any(mark in value for mark in ("{", "$", "/", " "))
