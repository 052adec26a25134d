"""Run gallery workflows and write down what happened, without what differs from run to run.

python -m tests.gallery.recording [NAME...] renews the golden records in `runs/`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from oxoflow.backends.local import LocalBackend
from oxoflow.commands.invocation import Invocation
from oxoflow.engine.events import EventLine, read_events
from oxoflow.engine.options import RunOptions
from oxoflow.engine.rundir import RunDirectory
from oxoflow.engine.runner import run as run_workflow
from oxoflow.engine.state import State
from tests.gallery.drawing import load

RECORDS = Path(__file__).parent / "runs"
Act = tuple[str, ...]
RUN: Act = ("run",)
ALONE: Act = ("run", "alone")  # one job at a time: the order is part of the record

# What is done with each workflow, in order: ("run", where), ("edit", old, new) in the workflow,
# ("write", path, text), ("delete", path), ("allow", path) to make a file writable.
STORIES: Mapping[str, tuple[Act, ...]] = {
    "hooks": (ALONE, RUN),
    "temporary": (ALONE, RUN, ("delete", "results/counts.txt"), ALONE),
    "protected": (
        RUN,
        ("edit", 'greeting = "hello"', 'greeting = "good day"'),
        RUN,
        ("allow", "results/precious.txt"),
        RUN,
    ),
    "shadow": (RUN, RUN),
    "scratch": (RUN, RUN),
    "execution-groups": (ALONE, RUN),
    "growing-memory": (RUN, RUN),
    "secrets": (RUN, RUN),
    "reuse": (RUN, ("run", "elsewhere"), RUN),
    "chunks": (RUN, ("edit", "'north 2'", "'south 2'"), RUN),
    "index-once": (
        ("write", "genome.txt", "gattaca tata gattaca\n"),
        ("write", "samples/S1.txt", "gattaca\n"),
        ("write", "samples/S2.txt", "tata\n"),
        RUN,
        ("write", "genome.txt", "gattaca tata tata\n"),
        RUN,
    ),
    "bookkeeping": (
        RUN,
        ("edit", 'index = "v1"', 'index = "v2"'),
        RUN,
        ("edit", 'reads = "ACGT"', 'reads = "GGCC"'),
        RUN,
    ),
    "venv": (RUN, RUN),
    "scatter-gather": (RUN, ("edit", "GATTACA,TATAAA", "GATTACA,CCGG"), RUN),
    "transform": (RUN, ("delete", "results/part_1.txt"), RUN),
    "checkpoint-reentry": (RUN, ("edit", "'BC3 CCCC'", "'BC4 CCCC'"), RUN, RUN),
    "careful": (RUN, RUN),
    "pipes": (RUN, RUN, ("delete", "results/count.txt"), RUN),
}
# Files whose content is another every time, or with another awk.
_UNLIKE = re.compile(r"benchmarks/|logs/fetched|genome/|motifs/|results/motifs")
_NO_RESULT = {".oxo-flow", "execution.log", "main.oxoflow", "modules", "sheets", "environments"}
_QUIET = frozenset({"jobs_planned", "run_started", "run_completed", "run_failed"})


def record(name: str, place: Path) -> str:
    """Do the story of a workflow below an empty directory, and tell it."""
    lines: list[str] = []
    work = {"": place / "work"}
    _load(name, work[""])
    runs = 0
    for what, *words in STORIES[name]:
        where = work[""]
        if what == "run":
            runs += 1
            if words == ["elsewhere"]:
                where = work.setdefault("elsewhere", place / "elsewhere")
                _load(name, where)
            lines += [f"run {' '.join([str(runs), *words])}", *_run(where, place, words)]
        else:
            lines.append(f"{what} {words[0]!r}")
            _act(where, what, words)
    for directory in work.values():
        lines += ["files", *_files(directory)]
    return "\n".join(lines) + "\n"


def _load(name: str, directory: Path) -> None:
    directory.mkdir(parents=True)
    load(name, directory)


def _act(where: Path, what: str, words: Sequence[str]) -> None:
    if what == "edit":
        file = where / "main.oxoflow"
        text = file.read_text()
        assert words[0] in text
        file.write_text(text.replace(words[0], words[1]))
        return
    file = where / words[0]
    if what == "write":
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(words[1])
    elif what == "delete":
        file.unlink()
    else:
        file.chmod(0o644)


def _run(where: Path, place: Path, words: Sequence[str]) -> list[str]:
    """Run once and tell: the end, each job in the order of the plan, what the records keep.

    Warnings are left out: they are about the machine, or about what was seen by chance.
    """
    directory = RunDirectory(where)
    _, before = read_events(directory.events) if directory.events.exists() else ([], 0)
    jobs = 1 if "alone" in words else 2
    asked = Invocation(
        file=str(where / "main.oxoflow"), workdir=str(where), jobs=jobs, cache=str(place / "cache")
    )
    environ = {"PATH": os.environ["PATH"], "HOME": str(place / "home"), "LC_ALL": "C"}
    options = RunOptions(where, limits=asked.limits(), cache=asked.caching(), environ=environ)
    outcome = run_workflow(asked.load, options, LocalBackend())
    happened, _ = read_events(directory.events, before)
    lines = [f"  {outcome.state.value}: {outcome.error or 'exit 0'}"]
    lines += [f"  {line}" for line in _jobs(happened)]
    if "alone" in words:
        order = [e.job or "" for e in happened if e.type == "rule_started"]
        lines.append(f"  order: {' '.join(order) or 'nothing started'}")
    lines += [f"  {word}" for word in _state(directory)]
    return [_without_places(line, place) for line in lines]


def _jobs(happened: Sequence[EventLine]) -> Iterator[str]:
    """Each job of the plan with its verdict, and what became of it."""
    plans = [event.data["jobs"] for event in happened if event.type == "jobs_planned"]
    for job, _, verdict in (row for plan in plans for row in plan):
        story = [_told(e) for e in happened if e.job == job and e.type not in _QUIET]
        yield f"{job} ({verdict}): {', '.join(story) or 'nothing'}"


def _told(event: EventLine) -> str:
    word = event.type.removeprefix("rule_")
    if event.type == "rule_failed":
        again = "will be tried again" if event.data["will_retry"] else "for good"
        fact = re.sub(r"(exit code \d+): .*", r"\1", str(event.data["error"]))  # without the advice
        return f"{word} {again} ({fact})"
    return f"{word} ({event.data['reason']})" if "reason" in event.data else word


def _state(directory: RunDirectory) -> Iterator[str]:
    """What the records say: tombstones, checksums, what was added by checkpoints; leftovers."""
    state = State.view(directory.state)
    try:
        removed = [job for job, row in state.records().items() if row.removed]
        sums = {path: row.checksum for path, row in state.outputs().items() if row.checksum}
        grown = json.loads(state.meta("reentries") or "[]")
    finally:
        state.close()
    if removed:
        yield f"tombstones: {' '.join(sorted(removed))}"
    for path, checksum in sorted(sums.items()):
        yield f"checksum: {path} {checksum[:20]}"
    for each in grown:
        yield f"grown: {json.dumps(each, sort_keys=True)}"
    for name in ("scratch", "chunks", "scripts"):
        left = list((directory.records / name).glob("*"))
        if left:
            yield f"left behind: {len(left)} in {name}"


def _files(where: Path) -> Iterator[str]:
    """Every file of a working directory with its mode and content."""
    for path in sorted(where.rglob("*")):
        inside = str(path.relative_to(where))
        if not path.is_file() or inside.split("/")[0] in _NO_RESULT:
            continue
        mode = "rw" if path.stat().st_mode & stat.S_IWUSR else "r-"
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        yield f"  {mode} {'-' * 12 if _UNLIKE.match(inside) else digest} {inside}"
    yield f"  log: {' | '.join(_log(where / 'execution.log'))}"


def _log(path: Path) -> list[str]:
    """What the jobs themselves wrote."""
    lines = path.read_text().splitlines()
    said = [line for line in lines if re.match(r"\[[^]]+\] (?!oxoflow)", line)]
    return sorted(set(said))


def _without_places(line: str, place: Path) -> str:
    line = line.replace(str(place), "…")
    line = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "RUN", line)
    return re.sub(r", by (copy|reflink|hard link)\b", ", by …", line)


def main() -> None:
    """Write golden records anew: those that are named, else all."""
    RECORDS.mkdir(exist_ok=True)
    for name in sys.argv[1:] or STORIES:
        with tempfile.TemporaryDirectory() as directory:
            (RECORDS / f"{name}.txt").write_text(record(name, Path(directory)), encoding="utf-8")


if __name__ == "__main__":
    main()
