"""Run a directory's last run again: `resume` goes on, `retry` takes up what failed.

Owns which recorded settings are replayed and what the command line may change about them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from oxoflow.commands.arguments import Arguments, Verb, settle_pairs
from oxoflow.commands.control import is_paused, is_suspended, send, wake
from oxoflow.commands.invocation import Invocation, from_settings
from oxoflow.commands.options import (
    CONFIG_FILE,
    JSON,
    WORKDIR,
    Option,
    flag,
    positive,
    several,
    value,
)
from oxoflow.commands.output import print_json
from oxoflow.commands.results import here
from oxoflow.commands.run import carry_out
from oxoflow.engine.load import read_text
from oxoflow.engine.options import RunOptions
from oxoflow.engine.reentry import Reentries
from oxoflow.engine.rundir import RunDirectory, lock_holder
from oxoflow.engine.select import descendants, jobs_called
from oxoflow.engine.state import State
from oxoflow.errors import UsageError
from oxoflow.lang.parse import parse_workflow
from oxoflow.settings import load_limits


def resume_run(arguments: Arguments) -> int:
    """Wake a paused run, or go on with one that ended, as it was asked for."""
    directory = here(arguments)
    if lock_holder(directory.lock) is not None:
        record = directory.read_run()
        suspended = record is not None and is_suspended(record)
        if record is None or not (suspended or is_paused(directory)):
            raise UsageError(f"the run in '{directory.root}' is at work; see 'oxoflow status'")
        send(directory, record, "resume")
        wake(record)
        print("resumed")
        return 0
    return carry_out(_replayed(arguments, directory), as_json=arguments.json)


def retry_run(arguments: Arguments) -> int:
    """Run failed jobs, or everything from a rule on, with what hangs below them."""
    directory = here(arguments)
    if lock_holder(directory.lock) is not None:
        raise UsageError(f"the run in '{directory.root}' is at work; 'oxoflow cancel' ends it")
    invocation = _replayed(arguments, directory)
    found = _find_starts(invocation, directory, arguments.start)
    if found is None:
        words = "nothing failed; 'oxoflow resume' runs what is not up to date"
        if arguments.json:
            print_json({"command": "retry", "status": "nothing failed", "message": words})
        else:
            print(words)
        return 0
    narrowed = replace(invocation, target=found.wanted, force=found.forced)
    return carry_out(narrowed, as_json=arguments.json, recorded=invocation)


class _Starts(Struct, frozen=True):
    """The jobs that a retry is about, and those of them that run whatever is known."""

    wanted: tuple[str, ...]
    forced: tuple[str, ...] = ()


def _find_starts(
    invocation: Invocation, directory: RunDirectory, names: Sequence[str]
) -> _Starts | None:
    """Give what was named, else what failed, with all below; None when nothing failed.

    What a checkpoint adds may be anywhere, so a retry of one is about all that the run was.
    """
    loaded = invocation.load()
    state = State.view(directory.state)
    try:
        unfinished = _unfinished(state)
        options = RunOptions(directory.root, plan=invocation.plan_options())
        reentries = Reentries(state, directory.root, options)
        dag = reentries.replay(loaded).dag
        forced = {at for name in names for at in jobs_called(dag, name)}
        starts = forced or {dag.index[name] for name in unfinished if name in dag.index}
        if not starts and unfinished.isdisjoint(reentries.whole(loaded).dag.index):
            return None
    finally:
        state.close()
    below = [dag.jobs[at] for at in sorted(descendants(dag, starts))]
    grows = any(job.rule.checkpoint or job.rule.output_pattern for job in below)
    wanted = invocation.target if grows or not below else tuple(job.name for job in below)
    return _Starts(wanted, tuple(dag.jobs[at].name for at in sorted(forced)))


def _unfinished(state: State) -> set[str]:
    """Give the jobs whose last attempt failed or was interrupted."""
    return {name for name, job in state.known().items() if job.status in ("failed", "started")}


def _replayed(arguments: Arguments, directory: RunDirectory) -> Invocation:
    """Give the last run's settings with the changes of the command line."""
    record = directory.read_run()
    if record is None:
        raise UsageError(f"no run has been in '{directory.root}'; start one with 'oxoflow run'")
    invocation = from_settings(record.settings, directory.root)
    if invocation is None or not Path(invocation.file).is_file():
        raise UsageError(
            f"the last run in '{directory.root}' does not say which workflow it was, or the file "
            "is gone; use 'oxoflow run FILE'"
        )
    changes: dict[str, object] = {}
    if arguments.jobs is not None:
        changes["jobs"] = arguments.jobs
    if arguments.keep_going:
        changes["keep_going"] = True
    known = list(parse_workflow(read_text(Path(invocation.file)), load_limits()).config)
    pairs = settle_pairs(arguments.pairs, known, "oxoflow")
    config = {**invocation.config, **arguments.overrides, **pairs}
    return replace(invocation, config=config, **changes)


_CHANGES: tuple[Option, ...] = (
    WORKDIR,
    value("-j", "--jobs", type=positive, metavar="N", help="jobs at once (default: as before)"),
    flag("-k", "--keep-going", help="after a failure go on with what does not need it"),
    CONFIG_FILE,
    several("--config", metavar="KEY=VALUE", help="change a config value"),
    JSON,
)
VERBS: Mapping[str, Verb] = {
    "resume": Verb(
        "Go on with the last run of a directory as it was asked for, or wake a paused one.",
        _CHANGES,
        resume_run,
        overrides=True,
    ),
    "retry": Verb(
        "Run again what failed, and what hangs below it, as the last run was asked for.",
        (
            *_CHANGES,
            several(
                "--from",
                dest="start",
                metavar="RULE",
                help="run this rule and everything below it, whether it failed or not",
            ),
        ),
        retry_run,
        overrides=True,
    ),
}
