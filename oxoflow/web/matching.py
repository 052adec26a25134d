"""Compile the router's rules for matching only; what builds URLs is made when first asked for.

The router compiles two small programs for every rule with which URLs can be built from names. We
link by relative path and build none, and those programs are most of the time it takes to set the
application up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from werkzeug.routing import Rule

Builder = Callable[..., tuple[str, str]]


class MatchedRule(Rule):
    """A rule whose URL builders are compiled when they are first called."""

    def _compile_builder(self, append_unknown: bool = True) -> Builder:
        compile_now = super()._compile_builder

        def build(rule: Rule, **values: Any) -> tuple[str, str]:
            builder: Any = compile_now(append_unknown)
            built: tuple[str, str] = builder.__get__(rule, None)(**values)
            return built

        return build
