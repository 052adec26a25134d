"""Stand in for the runner: keep its side of the protocol, and do what the submitted text says.

The text is Python, or a workflow with Python as `config.script`. `emit`, `wait` (for a file to
appear), `end` and what is imported here is known.
"""

import argparse
import os
import signal
import sys
import time
from pathlib import Path

import tomli
from msgspec.structs import replace

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from oxoflow.engine.events import EventWriter, timestamp
from oxoflow.engine.rundir import (
    RunDirectory,
    RunRecord,
    RunState,
    WorkdirLock,
    await_launch,
    identify,
    read_control,
)

parser = argparse.ArgumentParser()
parser.add_argument("command")
parser.add_argument("file", type=Path)
parser.add_argument("--workdir", type=Path)
parser.add_argument("-j", type=int)
parser.add_argument("-k", action="store_true")
parser.add_argument("--config-file")
parser.add_argument("--target", action="append", default=[])
parser.add_argument("--samples", action="append", default=[])
parser.add_argument("--cache")
parser.add_argument("--cache-size")
parser.add_argument("--launch")
given = parser.parse_args()

launch = await_launch(given.launch)
if launch is None:
    sys.exit(0)
os.chdir(given.workdir)
directory = RunDirectory(given.workdir)
directory.create()
lock = WorkdirLock(directory.lock)
lock.acquire()
me = identify(os.getpid())
record = RunRecord(
    launch.run_id, launch.nonce, me.pid, me.start_time, me.boot_id, timestamp(time.time())
)
events = EventWriter(directory.events)
told = []


def begin() -> None:
    directory.write_run(record)
    events.emit("run_started", workflow_name="w", jobs_total=1)


def emit(type_: str, job: str | None = None, **data: object) -> None:
    events.emit(type_, job, job, **data)


def wait(name: str = "") -> None:
    """Until the file is there, or, without a name, until the server says something."""
    while not (Path(name).exists() if name else told):
        time.sleep(0.01)


def end(state: str = "success", code: int = 0, **more: object) -> None:
    directory.write_run(
        replace(
            record,
            state=RunState(state),
            exit_code=code,
            finished_at=timestamp(time.time()),
            **more,
        )
    )
    emit({"success": "run_completed"}.get(state, f"run_{state}"), None, status=state)
    sys.exit(code)


def noticed(number: int, frame: object) -> None:
    told.extend(message.type for message in read_control(directory.control))
    told.append(signal.Signals(number).name)


signal.signal(signal.SIGTERM, noticed)
signal.signal(signal.SIGUSR1, noticed)
Path("pid").write_text(str(os.getpid()))
Path("argv").write_text("\n".join(sys.argv[1:]))
if given.config_file:
    Path("config").write_text(sys.stdin.read())
text = given.file.read_text()
if text.startswith("[workflow]"):
    text = tomli.loads(text)["config"]["script"]
exec(compile(text, str(given.file), "exec"))
