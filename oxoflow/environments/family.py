"""Say what an environment family is.

Owns the words that all families share: a command goes in, arguments come out, and `Setup` is how
the environment is made, if it must be. Runs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from msgspec import Struct, field

from oxoflow.environments.shell import Shell


class Command(Struct, frozen=True):
    """What a job runs: the rule's text, the workflow's prelude and the rule's variables.

    `bare` says that nothing else hangs on the shell (no hook), so that it may be left out;
    `memory_mb` is what the job may use, and `scratch` that it runs in a directory of its own.
    """

    text: str
    prelude: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    bare: bool = False
    memory_mb: int | None = None
    scratch: bool = False


class Setup(Struct, frozen=True):
    """How an environment comes to be (spec/oxoflow-format.md 5.13); every text is for a shell.

    `place` says what is made, for the whole machine: who makes it holds a lock of that name. `key`
    changes with the content of the definition. `exists` succeeds when it is there. `rebuild` says
    that a changed definition needs it made anew, and not only updated. `create` is None for what
    only a person can provide. `undo` removes what a failed creation left. `versions` prints what is
    in it, a line each.
    """

    place: str
    key: str
    title: str
    exists: str
    create: str | None
    undo: str | None = None
    rebuild: bool = False
    versions: str | None = None


class Family(Protocol):
    """One kind of environment, ready for one rule."""

    @property
    def setup(self) -> Setup | None:
        """How it is made; None when there is nothing to make."""

    def argv(self, command: Command) -> tuple[str, ...]:
        """The arguments that run a command inside the environment."""


def _nothing(path: str) -> bytes | None:
    return None


class Site(Struct, frozen=True):
    """The host as families see it: its shell, the working directory, and files by their path.

    `read` gives the content of a file below `workdir`, None when it is not there; `exists` takes
    absolute paths. `marks` are variables that every process of the run must carry; `variables` are
    the names of all others. `memory_mb` is what containers may be promised at most.
    """

    shell: Shell
    workdir: str
    read: Callable[[str], bytes | None] = _nothing
    exists: Callable[[str], bool] = lambda path: False
    marks: tuple[str, ...] = ()
    variables: Collection[str] = ()
    memory_mb: int | None = None

    def full(self, path: str) -> str:
        """A path of the workflow as an absolute one."""
        return path if path.startswith("/") else f"{self.workdir}/{path}"
