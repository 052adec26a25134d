"""Read config values from a file or from stdin, where no process list and no history shows them.

Owns the form of such a file: a JSON object, or TOML, of plain values. Knows no workflow.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import tomli

from oxoflow.errors import UsageError
from oxoflow.lang.values import config_text

STDIN = "-"


def read_config_file(place: str) -> dict[str, str]:
    """Give the values of a file, or with `-` those on stdin, as texts. Raises UsageError.

    What stands in the file is in no message: it may be secret.
    """
    try:
        content = _read_stdin() if place == STDIN else Path(place).read_bytes()
    except OSError as error:
        raise UsageError(f"--config-file '{place}' cannot be read: {error.strerror}") from error
    try:
        text = content.decode()
        parse = json.loads if text.lstrip().startswith("{") else tomli.loads
        values = parse(text)
    except UnicodeDecodeError as error:
        raise UsageError(f"--config-file '{place}' is no UTF-8 text") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"--config-file '{place}' is neither a JSON object nor TOML: {error}"
        ) from error
    return {key: _text(place, key, value) for key, value in values.items()}


def _read_stdin() -> bytes:
    """Read all of stdin, and let go of it: what was handed over is not to be found there later."""
    with open(0, "rb", closefd=False) as stdin:
        content = stdin.read()
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return content


def _text(place: str, key: str, value: Any) -> str:
    if not isinstance(value, str | int | float | bool):
        raise UsageError(
            f"--config-file '{place}': '{key}' must be a text, a number, true or false"
        )
    text = config_text(value)
    if not key or "\0" in text:
        raise UsageError(f"--config-file '{place}': '{key}' has no name or holds a NUL character")
    return text
