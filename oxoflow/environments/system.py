"""Run commands with the programs of the host: the environment of rules that declare none.

Owns the identity wrapping of spec/oxoflow-format.md 5.13. It needs no set-up.
"""

from __future__ import annotations

from oxoflow.environments.family import Command, Setup
from oxoflow.environments.shell import Shell, compose


class System:
    """The host itself. Variables reach the command through its process environment."""

    setup: Setup | None = None

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    def argv(self, command: Command) -> tuple[str, ...]:
        """The arguments to start; no shell where none is needed."""
        if not command.prelude:
            return self._shell.argv(command.text, bare=command.bare)
        text = compose(command.prelude, command.variables, command.text)
        return self._shell.argv(text)
