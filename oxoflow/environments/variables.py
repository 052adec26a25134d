"""Decide which environment variables a rule's command sees (design 5).

Owns what is kept, dropped and added. The caller's variables are passed in; of its own this module
reads PATH alone. No `OXO_FLOW_*` variable ever passes, and our own virtual environment is taken off
PATH.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

_OURS = ("OXO_FLOW_", "OXIFY_")
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def rule_variables(
    caller: Mapping[str, str], workdir: Path, launcher: Path | None, marker: Mapping[str, str]
) -> dict[str, str]:
    """The variables of every command of a run; `launcher` is the directory put last on PATH."""
    kept = {
        name: value
        for name, value in caller.items()
        if not name.startswith(_OURS) and name not in ("OLDPWD", *marker)
    }
    own = _own_environment()
    if own is not None:
        active = kept.get("VIRTUAL_ENV")
        if active is not None and os.path.realpath(active) == os.path.realpath(own):
            kept.pop("VIRTUAL_ENV")
            kept.pop("VIRTUAL_ENV_PROMPT", None)
        kept.pop("__PYVENV_LAUNCHER__", None)
    kept["PATH"] = rule_path(kept.get("PATH", DEFAULT_PATH), own, launcher)
    kept["PWD"] = str(workdir)
    return kept | dict(marker)


def rule_path(path: str, own: Path | None, launcher: Path | None) -> str:
    """PATH without the `bin` of our own environment, and with `launcher` behind everything."""
    places = [place for place in path.split(os.pathsep) if place]
    if own is not None:
        programs = os.path.realpath(own / "bin")
        places = [place for place in places if os.path.realpath(place) != programs]
    if launcher is not None:
        places.append(str(launcher))
    return os.pathsep.join(places)


def on_rule_path(name: str) -> bool:
    """True when rules find a program of this name, as far as this process's own PATH tells."""
    path = rule_path(os.environ.get("PATH", DEFAULT_PATH), _own_environment(), None)
    return shutil.which(name, path=path) is not None


def encode(variables: Mapping[str, str]) -> dict[bytes, bytes]:
    """Variables as the system takes them, so that this is done once and not for every command."""
    return {os.fsencode(name): os.fsencode(value) for name, value in variables.items()}


def defines_functions(variables: Mapping[str, str]) -> bool:
    """True when a shell started with these variables may know functions of its own."""
    return "BASH_ENV" in variables or any(name.startswith("BASH_FUNC_") for name in variables)


def _own_environment() -> Path | None:
    return Path(sys.prefix) if sys.prefix != sys.base_prefix else None
