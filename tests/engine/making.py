"""Make jobs, workflows and planners for tests of the engine, in few words."""

from dataclasses import dataclass
from pathlib import Path

from oxoflow.engine.load import Loaded, load_text
from oxoflow.engine.plan import Planner, PlanOptions
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
