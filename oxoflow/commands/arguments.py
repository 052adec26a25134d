"""Read the words of a command line by a verb's table of options.

Owns the rules for config overrides among the flags (spec/oxoflow-format.md 1.4) and the wording
of mistakes. Starts nothing.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from msgspec import Struct

from oxoflow.commands.configfile import read_config_file
from oxoflow.commands.options import Option
from oxoflow.errors import UsageError
from oxoflow.lang.nearest import most_alike

Arguments = argparse.Namespace
_ALIKE_FLAGS = 0.72  # flags share their dashes and are short


class Verb(Struct, frozen=True):
    """One verb: what it does in a sentence, its options, and the function that does it.

    `overrides` lets KEY=VALUE words and unknown --KEY=VALUE flags set config values; they arrive
    in `arguments.overrides`; those that need a key which [config] has, in `arguments.pairs`.
    """

    summary: str
    options: tuple[Option, ...]
    run: Callable[[Arguments], int]
    overrides: bool = False


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see '{self.prog} --help'")


def read_arguments(name: str, verb: Verb, words: Sequence[str]) -> Arguments:
    """Parse the words behind a verb. Raises UsageError; `--help` prints and exits."""
    parser = _Parser(
        prog=f"oxoflow {name}",
        description=verb.summary,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for option in verb.options:
        # an option without help is one that programs use and people need not see
        parser.add_argument(*option.names, help=option.help or argparse.SUPPRESS, **option.settings)
    if not verb.overrides:
        _refuse_unknown(parser.prog, verb, words)
        return parser.parse_args(list(words))
    kept, overrides, pairs = _take_overrides(parser.prog, verb, words)
    arguments = parser.parse_args(kept)
    for text in arguments.config:
        overrides.update([_key_value(text, "--config", may_be_empty=True)])
    read = [read_config_file(place).items() for place in arguments.config_file]
    arguments.overrides = dict(itertools.chain(*read, overrides.items()))
    arguments.pairs = pairs
    return arguments


class Pair(Struct, frozen=True):
    """A value that counts only if [config] has its key; `flag` is what may have been meant."""

    value: str
    flag: str | None


def _take_overrides(
    prog: str, verb: Verb, words: Sequence[str]
) -> tuple[list[str], dict[str, str], dict[str, Pair]]:
    """Sort out KEY=VALUE, --KEY=VALUE and --KEY VALUE; everything else is left to the parser."""
    known = {name: option for option in verb.options for name in option.names}
    kept: list[str] = []
    overrides: dict[str, str] = {}
    pairs: dict[str, Pair] = {}
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        name, equals, _ = word.partition("=")
        if word == "--":
            return kept + waiting, overrides, pairs
        if name in known or word in ("-h", "--help") or _is_short(word, known):
            kept.append(word)
            if not equals and name in known and known[name].takes_value and waiting:
                kept.append(waiting.pop(0))
        elif word.startswith("--"):
            near = _near_flag(name, known)
            if equals and not near:
                overrides.update([_key_value(word[2:], name)])
            elif equals:
                key, text = _key_value(word[2:], name)
                pairs[key] = Pair(text, near)
            elif waiting and not waiting[0].startswith("-") and _may_be_key(near, known):
                pairs[word[2:]] = Pair(waiting.pop(0), near)
            else:
                raise UsageError(_unknown_words(prog, word, known))
        elif equals and not word.startswith("-") and "/" not in name and name:
            overrides.update([_key_value(word, word)])
        else:
            kept.append(word)
    return kept, overrides, pairs


def settle_pairs(pairs: Mapping[str, Pair], known: Sequence[str], prog: str) -> dict[str, str]:
    """Take the pairs whose key the workflow's [config] has; refuse the others."""
    for key, pair in pairs.items():
        if key not in known:
            near = most_alike(key, known)
            meant = pair.flag or (f"--{near}" if near else None)
            hint = f"did you mean '{meant}'?" if meant else "it is no key of [config] either"
            raise UsageError(f"unknown option '--{key}'; {hint}; see '{prog} --help'")
    return {key: pair.value for key, pair in pairs.items()}


def _may_be_key(near: str | None, known: Mapping[str, Option]) -> bool:
    """Say whether a flag with a word behind it may set a config value: not a mistyped switch."""
    return near is None or known[near].takes_value


def _near_flag(name: str, known: Mapping[str, Option]) -> str | None:
    """Give the flag that a mistyped one most likely means."""
    flags = [flag for flag in known if flag.startswith("--")]
    return most_alike(name, flags, least=_ALIKE_FLAGS)


def _refuse_unknown(prog: str, verb: Verb, words: Sequence[str]) -> None:
    known = {name: option for option in verb.options for name in option.names}
    for word in words:
        if word == "--":
            return
        name = word.partition("=")[0]
        if word.startswith("--") and name not in known and name != "--help":
            raise UsageError(_unknown_words(prog, name, known))


def _unknown_words(prog: str, word: str, known: Mapping[str, Option]) -> str:
    near = _near_flag(word, known)
    hint = f"; did you mean '{near}'?" if near else ""
    return f"unknown option '{word}'{hint}; see '{prog} --help'"


def _is_short(word: str, known: Mapping[str, Option]) -> bool:
    return len(word) > 1 and word[0] == "-" and word[1] != "-" and word[:2] in known


def _key_value(text: str, where: str, *, may_be_empty: bool = False) -> tuple[str, str]:
    """Split KEY=VALUE. An empty value is a slip (1.4), unless --config says it on purpose."""
    key, equals, value = text.partition("=")
    if not (key and equals and (value or may_be_empty)):
        raise UsageError(f"'{where}': config values are given as KEY=VALUE, neither side empty")
    return key, value
