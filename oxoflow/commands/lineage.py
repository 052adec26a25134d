"""Ask what runs recorded: where a file comes from, and where two runs part.

Owns the verbs `provenance` and `compare`; the answers come from `engine`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from oxoflow.commands.arguments import Arguments, Verb
from oxoflow.commands.options import JSON, several, value
from oxoflow.commands.output import plural, print_json
from oxoflow.engine.comparing import Comparison, Parted, compare
from oxoflow.engine.fingerprint import Difference
from oxoflow.engine.history import History, enclosing, find_histories
from oxoflow.engine.provenance import Item, Provenance, Step, trace
from oxoflow.errors import UsageError

_SHORT = 12
_COMMAND_LINES = 6
_VERSIONS_SHOWN = 8
_JOBS_SHOWN = 10


@contextlib.contextmanager
def _opened(places: list[Path]) -> Iterator[list[History]]:
    with contextlib.ExitStack() as stack:
        histories = []
        for place in dict.fromkeys(Path(os.path.abspath(place)) for place in places):
            history = History(place)
            stack.callback(history.close)
            histories.append(history)
        yield histories


def show_provenance(arguments: Arguments) -> int:
    """Print the jobs behind a file; exit 1 when nothing is known about it."""
    file = Path(arguments.file)
    places = [enclosing(file)] if enclosing(file) else []
    for name in arguments.workdir or ([] if places else ["."]):
        places += find_histories(Path(name))
    found_places = [place for place in places if place is not None]
    if not found_places:
        raise UsageError(
            f"no run has left records above '{file}' or here; name the run's directory, or one "
            "with runs below it, with --workdir DIR"
        )
    with _opened(found_places) as histories:
        found = trace(file, histories)
    if arguments.json:
        print_json(provenance_json(found))
    else:
        print("\n".join(_provenance_lines(found)))
    return 0 if found.steps or found.read_by else 1


def provenance_json(found: Provenance) -> dict[str, Any]:
    """Give an answer as it goes to programs; `maker` is an index of `jobs`."""
    return {
        "schema_version": 1,
        "file": _item_json(found.file),
        "size": found.size,
        "recorded_as": found.recorded_as,
        "same_content": list(found.same_content),
        "read_by": list(found.read_by),
        "jobs": [
            {
                "workdir": step.made.workdir,
                "run_id": step.made.run,
                "job": step.made.job,
                "rule": step.made.rule,
                "command": step.made.command,
                "started_at": step.made.started_at,
                "finished_at": step.made.finished_at,
                "environment": step.made.environment,
                "taken_from": step.made.origin,
                "inputs": [_item_json(item) for item in step.inputs],
            }
            for step in found.steps
        ],
    }


def _item_json(item: Item) -> dict[str, Any]:
    known = item.digest if len(item.digest) == 64 else None
    return {"path": item.path, "sha256": known, "maker": item.maker, "note": item.note}


def _provenance_lines(found: Provenance) -> list[str]:
    lines = [f"{found.file.path}  {found.size} bytes  sha256:{found.file.digest}"]
    if found.file.note:
        lines.append(f"  {found.file.note}")
    if found.recorded_as:
        lines.append(f"  recorded as '{found.recorded_as}'")
    if found.same_content:
        lines.append(f"  the same content: {', '.join(found.same_content)}")
    lines += [f"  read by {reader}" for reader in found.read_by]
    for number, step in enumerate(found.steps, 1):
        lines += _step_lines(number, step)
    return lines


def _step_lines(number: int, step: Step) -> list[str]:
    made = step.made
    lines = [f"{number}. job '{made.job}' of rule '{made.rule}'", f"   in {made.workdir}"]
    run = f"run {made.run}" if made.run else "an unknown run"
    lines.append(f"   {run}, finished {made.finished_at or 'at an unknown time'}")
    if made.origin:
        lines.append(f"   {_origin_words(made.origin)}")
    command = (made.command or "").strip().splitlines()
    lines += [f"   $ {line}" for line in command[:_COMMAND_LINES]]
    if len(command) > _COMMAND_LINES:
        lines.append(f"   … {plural(len(command) - _COMMAND_LINES, 'more line')}")
    if made.environment:
        versions = made.environment.get("versions", [])
        more = ", …" if len(versions) > _VERSIONS_SHOWN else ""
        shown = ", ".join(versions[:_VERSIONS_SHOWN])
        lines.append(f"   {made.environment.get('environment')}: {shown}{more}")
    for item in step.inputs:
        source = f"from {item.maker + 1}." if item.maker is not None else "source"
        note = f" ({item.note})" if item.note else ""
        lines.append(f"   < {item.path}  {item.digest[:_SHORT]}  {source}{note}")
    return lines


def _origin_words(origin: Mapping[str, Any]) -> str:
    """Name the run that really computed a result."""
    at = f", finished {origin['made_at']}" if origin.get("made_at") else ""
    return f"computed by run {origin.get('run')} in {origin.get('workdir')}{at}"


def show_comparison(arguments: Arguments) -> int:
    """Print where two runs part; exit 1 when they do."""
    places = [_run_directory(name) for name in arguments.runs]
    with contextlib.ExitStack() as stack:
        one, two = History(places[0]), History(places[1])
        stack.callback(one.close)
        stack.callback(two.close)
        found = compare(one, two)
    if arguments.json:
        print_json(comparison_json(found))
    else:
        print("\n".join(_comparison_lines(found)))
    return 1 if found.first else 0


def _run_directory(name: str) -> Path:
    """A run is named by its directory, or by its id below the present one."""
    for place in (Path(name), *Path.cwd().glob(f"**/runs/{Path(name).name}")):
        if (place / ".oxo-flow" / "state.sqlite").is_file():
            return place.absolute()
    raise UsageError(f"'{name}' is no directory that a run left records in; name its directory")


def comparison_json(found: Comparison) -> dict[str, Any]:
    """Give a comparison as it goes to programs."""
    return {
        "schema_version": 1,
        "compared": found.compared,
        "first": _parted_json(found.first) if found.first else None,
        "before": [_parted_json(parted) for parted in found.before],
        "also": list(found.also),
        "only_first": list(found.only_first),
        "only_second": list(found.only_second),
    }


def _parted_json(parted: Parted) -> dict[str, Any]:
    return {
        "job": parted.job,
        "rule": parted.rule,
        "outputs": [
            {"path": path, "first": one, "second": two} for path, one, two in parted.outputs
        ],
        "parts": [{"part": p.part, "first": p.old, "second": p.new} for p in parted.parts],
    }


def _comparison_lines(found: Comparison) -> list[str]:
    lines = [f"{plural(found.compared, 'job')} in both runs"]
    for parted in found.before:
        lines.append(f"job '{parted.job}' made the same of something else:")
        lines += [f"  {_difference_words(part)}" for part in parted.parts]
    if found.first is None:
        lines.append("all outputs are the same")
    else:
        lines.append(f"the first whose outputs differ is job '{found.first.job}':")
        for path, one, two in found.first.outputs:
            lines.append(f"  {path}  {_known(one)} / {_known(two)}")
        lines += [f"  {_difference_words(part)}" for part in found.first.parts]
        if not found.first.parts:
            lines.append(
                "  nothing that is recorded differs: the command itself gives different results "
                "(times, random numbers, threads)"
            )
    if found.also:
        lines.append(f"behind it: {_names(found.also)}")
    for names, which in ((found.only_first, "first"), (found.only_second, "second")):
        if names:
            lines.append(f"in the {which} run only: {_names(names)}")
    return lines


def _known(digest: str | None) -> str:
    return digest[:_SHORT] if digest else "unknown"


def _names(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _JOBS_SHOWN} more" if len(names) > _JOBS_SHOWN else ""
    return ", ".join(names[:_JOBS_SHOWN]) + more


def _difference_words(part: Difference) -> str:
    if part.part.startswith("input."):
        return f"{part.part.removeprefix('input.')}: {_known(part.old)} / {_known(part.new)}"
    return f"{part.part}: {part.old or 'nothing'} / {part.new or 'nothing'}"


VERBS: Mapping[str, Verb] = {
    "provenance": Verb(
        "Say which run and job made a file, wherever it was moved or copied, and what of.",
        (
            value("file", metavar="FILE", help="the file in question"),
            several(
                "--workdir",
                metavar="DIR",
                help="look at the runs at or below this directory (default: around the file)",
            ),
            JSON,
        ),
        show_provenance,
    ),
    "compare": Verb(
        "Name the first job whose outputs differ between two runs, and what differed before it.",
        (value("runs", nargs=2, metavar="RUN", help="the directory of a run"), JSON),
        show_comparison,
    ),
}
