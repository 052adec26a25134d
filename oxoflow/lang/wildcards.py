"""Find and fill `{name}` placeholders in text: known names only, everything else untouched.

Owns the placeholder grammar (spec/oxoflow-format.md 2.1). A text is cut once into a `Template`
and then filled many times. Never uses str.format, never looks across lines.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

PLACEHOLDER = re.compile(r"\{(\w+)\}")
_SPLIT = re.compile(r"\{(?:values\.)?(\w+|(?:meta|wildcard|input_group)\.[\w-]+)\}")
VALUES_PREFIX = "values."
META_PREFIX = "meta."
WILDCARD_PREFIX = "wildcard."
GROUP_PREFIX = "input_group."

SAMPLE_NAMES = ("group", "sample")
PAIR_NAMES = (
    "pair_id",
    "experiment",
    "control",
    "tumor",
    "normal",
    "experiment_type",
    "tumor_type",
)
RESERVED_NAMES = frozenset(
    (*SAMPLE_NAMES, *PAIR_NAMES, "input", "output", "log", "threads", "memory")
)
ENGINE_NAMES = frozenset(
    ("input", "output", "log", "threads", "memory", "effective_threads", "effective_memory_mb")
)


class Template:
    """A text cut at the placeholders of some known names, ready to be filled quickly.

    `names` are the wanted names in order of appearance; a text without any is its own result.
    `{values.name}` is taken as `{name}` (1.15); `{meta.column}`, `{wildcard.name}` and
    `{input_group.name}` are names.
    """

    __slots__ = ("_format", "_text", "names")

    def __init__(self, text: str, known: Collection[str]) -> None:
        self._text = text
        self.names: tuple[str, ...] = ()
        self._format = ""
        if "{" in text:
            self._cut(text, known)

    def _cut(self, text: str, known: Collection[str]) -> None:
        pieces: list[str] = []
        names: list[str] = []
        start = 0
        for match in _SPLIT.finditer(text):
            if match[1] in known:
                pieces.append(text[start : match.start()].replace("%", "%%"))
                names.append(match[1])
                start = match.end()
        if names:
            pieces.append(text[start:].replace("%", "%%"))
            self.names = tuple(names)
            self._format = "%s".join(pieces)

    def fill(self, bindings: Mapping[str, str]) -> str:
        """Put the values in; a name that `bindings` lacks keeps its placeholder."""
        return self.fill_all([bindings])[0]

    def fill_all(self, rows: Sequence[Mapping[str, str]]) -> list[str]:
        """Fill the text once per row."""
        names, form = self.names, self._format
        if not names:
            return [self._text] * len(rows)
        try:
            if len(names) == 1:
                name = names[0]
                return [form % (row[name],) for row in rows]
            return [form % tuple([row[name] for name in names]) for row in rows]
        except KeyError:
            return [Template(self._text, row).fill(row) for row in rows]

    def fill_rows(self, rows: Iterable[Sequence[str]], places: Sequence[int]) -> list[str]:
        """Fill the text once per row of bare values; `places` say where each name's value is."""
        if not self.names:
            return [self._text for _ in rows]
        form = self._format
        if list(places) == list(range(len(places))):
            return [form % tuple(row) for row in rows]
        return [form % tuple([row[place] for place in places]) for row in rows]

    def size(self, longest: int) -> int:
        """Give the most characters that one filling can have, with values up to `longest`."""
        return len(self._text) + len(self.names) * longest if self.names else 0


def substitute(text: str, bindings: Mapping[str, str]) -> str:
    """Replace each `{name}` that `bindings` knows; leave every other brace alone (2.1)."""
    if "{" not in text:
        return text
    return PLACEHOLDER.sub(lambda match: bindings.get(match[1], match[0]), text)


def names_in(texts: Sequence[str]) -> set[str]:
    """Give every `{name}` in the texts; `{values.name}` counts as its table (1.15)."""
    return {name for text in texts if "{" in text for name in _SPLIT.findall(text)}


def trigger_pattern(names: Collection[str], tables: Collection[str]) -> re.Pattern[str] | None:
    """Compile one pattern that finds any of the names in braces, or None without names.

    Only `tables` may also be written `{values.name}`. Names are data, so they are escaped.
    """
    choices = [re.escape(name) for name in sorted(names)]
    choices += [re.escape(VALUES_PREFIX + name) for name in sorted(tables)]
    if not choices:
        return None
    return re.compile(r"\{(" + "|".join(choices) + r")\}")
