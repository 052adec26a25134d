"""Say in words why a job runs or does not, from the reasons that the plan gives as data.

Owns the sentences, and nothing else: every reason has one here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from oxoflow.engine.contents import MISSING_IN_IT
from oxoflow.engine.dag import Dag
from oxoflow.engine.deciding import Decision, Reason, Verdict
from oxoflow.engine.events import timestamp
from oxoflow.engine.wording import Beside, awaited_words, missing_message, nowhere

_VERDICTS: Mapping[Verdict, str] = {
    Verdict.RUN: "runs",
    Verdict.SKIP: "is skipped",
    Verdict.CHECK: "is decided once the jobs above it are done",
    Verdict.BLOCKED: "is blocked",
}
_STATES: Mapping[str | None, str] = {
    None: "it has never run here",
    "planned": "it has not run yet: an earlier run ended before its turn",
    "started": "it was interrupted while it ran",
    "failed": "it failed or was stopped the last time",
    "removed": "its temporary outputs were deleted and are needed again",
    "running": "it is running now",
    "ahead": "it has not run yet",
}
# What the state of a job means while a run is at work on it.
IN_RUN: Mapping[Reason, Reason] = {
    Reason("record", "started"): Reason("record", "running"),
    Reason("record", "planned"): Reason("record", "ahead"),
}
_SHOWN = 300  # characters of a value
_LINE = 160  # characters of a reason in a list
_GLIMPSE, _AROUND = 60, 12  # characters of a difference there, and of what stands before and after


def verdict_words(decision: Decision, dag: Dag | None, beside: Beside = nowhere) -> str:
    """Give one line for lists: the verdict's first reason, with a cure if there is a DAG."""
    if dag is not None and _lacks_input(decision):
        return missing_message(decision, dag, beside)
    if not decision.reasons:
        return "up to date" if decision.verdict is Verdict.SKIP else ""
    more = len(decision.reasons) - 1
    first = sentence(decision.reasons[0], decision.verdict)
    if "\n" in first or len(first) > _LINE:
        first = sentence(_glimpse(decision.reasons[0]), decision.verdict)
    return first + (f" (and {more} more)" if more else "")


def _glimpse(reason: Reason) -> Reason:
    """Leave of two long texts only where they differ, on one line."""
    old, new = reason.old or "", reason.new or ""
    ahead = _shared(old, new)
    behind = _shared(old[ahead:][::-1], new[ahead:][::-1])
    start = max(0, ahead - _AROUND)
    shown = []
    for text in (old, new):
        end = min(len(text) - behind + _AROUND, len(text))
        cut = min(end, start + _GLIMPSE)
        part = "↵".join(text[start:cut].splitlines())
        shown.append("…" * (start > 0) + part + "…" * (cut < len(text)))
    return Reason(reason.part, reason.old and shown[0], reason.new and shown[1])


def _shared(one: str, two: str) -> int:
    """Count the characters with which both begin."""
    pairs = enumerate(zip(one, two, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(two)))


def explain(
    decision: Decision,
    dag: Dag,
    accepted: tuple[float, str] | None = None,
    beside: Beside = nowhere,
) -> str:
    """Give the whole story of one job's verdict, one reason a line (`--why`).

    `accepted` is when and by whom the present result was declared valid, if that is why it is.
    """
    head = f"{decision.job.name} {_VERDICTS[decision.verdict]}"
    if _lacks_input(decision):
        return f"{head}: {missing_message(decision, dag, beside)}"
    if not decision.reasons:
        words = f"{head}: its outputs are there and nothing that decides about them has changed"
        if accepted is None:
            return words
        at, who = accepted
        return f"{words} since {who} accepted them on {timestamp(at)}"
    lines = [sentence(reason, decision.verdict) for reason in decision.reasons]
    if len(lines) == 1:
        return f"{head}: {lines[0]}"
    return "\n".join([f"{head}:", *[f"  - {line}" for line in lines]])


def _lacks_input(decision: Decision) -> bool:
    reasons = decision.reasons
    return decision.verdict is Verdict.BLOCKED and reasons[0].part.startswith("input.")


def sentence(reason: Reason, verdict: Verdict) -> str:
    """Give the sentence of one reason."""
    part, _, name = reason.part.partition(".")
    worded = _SENTENCES.get(part)
    if worded is not None:
        return worded(reason, name, verdict)
    return f"{part} {name} changed{_change(reason)}"


def _record(reason: Reason, name: str, verdict: Verdict) -> str:
    if reason.new == "adopted" and reason.old:
        return f"its outputs were made in the same way by {reason.old}; they are taken over"
    if reason.new == "adopted":
        return "its outputs are there and newer than its inputs; they are taken over"
    if reason.old == "failed" and reason.new:
        return f"it did not finish the last time: {reason.new}"
    return _STATES.get(reason.old, f"its last state is '{reason.old}'")


