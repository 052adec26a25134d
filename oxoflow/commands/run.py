"""Run a workflow from the command line: load, hand to the runner, show, sum up.

Owns the verb `run` and the way every verb that runs goes; the run itself is `engine.runner`.
"""

from __future__ import annotations

import errno
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from oxoflow.backends.local import LocalBackend
from oxoflow.commands.arguments import Arguments, Verb
from oxoflow.commands.display import Display, open_display
from oxoflow.commands.eta import Estimator
from oxoflow.commands.invocation import Invocation, from_arguments
from oxoflow.commands.loading import find_place
from oxoflow.commands.options import (
    CACHING,
    COMPOSING,
    FILE,
    JSON,
    PLANNING,
    Option,
    duration,
    flag,
    memory,
    number,
    positive,
    value,
)
from oxoflow.commands.output import drop_output, print_json
from oxoflow.commands.plan import show_plan
from oxoflow.engine.capacity import find_capacity, usual_width
from oxoflow.engine.events import Event
from oxoflow.engine.load import Loaded
from oxoflow.engine.narration import outcome_words
from oxoflow.engine.options import Outcome, RunOptions
from oxoflow.engine.rundir import Launch, RunDirectory, RunState, await_launch
from oxoflow.engine.runner import run as run_workflow
from oxoflow.engine.state import State
from oxoflow.lang.latepattern import late

_TAIL_LINES = 5
_ESCAPES = late(  # and all else that a terminal takes for an order
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|.)|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
_FAILURES_SHOWN = 20


def start_run(arguments: Arguments) -> int:
    """Do what `run` says; with --launch wait for the server's word first."""
    if arguments.dry_run:
        arguments.why = []
        return show_plan(arguments)
    launch: Launch | None = None
    if arguments.launch:
        launch = await_launch(arguments.launch)
        if launch is None:
            return 0
    invocation = from_arguments(arguments, find_place(arguments))
    return carry_out(invocation, as_json=arguments.json, launch=launch)


def carry_out(
    invocation: Invocation,
    *,
    as_json: bool = False,
    launch: Launch | None = None,
    recorded: Invocation | None = None,
) -> int:
    """Run, show and sum up; gives the exit code. `recorded` is what `resume` shall replay."""
    directory = RunDirectory(Path(invocation.workdir))
    settings = (recorded or invocation).settings()
    if launch is not None:
        # what is wrong with the workflow must stand in run.json, so it is loaded by the runner
        options = _options(invocation, settings, None, launch)
        return run_workflow(invocation.load, options, LocalBackend()).exit_code
    loaded = invocation.load()
    tails = _Tails()
    display = None if as_json else _display(loaded, directory, invocation)
    if display is None:
        for warning in loaded.workflow.warnings:
            print(f"oxoflow: warning: {warning}", file=sys.stderr)
    observers = [tails.observe, *([display.observe] if display else [])]

    def observe(event: Event) -> None:
        for observer in observers:
            observer(event)

    try:
        options = _options(invocation, settings, observe, None)
        outcome = run_workflow(lambda: loaded, options, LocalBackend())
    finally:
        if display is not None:
            display.close()
    try:
        if as_json:
            print_json(summary_json(outcome, loaded.workflow.name, tails.of_job))
        else:
            _print_summary(outcome, loaded.workflow.name, tails, directory)
        sys.stdout.flush()
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.EIO):
            raise
        drop_output()  # whoever listened is gone; how the run ended still counts
    return outcome.exit_code


def summary_json(outcome: Outcome, name: str, tails: Mapping[str, str]) -> dict[str, Any]:
    """Give the end of a run as it goes to programs (spec/oxoflow-format.md 5.7).

    `tails` is the end of what failed jobs wrote to stderr.
    """
    counts = outcome.counts
    words = {RunState.SUCCESS: "completed", RunState.CANCELLED: "cancelled"}
    return {
        "command": "run",
        "status": words.get(outcome.state, "failed"),
        "workflow": name,
        "run_id": outcome.run_id,
        "exit_code": outcome.exit_code,
        "duration_secs": round(outcome.duration_secs, 3),
        "error": outcome.error,
        "results": {
            "succeeded": counts.succeeded,
            "skipped": counts.skipped,
            "failed": counts.failed,
            "non_required_failed": counts.non_required_failed,
            "blocked": counts.blocked,
        },
        "failures": [
            {"job": job, "error": error, "stderr_tail": tails.get(job, "")}
            for job, error in outcome.failures
        ],
        "blocked": list(outcome.blocked),
        "ended": [
            {"pid": item.pid, "name": item.name, "signal": item.signal}
            for item in outcome.receipt.ended
        ],
        "left": outcome.receipt.left,
    }


