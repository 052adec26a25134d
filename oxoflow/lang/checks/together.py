"""Look at the texts of all rules together, so that single rules are searched only with a reason.

Most workflows name no unknown key, no `..` and no dangerous command; to know that by a few searches
costs a tenth of asking each rule. What is said of which rule is the business of other checks.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter

from msgspec import Struct

from oxoflow.lang.checks.config import command_texts
from oxoflow.lang.configrefs import MARK, REFERENCE
from oxoflow.lang.danger import may_be_dangerous
from oxoflow.lang.model import Rule

_COMMANDS = attrgetter("shell", "script", "pre_exec", "on_success", "on_failure")
_OTHERS = attrgetter("log", "checkpoint_manifest")


class Together(Struct, frozen=True):
    """What rules say, line by line: paths, commands, and the other texts that config fills."""

    paths: str
    commands: str
    others: str

    def names_unknown(self, known: frozenset[str]) -> bool:
        """True when some text names a config key that is not known."""
        return any(
            MARK in text and not known.issuperset(REFERENCE.findall(text))
            for text in (self.paths, self.commands, self.others)
        )

    @property
    def climbs(self) -> bool:
        """True when some path may leave the working directory."""
        return ".." in self.paths

    @property
    def suspect(self) -> bool:
        """True when some command may be one that is refused."""
        return may_be_dangerous(self.commands)


def together(rules: Iterable[Rule]) -> Together:
    """Gather the texts of rules: each text that a check of `config` or of commands looks at."""
    paths: list[str] = []
    commands: list[str | None] = []
    others: list[str | None] = []
    for rule in rules:
        paths += rule.input.paths
        paths += rule.output.paths
        # a tuple at once where there is no transform: most rules have none
        commands += [t for _, t in command_texts(rule)] if rule.transform else _COMMANDS(rule)
        others += _OTHERS(rule)
        for spec in rule.expand_inputs:
            others.append(spec.pattern)
        for values in (rule.envvars, rule.params):
            if values:
                others += [value for value in values.values() if isinstance(value, str)]
    joined = "\n".join
    return Together(joined(paths), joined(filter(None, commands)), joined(filter(None, others)))
