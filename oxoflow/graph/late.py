"""Load graph code by name when it is first needed: the one place where that is done.

An execution without HTTP, YAML or patterns never loads their libraries, and so starts in a fraction
of the time. A name is `module:attribute`, the module below `oxoflow`.
"""

from __future__ import annotations

import importlib
from typing import Any

_loaded: dict[str, Any] = {}  # a race of two threads loads the same object twice, no more


def load(name: str) -> Any:
    """The object behind `module:attribute`."""
    if name not in _loaded:
        module, _, attribute = name.partition(":")
        _loaded[name] = getattr(importlib.import_module(f"oxoflow.{module}"), attribute)
    return _loaded[name]
