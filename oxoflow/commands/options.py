"""List the options of the command line's verbs as tables, shared ones once.

Owns flags and their help; what they mean is done by the verbs. Parsing is in `arguments`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct, field

from oxoflow.lang.values import parse_duration, parse_memory


class Option(Struct, frozen=True):
    """One flag or positional: its names and what argparse must know about it."""

    names: tuple[str, ...]
    help: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def takes_value(self) -> bool:
        """Whether a word follows the flag."""
        return "action" not in self.settings or self.settings["action"] == "append"


def flag(*names: str, help: str) -> Option:
    """A switch, off unless given."""
    return Option(names, help, {"action": "store_true"})


def value(*names: str, help: str, **settings: Any) -> Option:
    """A flag with one value."""
    return Option(names, help, settings)


def several(*names: str, help: str, **settings: Any) -> Option:
    """A flag that may be given more than once."""
    return Option(names, help, {"action": "append", "default": [], **settings})


def named(kind: str, parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """Give a parser a name, which argparse shows when the text is not one of its kind."""

    def read(text: str) -> Any:
        return parse(text)

    read.__name__ = kind
    return read


def _duration(text: str) -> float:
    return parse_duration(text, plain=True)


def _size(text: str) -> int:
    match = re.fullmatch(r"(\d{1,15})([KMGT]?)(?:I?B)?", text.strip().upper(), re.ASCII)
    if match is None:
        raise ValueError(text)
    return int(match[1]) << 10 * " KMGT".index(match[2] or " ")


positive = named("number above zero", lambda text: _at_least(1, int(text)))
number = named("number", lambda text: _at_least(0, int(text)))
duration = named("duration (such as 90s, 1h30m or 24:00:00)", _duration)
size = named("size (bytes, or for example 500M or 50G)", _size)
memory = named("memory size (such as 8G or 500M)", parse_memory)


def _at_least(least: int, found: int) -> int:
    if found < least:
        raise ValueError(found)
    return found


FILE = value(
    "file",
    nargs="?",
    metavar="FILE",
    help="the workflow (default: main.oxoflow, else the first *.oxoflow here)",
)
JSON = flag("--json", help="answer in JSON, for programs")
WORKDIR = value(
    "-d", "--workdir", metavar="DIR", help="run here (default: the workflow's directory)"
)
CONFIG_FILE = several(
    "--config-file",
    metavar="FILE",
    help="set config values from a file of TOML or JSON, - for stdin: unlike --config, in no "
    "process list; what --config says wins",
)
COMPOSING = (
    WORKDIR,
    CONFIG_FILE,
    several(
        "--config",
        "--arg",
        metavar="KEY=VALUE",
        help="set a config value; KEY=VALUE alone and --KEY=VALUE do the same",
    ),
    several(
        "--samples",
        metavar="SPEC",
        help="choose samples: names, first:N, ready, @SHEET to replace, +@SHEET to add",
    ),
    value("--profile", metavar="NAME", help="merge profiles/NAME.toml beside the workflow"),
)
TARGETS = several(
    "-t", "--target", metavar="TARGET", help="only what this rule, job or output file needs"
)
CACHING = (
    value("--cache", metavar="DIR", help="take results that other runs left there, and leave ours"),
    value(
        "--cache-size",
        type=size,
        metavar="SIZE",
        help="how much may be kept there; what was used longest ago goes first (default: 50G)",
    ),
    flag("--no-cache", help="run every job here, even if another run has its result"),
)
PLANNING = (
    TARGETS,
    several(
        "--module",
        metavar="MODULE",
        help="only what this included module needs: its rules and who makes its declared inputs",
    ),
    several("--until", metavar="RULE", help="stop behind this rule"),
    several("--force", metavar="RULE", help="run this rule or job whatever is known"),
    flag("--rerun", help="run everything selected, whatever is known"),
    flag("--paranoid", help="read every input again, trusting no file time"),
    flag("--skip-ref-build", help="take references as they are; build none"),
)
