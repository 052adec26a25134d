"""Run small workflows in a directory, in this process or as a program, and read what came of it."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from unittest.mock import patch

from oxoflow.backends.local import LocalBackend
from oxoflow.engine.capacity import Limits
from oxoflow.engine.events import EventLine, read_events
from oxoflow.engine.files import WorkFiles
from oxoflow.engine.load import load_text
from oxoflow.engine.options import Outcome, RunOptions
from oxoflow.engine.plan import PlanOptions
from oxoflow.engine.process import children_of
from oxoflow.engine.records import Record
from oxoflow.engine.rundir import RunDirectory
from oxoflow.engine.runner import run
from oxoflow.engine.state import State
from tests.patience import CORES, wait_until

PROGRAM = """
import os
import sys
from pathlib import Path
from oxoflow.engine.reuse import Caching
from tests.engine.running import execute

workdir = Path(sys.argv[1])
text = (workdir / "w.oxoflow").read_text()
shared = os.environ.get("SHARED_CACHE")
cache = Caching(Path(shared)) if shared else None
outcome = execute(workdir, text, slots=int(sys.argv[2]), cache=cache)
sys.exit(outcome.exit_code)
"""
ROOT = Path(__file__).parent.parent.parent


def execute(
    workdir: Path,
    text: str,
    *,
    slots: int = 2,
    max_threads: int | None = None,
    max_memory_mb: int | None = None,
    plan: PlanOptions | None = None,
    **options,
) -> Outcome:
    """Run a workflow given without its head, with the same number of cores everywhere."""
    chosen = RunOptions(
        workdir,
        limits=Limits(slots, max_threads, max_memory_mb),
        plan=plan or PlanOptions(),
        **options,
    )
    with patch("oxoflow.engine.capacity.machine_threads", return_value=CORES):
        return run(
            lambda: load_text(f"[workflow]\nname = 'w'\n{text}", view=WorkFiles(str(workdir))),
            chosen,
            LocalBackend(),
        )


def start(
    workdir: Path, text: str, slots: int = 2, program: str = PROGRAM, **environment: str
) -> subprocess.Popen:
    """Run a workflow as a program of its own, to be killed or waited for."""
    (workdir / "w.oxoflow").write_text(text)
    return subprocess.Popen(
        [sys.executable, "-c", program, str(workdir), str(slots)],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def events(workdir: Path, *types: str) -> list[EventLine]:
    """The events of a directory, of the given types or all."""
    found, _ = read_events(RunDirectory(workdir).events)
    return [event for event in found if not types or event.type in types]


def event_of(workdir: Path, job: str, type: str) -> EventLine:
    """The newest event of a type about a job."""
    return [event for event in events(workdir, type) if event.job == job][-1]


def kinds(workdir: Path) -> Counter[str]:
    """How many events of each type."""
    return Counter(event.type for event in events(workdir))


def records(workdir: Path) -> dict[str, Record]:
    """What the state file says about the jobs."""
    state = State.view(RunDirectory(workdir).state)
    try:
        return state.records()
    finally:
        state.close()


def processes_in(workdir: Path) -> list[str]:
    """The command lines of live processes that work below a directory, whatever they hide."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            place = os.readlink(f"/proc/{name}/cwd")
            with open(f"/proc/{name}/cmdline", "rb") as handle:
                line = handle.read().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if Path(place).is_relative_to(workdir):
            found.append(line)
    return found


def rule(name: str, shell: str, **fields: object) -> str:
    """One rule as TOML; strings, numbers, lists and inline tables as given."""
    lines = ["[[rules]]", f'name = "{name}"', f"shell = '''{shell}'''"]
    lines += [f"{key} = {_toml(value)}" for key, value in fields.items()]
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"'{value}'"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + "}"
    return str(value)


def wait_for(path: Path, process: subprocess.Popen | None = None) -> None:
    """Wait until a file is there; a process that is to make it must not end before."""

    def there() -> bool:
        ended = process is not None and process.poll() is not None
        if path.exists():
            return True
        said = process.stderr.read() if ended and process.stderr else ""
        assert not ended, f"ended without {path}: {said}"
        return False

    wait_until(there)


def watchdog_of(runner: subprocess.Popen) -> int:
    """The pid of a runner's one watchdog; just begun, it has no command line for a moment."""

    def found() -> list[int]:
        return [pid for pid in children_of(runner.pid) if b"engine.watchdog" in cmdline(pid)]

    (pid,) = wait_until(found)
    return pid


def cmdline(pid: int) -> bytes:
    """The command line of a process; empty when it is gone."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as handle:
            return handle.read()
    except OSError:
        return b""


DIAMOND = (
    rule("top", "echo 1 > top", output=["top"])
    + rule("left", "cat top top > left", input=["top"], output=["left"])
    + rule("right", "cat top > right", input=["top"], output=["right"])
    + rule("merge", "cat left right > merge", input=["left", "right"], output=["merge"])
)
