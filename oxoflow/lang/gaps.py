"""Know what of a text could not be read, so that nothing is told only because that is missing.

Owns the `Gaps` of a workflow, the names that stand in for rules which cannot be called by their
own, and which findings a gap makes doubtful. A workflow that was read as a whole has none.

What stands in for a name travels as one, through every check and into the words of findings, where
an object of a type of its own would become plain text. So it is text that no author can write: each
part of it ends with a NUL, which `document` and `sheets` refuse wherever it stands, as neither a
path nor a command can hold it. `spoken` puts it into words before anybody sees it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct
from msgspec.structs import replace

from oxoflow.errors import Diagnostic
from oxoflow.lang.latepattern import late

_SOURCES = frozenset(("pairs", "sample_groups", "values", "wildcard_constraints"))
_OF_WORKFLOW = frozenset(("pairs_file", "sample_groups_file", "pairs_pattern", "sample_pattern"))
_KEY_GIVERS = frozenset(("config", "references", "reference_dir", "include"))
_RULE_GIVERS = frozenset(("include", "rules"))
_INJECTED = late(r"config\.(?:samples_\w|pairs_list)")
# What a finding about a rule (its code and the key it names, where several share a code) rests on:
# it is doubtful when one of these keys of the rule could not be read.
_RESTS_ON: Mapping[tuple[str, str], frozenset[str]] = {
    ("E002", "output"): frozenset(("shell", "script", "transform")),
    ("E003", ""): frozenset(("input", "scatter", "transform", "input_groups", "expand_inputs")),
    ("E018", "transform.combine"): frozenset(("output",)),
    ("E013", ""): frozenset(("checkpoint_manifest",)),
}
_NONE: frozenset[str] = frozenset()
_NUL = "\x00"
_PLACE = rf"{_NUL}(\d+) [^{_NUL}]*{_NUL}"  # the number of the rule, and its file
_STAND_IN = late(rf"{_PLACE}([^{_NUL}]*){_NUL}")
_NAMELESS = late(rf"(?:rule )?'?(?:[^\s']*::)?{_PLACE}{_NUL}'?")
_MARK = f"{_NUL}#"  # with the number of an entry of an array
_MARKED = late(rf"'?{_MARK}(\d+){_NUL}'?")


class Gaps(Struct, frozen=True):
    """What is not known of a workflow."""

    rules: frozenset[str] = frozenset()  # with which names of rules that are not known may begin
    outputs: bool = False  # there may be files that are made, and are not known
    config: bool = False  # there may be config keys that are not known
    includes: bool = False  # files that cannot be read were included, and count here
    sources: bool = False  # there may be values of wildcards that are not known
    tables: frozenset[str] = frozenset()  # of the top level
    keys: Mapping[str, frozenset[str]] = {}  # of each rule that has faulty ones
    shared: frozenset[str] = frozenset()  # names that several rules have

    def of_module(self, prefix: str) -> Gaps:
        """Give what is missing of an included file; only its rules and its config count."""
        keys = {prefix + name: keys for name, keys in self.keys.items()}
        shared = frozenset([prefix + name for name in self.shared])
        rules = frozenset([prefix + start for start in self.rules])
        return Gaps(rules, self.outputs, self.config, self.includes, keys=keys, shared=shared)

    def may_name(self, name: str) -> bool:
        """Say whether a name that nobody is known by may still be that of a rule."""
        return name in self.shared or name.startswith(tuple(self.rules))


WHOLE = Gaps()
ANY = frozenset(("",))
UNREAD = Gaps(ANY, outputs=True, config=True, includes=True)  # of an included file
NO_SOURCES = Gaps(sources=True)


def together(parts: Iterable[Gaps]) -> Gaps:
    """Give everything that is missing from some part."""
    parts = list(parts)
    keys: dict[str, frozenset[str]] = {}
    for part in parts:
        keys.update(part.keys)
    return Gaps(
        rules=_NONE.union(*[part.rules for part in parts]),
        outputs=any(part.outputs for part in parts),
        config=any(part.config for part in parts),
        includes=any(part.includes for part in parts),
        sources=any(part.sources for part in parts),
        tables=_NONE.union(*[part.tables for part in parts]),
        keys=keys,
        shared=_NONE.union(*[part.shared for part in parts]),
    )


def without_table(table: str, key: str = "", *, partly: bool = False) -> Gaps:
    """Give what is missing when a table of the top level, or a key of `[workflow]`, is faulty.

    Of one that could be read `partly`, the names of its entries are known.
    """
    return Gaps(
        rules=ANY if table in _RULE_GIVERS else _NONE,
        outputs=table in (*_RULE_GIVERS, "references"),
        config=table in _KEY_GIVERS,
        sources=table in _SOURCES or (table == "workflow" and (not key or key in _OF_WORKFLOW)),
        tables=_NONE if partly else frozenset((table,)),
    )


def stand_in(number: int, name: str = "", file: str = "") -> str:
    """Name the rule that comes as `number` in its file, from 0: it has no name, or not alone."""
    return f"{_NUL}{number} {file}{_NUL}{name}{_NUL}"


def stands_for(name: str) -> int | None:
    """Give the number of the rule that such a name stands for, None for every other name."""
    found = _STAND_IN.search(name)
    return int(found[1]) if found else None


def entry_mark(number: int) -> str:
    """Give a text for one that cannot be read, in the entry that comes as `number`, from 0."""
    return f"{_MARK}{number}{_NUL}"


def is_mark(text: str) -> bool:
    """Say whether a text stands for one that cannot be read."""
    return text.startswith(_MARK)


def spoken(diagnostic: Diagnostic) -> Diagnostic:
    """Give a finding in words for the author, who knows no stand-ins; its key tells the place."""
    name = diagnostic.rule or ""
    if _MARK in diagnostic.message:
        words = _MARKED.sub(lambda found: f"number {int(found[1]) + 1}", diagnostic.message)
        diagnostic = replace(diagnostic, message=words)
    hint = diagnostic.suggestion or ""
    if _NUL not in diagnostic.message + hint + name:
        return diagnostic
    if _NUL in hint:
        diagnostic = replace(diagnostic, suggestion=_STAND_IN.sub(r"\2", hint))
    message = _NAMELESS.sub(lambda found: f"rule number {int(found[1]) + 1}", diagnostic.message)
    message = _STAND_IN.sub(r"\2", message)
    number, key = stands_for(name), diagnostic.key
    if number is not None:
        key = f"rules.{number}.{key or ''}".rstrip(".")
        name = _STAND_IN.sub(r"\2", name)
    rule = None if not name or name.endswith("::") else name
    return replace(diagnostic, message=message, rule=rule, key=key)


def certain(found: Iterable[Diagnostic], gaps: Gaps) -> Iterator[Diagnostic]:
    """Yield the findings that hold whatever is missing."""
    for each in found:
        if not _doubtful(each, gaps):
            yield each


def _doubtful(each: Diagnostic, gaps: Gaps) -> bool:
    key = each.key or ""
    lost = gaps.keys.get(each.rule or "", frozenset())
    if lost and lost & (_RESTS_ON.get((each.code, key)) or _RESTS_ON.get((each.code, ""), _NONE)):
        return True
    if each.code == "E002" and key == "name":
        return stands_for(each.rule or "") is not None
    if each.code == "E003":
        return gaps.sources
    if each.code == "E018" and key.startswith("transform.split"):
        return gaps.config
    if each.code == "E005":
        return gaps.config or (gaps.sources and _INJECTED.search(each.message) is not None)
    return each.code == "E017" and gaps.outputs
