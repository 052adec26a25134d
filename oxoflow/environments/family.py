"""Say what an environment family is.

Owns the words that all families share: a command goes in, arguments come out, and `setup` is the
shell text that creates the environment, if it needs one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Command:
    """What a job runs: the rule's text, the workflow's prelude and the rule's variables.

    `bare` says that nothing else hangs on the shell (no hook), so that it may be left out.
    """

    text: str
    prelude: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    bare: bool = False


class Family(Protocol):
    """One kind of environment, ready for one rule."""

    setup: str | None

    def argv(self, command: Command) -> tuple[str, ...]:
        """The arguments that run a command inside the environment."""