def _options(
    invocation: Invocation,
    settings: Mapping[str, Any],
    observe: Callable[[Event], None] | None,
    launch: Launch | None,
) -> RunOptions:
    return RunOptions(
        workdir=Path(invocation.workdir),
        limits=invocation.limits(),
        plan=invocation.plan_options(),
        keep_going=invocation.keep_going,
        retry=invocation.retry,
        timeout=invocation.timeout,
        disk_reserve_mb=invocation.disk_reserve,
        enforce_memory=invocation.enforce_memory,
        skip_environments=invocation.skip_env_setup,
        cache=invocation.caching(),
        launch=launch,
        settings=settings,
        observe=observe,
    )


def _display(loaded: Loaded, directory: RunDirectory, invocation: Invocation) -> Display:
    def estimator() -> Estimator:
        state = State.view(directory.state)
        try:
            past = {name: row.wall_s for name, row in state.records().items() if row.wall_s}
        finally:
            state.close()
        capacity = find_capacity(loaded.workflow, invocation.limits())
        return Estimator(loaded.dag, past, usual_width(loaded.jobs, capacity))

    return open_display(sys.stdout, estimator)


class _Tails:
    """The last lines that failed jobs wrote, for the summary."""

    def __init__(self) -> None:
        self.of_job: dict[str, str] = {}

    def observe(self, event: Event) -> None:
        if event.type == "rule_failed" and event.job and not event.data.get("will_retry"):
            self.of_job[event.job] = str(event.data.get("stderr_tail") or "")


def _print_summary(outcome: Outcome, name: str, tails: _Tails, directory: RunDirectory) -> None:
    for job, error in outcome.failures[:_FAILURES_SHOWN]:
        print(f"\n{job}: {error}")
        for line in tails.of_job.get(job, "").splitlines()[-_TAIL_LINES:]:
            if line != f"oxoflow: {error}":  # what we wrote into its log has just been said
                print(f"    {_ESCAPES.sub('', line)}")
        if any(path.is_file() and path.stat().st_size for path in directory.job_logs(job)):
            print(f"    (all of it: oxoflow logs {shlex.quote(job)})")
    if len(outcome.failures) > _FAILURES_SHOWN:
        print(f"\nand {len(outcome.failures) - _FAILURES_SHOWN} more failures: oxoflow status")
    print(f"{name}: {outcome_words(outcome)}")
    if outcome.state is RunState.CANCELLED:
        print("'oxoflow resume' goes on with it")
    if outcome.error and not outcome.failures:
        print(f"oxoflow: {outcome.error}", file=sys.stderr)


RUNNING: tuple[Option, ...] = (
    value("-j", "--jobs", type=positive, default=1, metavar="N", help="jobs at once (default: 1)"),
    flag("-k", "--keep-going", help="after a failure go on with what does not need it"),
    value(
        "--timeout",
        type=duration,
        metavar="TIME",
        help="time limit of each attempt of a job (0: none)",
    ),
    value(
        "-r",
        "--retry",
        type=number,
        default=0,
        metavar="N",
        help="attempts more after a failure",
    ),
    value("--max-threads", type=positive, metavar="N", help="threads that jobs may use together"),
    value("--max-memory", type=memory, metavar="SIZE", help="memory that jobs may use together"),
    flag("--enforce-memory", help="end jobs that use more memory than they declare"),
    flag("--skip-env-setup", help="take environments to be there; look for none and make none"),
    *CACHING,
    value(
        "--disk-reserve", type=memory, metavar="SIZE", help="start nothing below this free space"
    ),
)
VERBS: Mapping[str, Verb] = {
    "run": Verb(
        "Run a workflow. Jobs whose outputs are there and whose command, inputs, scripts and "
        "environment have not changed are skipped.",
        (
            FILE,
            *RUNNING,
            *COMPOSING,
            *PLANNING,
            flag("--dry-run", help="show the plan and stop"),
            JSON,
            value("--launch", metavar="NONCE:FD:RUN_ID", help=""),
        ),
        start_run,
        overrides=True,
    )
}