def _output(reason: Reason, name: str, verdict: Verdict) -> str:
    if not name:
        return f"its outputs are declared differently{_change(reason)}"
    if reason.new == "missing":
        return f"output '{name}' is missing"
    if reason.new == MISSING_IN_IT:
        return f"missing in output '{name}': {reason.old}"
    if reason.new is None:
        return f"output '{name}' is {reason.old}"
    return f"output '{name}' is not what was verified: {reason.old} then, {reason.new} now"


def _input(reason: Reason, name: str, verdict: Verdict) -> str:
    if reason.new == "missing" and verdict in (Verdict.SKIP, Verdict.BLOCKED):
        return f"{'optional ' * (verdict is Verdict.SKIP)}input '{name}' is missing"
    unreadable = (reason.new or "").removeprefix("unreadable:")
    if unreadable.isdigit():
        return f"input '{name}' cannot be read: {os.strerror(int(unreadable))}"
    if reason.old is None:
        return f"input '{name}' is new"
    if reason.new is None:
        return f"input '{name}' is no longer read"
    return f"the content of input '{name}' changed ({_short(reason.old)} → {_short(reason.new)})"


def _depends_on(reason: Reason, name: str, verdict: Verdict) -> str:
    return f"{name}, for which it waits, has {'new' if reason.old else 'now'} results"


def _upstream(reason: Reason, name: str, verdict: Verdict) -> str:
    if verdict is Verdict.BLOCKED:
        return f"it needs {reason.new}, which is blocked"
    return f"it depends on {reason.new}, which will run; only new results of that make it run"


def _pipe(reason: Reason, name: str, verdict: Verdict) -> str:
    fates = {Verdict.RUN: "runs", Verdict.BLOCKED: "is blocked"}
    return f"a pipe joins it to {reason.new}, which {fates.get(verdict, 'may run')}"


def _when(reason: Reason, name: str, verdict: Verdict) -> str:
    if verdict is Verdict.SKIP:
        return "condition evaluated to false"
    return f"its condition changed{_change(reason)}"


def _command(reason: Reason, name: str, verdict: Verdict) -> str:
    if verdict is Verdict.SKIP:
        return "it has nothing to run"
    return f"its command changed{_change(reason)}"


def _kept(words: str) -> Callable[[Reason, str, Verdict], str]:
    return lambda reason, name, verdict: words.format(name=name) + _change(reason)


_SENTENCES: Mapping[str, Callable[[Reason, str, Verdict], str]] = {
    "record": _record,
    "output": _output,
    "input": _input,
    "upstream": _upstream,
    "depends_on": _depends_on,
    "pipe": _pipe,
    "when": _when,
    "command": _command,
    "checkpoint": lambda reason, name, verdict: awaited_words(reason),
    "later": lambda reason, name, verdict: awaited_words(reason),
    "cache": lambda reason, name, verdict: f"its result will be taken from {reason.new}",
    "forced": lambda reason, name, verdict: "it was asked for with --rerun or --force",
    "script": _kept("its script changed"),
    "environment": _kept("its environment's definition changed"),
    "config": _kept("config '{name}' changed"),
    "params": _kept("parameter '{name}' changed"),
    "envvars": _kept("variable '{name}' changed"),
}


def _change(reason: Reason) -> str:
    start = _where_to_look(reason.old or "", reason.new or "")
    old = "nothing" if reason.old is None else _short(reason.old, start)
    new = "nothing" if reason.new is None else _short(reason.new, start)
    if "\n" in old or "\n" in new:
        return f":\n      before: {_indent(old)}\n      now:    {_indent(new)}"
    return f": {old} → {new}"


def _indent(text: str) -> str:
    return text.strip("\n").replace("\n", "\n              ")


def _where_to_look(old: str, new: str) -> int:
    """Give from where two long texts are shown, so that their first difference is seen."""
    ahead = _shared(old, new)
    return ahead - _SHOWN // 3 if ahead > _SHOWN // 2 and max(len(old), len(new)) > _SHOWN else 0


def _short(text: str, start: int = 0) -> str:
    text = "…" * (start > 0) + text[start:]
    text = " ".join([_short_hash(word) for word in text.split(" ")])
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _short_hash(word: str) -> str:
    """Cut a hash to what a person compares; `sha256:` stands before that of a sensitive value."""
    kind, colon, digest = word.rpartition(":")
    is_hash = len(digest) == 64 and digest.isalnum() and kind in ("", "sha256")
    return kind + colon + digest[:12] if is_hash else word
