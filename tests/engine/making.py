"""Make jobs, workflows and planners for tests of the engine, in few words."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from oxoflow.engine.deciding import Decision, Verdict
from oxoflow.engine.load import DirectoryView, Loaded, load_text
from oxoflow.engine.outputs import verify
from oxoflow.engine.plan import Plan, Planner, PlanOptions
from oxoflow.engine.records import Done
from oxoflow.engine.state import State
from oxoflow.lang.model import FileSet, Job, Rule


@dataclass(frozen=True)
class Machine:
    """A capacity of round figures."""

    threads: int = 4
    memory_mb: int = 1000


def job(name, reads=(), writes=(), *, after=(), rule=None, **fields):
    """One job of a rule of its own."""
    files = {"input": FileSet(tuple(reads)), "output": FileSet(tuple(writes))}
    rule = rule or Rule(name, shell=f"make {name}", **files)
    return Job(name, rule, shell=f"make {name}", depends_on=tuple(after), **files, **fields)


def load(text: str, **options) -> Loaded:
    """A workflow from TOML without its head."""
    return load_text(f"[workflow]\nname = 'w'\n{text}", **options)


def planner(loaded: Loaded, state: State, workdir: Path, **options) -> Planner:
    """A planner for a directory."""
    return Planner(loaded, state, workdir, PlanOptions(**options), Machine())


def carry_out(text: str, workdir: Path, *, overrides=None, **options) -> list[str]:
    """Plan and run as the runner does, one job after another; gives the names that ran."""
    view = DirectoryView(str(workdir))
    loaded = load(text, view=view, overrides=overrides or {})
    (workdir / ".oxo-flow").mkdir(exist_ok=True)
    state = State(workdir / ".oxo-flow/state.sqlite")
    try:
        ahead = planner(loaded, state, workdir, **options)
        return _run(ahead, state, ahead.plan())
    finally:
        state.close()


def _run(ahead: Planner, state: State, plan: Plan) -> list[str]:
    ran = []
    for planned in plan.decisions:
        decision = ahead.decide(planned.index)
        if decision.verdict is Verdict.RUN:
            command = ahead.renderer.render(decision.job).command
            for path in decision.outputs:
                (Path(ahead.files.root) / path).parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["bash", "-c", command], cwd=ahead.files.root, check=True)
            ran.append(decision.job.name)
        elif not decision.adopt:
            continue
        key = ahead.fingerprint(decision)
        found = verify(ahead.files.root, decision.job.name, decision.outputs)
        done = Done(decision.job.name, "r", key.key, key.static, key.parts, found.present)
        state.apply([done, *ahead.files.take_learned()])
    return ran


def verdicts(text: str, workdir: Path, *, overrides=None, **options) -> dict[str, str]:
    """The plan as names and words."""
    return {
        name: decision.verdict.value
        for name, decision in decisions(text, workdir, overrides=overrides, **options).items()
    }


def decisions(text: str, workdir: Path, *, overrides=None, **options) -> dict[str, Decision]:
    """The plan by job name."""
    loaded = load(text, view=DirectoryView(str(workdir)), overrides=overrides or {})
    state = State.view(workdir / ".oxo-flow/state.sqlite")
    try:
        plan = planner(loaded, state, workdir, **options).plan()
    finally:
        state.close()
    return {decision.job.name: decision for decision in plan.decisions}
