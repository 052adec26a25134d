"""Show the plan of a run (`plan`, `dry-run`): verdicts and reasons, without running anything.

Owns its text and JSON forms (design, section 10); deciding is in `engine.plan`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from oxoflow.commands.arguments import Arguments, Verb
from oxoflow.commands.invocation import cache_place
from oxoflow.commands.loading import find_place, load
from oxoflow.commands.options import CACHING, COMPOSING, FILE, JSON, PLANNING, flag, several
from oxoflow.commands.output import plural
from oxoflow.engine.capacity import Limits, find_capacity
from oxoflow.engine.deciding import Decision, Reason, Verdict
from oxoflow.engine.explain import IN_RUN, explain, verdict_words
from oxoflow.engine.linked import Linked
from oxoflow.engine.load import DirectoryView, Loaded
from oxoflow.engine.notices import find_notices
from oxoflow.engine.options import RunOptions
from oxoflow.engine.plan import Plan, Planner, PlanOptions
from oxoflow.engine.reentry import Reentries
from oxoflow.engine.references import with_references
from oxoflow.engine.reuse import Caching, Reuse, origin_words
from oxoflow.engine.rundir import RunDirectory, lock_holder
from oxoflow.engine.select import jobs_called
from oxoflow.engine.state import State
from oxoflow.engine.tasks import needs_work
from oxoflow.engine.wording import missing_message

SCHEMA_VERSION = 1
_SEARCHED = 20


def plan_options(arguments: Arguments) -> PlanOptions:
    """Read the options that planning and running share."""
    return PlanOptions(
        targets=tuple(arguments.target),
        until=tuple(arguments.until),
        force=tuple(arguments.force),
        rerun=arguments.rerun,
        paranoid=arguments.paranoid,
        skip_references=arguments.skip_ref_build,
        modules=tuple(arguments.module),
    )


def show_plan(arguments: Arguments) -> int:
    """Plan and print."""
    place = find_place(arguments)
    loaded = load(arguments, place)
    state = State.view(RunDirectory(place.workdir).state)
    try:
        options = RunOptions(place.workdir, plan=plan_options(arguments))
        loaded = Reentries(state, place.workdir, options).replay(loaded)
        if not options.plan.skip_references:
            loaded = with_references(loaded, DirectoryView(str(place.workdir)))
        capacity = find_capacity(loaded.workflow, Limits())
        planner = Planner(loaded, state, place.workdir, options.plan, capacity)
        plan = with_reuse(planner.plan(), planner, cache_place(arguments))
        if arguments.why:
            wanted = {at for name in arguments.why for at in jobs_called(loaded.dag, name)}
            plan = Plan(tuple(d for d in plan.decisions if d.index in wanted), plan.summary)
            accepted = {d.job.name: state.acceptance(d.job.name) for d in plan.decisions}
            plan = replace(plan, decisions=tuple(_with_error(d, state) for d in plan.decisions))
        beside = planner.files.beside
        lacking = [
            missing_message(each, loaded.dag, beside, guess=at < _SEARCHED)
            for at, each in enumerate(planner.doomed(plan))
        ]
    finally:
        state.close()
    chosen = [decision for decision in plan.decisions if needs_work(decision)]
    notices = find_notices(chosen, loaded.dag, planner.renderer)
    for warning in (*planner.pipes.warnings, *notices, *lacking):
        print(f"oxoflow: warning: {planner.renderer.masked(warning)}", file=sys.stderr)
    if arguments.json:
        print(json.dumps(plan_json(plan, planner), indent=1))
        return 0
    live = lock_holder(RunDirectory(place.workdir).lock) is not None
    plan = replace(plan, decisions=tuple(_shown(d, planner, live) for d in plan.decisions))
    if arguments.why:
        lines = [explain(d, loaded.dag, accepted[d.job.name], beside) for d in plan.decisions]
    else:
        lines = _lines(plan, loaded, planner, commands=bool(arguments.commands))
    print("\n".join(planner.renderer.masked(line) for line in lines))
    return 0


def _with_error(decision: Decision, state: State) -> Decision:
    """Say of a job that failed what it failed of."""
    if decision.reasons != (Reason("record", "failed"),):
        return decision
    error = state.detail(decision.job.name).error
    return replace(decision, reasons=(Reason("record", "failed", error),))


def _shown(decision: Decision, planner: Planner, live: bool) -> Decision:
    """Mask whole values, before their words cut them: a part of a secret would not be known.

    What a `live` run is at work on was not interrupted.
    """
    masked = planner.renderer.masked
    found = [IN_RUN.get(reason, reason) if live else reason for reason in decision.reasons]
    reasons = tuple(
        Reason(reason.part, reason.old and masked(reason.old), reason.new and masked(reason.new))
        for reason in found
    )
    return replace(decision, reasons=reasons) if reasons else decision


def with_reuse(plan: Plan, planner: Planner, cache: str | None) -> Plan:
    """Give the plan with a word on the results that would be taken from other runs."""
    if cache is None:
        return plan
    root = planner.files.root
    reuse = Reuse(Caching(Path(cache)), planner, root, "", Linked(root, Path("/dev/null")))
    decisions = []
    for decision in plan.decisions:
        found = reuse.available(decision) if decision.verdict is Verdict.RUN else None
        if found is not None:
            reason = Reason("cache", None, origin_words(found[1]))
            decision = replace(decision, reasons=(reason, *decision.reasons))
        decisions.append(decision)
    return Plan(tuple(decisions), plan.summary)


def plan_json(plan: Plan, planner: Planner) -> dict[str, Any]:
    """Give the plan as it goes over the wire (design, section 10)."""
    return {
        "schema_version": SCHEMA_VERSION,
        "jobs": [_job_json(decision, planner) for decision in plan.decisions],
        "summary": dict(plan.summary),
    }


def _job_json(decision: Decision, planner: Planner) -> dict[str, Any]:
    rendered = planner.renderer.render(decision.job)
    command, masked = rendered.command, planner.renderer.masked
    return {
        "job": decision.job.name,
        "rule": decision.job.rule.name,
        "verdict": decision.verdict.value,
        "reasons": [
            {
                "part": masked(reason.part),
                "old": masked(reason.old) if reason.old else reason.old,
                "new": masked(reason.new) if reason.new else reason.new,
            }
            for reason in decision.reasons
        ],
        "command": masked(command) if command else command,
        "inputs": [masked(path) for path in rendered.inputs],
        "outputs": [masked(path) for path in rendered.outputs],
    }


def _lines(plan: Plan, loaded: Loaded, planner: Planner, *, commands: bool) -> list[str]:
    width = min(40, max((len(decision.job.name) for decision in plan.decisions), default=0))
    searched = 0  # looking for the nearest output is slow, and of use for the first few
    lines = []
    for decision in plan.decisions:
        searched += decision.verdict is Verdict.BLOCKED
        dag = loaded.dag if searched <= _SEARCHED else None
        words = verdict_words(decision, dag, planner.files.beside)
        line = f"{decision.verdict.value:<8} {decision.job.name:<{width}}  {words}".rstrip()
        lines.append("\n".join([line, *_work(decision, planner)]) if commands else line)
    return [
        *lines,
        f"{loaded.workflow.name}: {summary_words(plan.summary)}",
    ]


def _work(decision: Decision, planner: Planner) -> list[str]:
    """Give what a job would do: the files it reads and makes, and its command as it would run."""
    rendered = planner.renderer.render(decision.job)
    lines = [f"    reads   {path}" for path in rendered.inputs]
    lines += [f"    writes  {path}" for path in rendered.outputs]
    command = (rendered.command or "").strip("\n")
    return lines + [f"    $ {line}".rstrip() for line in command.splitlines()]


def summary_words(summary: Mapping[str, int]) -> str:
    """Word the counts of a plan."""
    words = {
        Verdict.RUN: "to run",
        Verdict.CHECK: "to check",
        Verdict.SKIP: "up to date or skipped",
        Verdict.BLOCKED: "blocked",
    }
    counted = [f"{summary[key.value]} {text}" for key, text in words.items() if summary[key.value]]
    return f"{plural(summary['jobs'], 'job')}: {', '.join(counted) or 'nothing to do'}"


_WHY = several("--why", metavar="JOB", help="say in words why this job, rule or output runs or not")
_COMMANDS = flag(
    "--commands", help="show what each job reads, writes and runs, wildcards filled in"
)
_VERB = Verb(
    "Say what a run would do, and why. Runs and writes nothing.",
    (FILE, *COMPOSING, *PLANNING, *CACHING, _WHY, _COMMANDS, JSON),
    show_plan,
    overrides=True,
)
VERBS: Mapping[str, Verb] = {"plan": _VERB, "dry-run": _VERB}
