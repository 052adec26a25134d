"""Pause, cancel and interrupt runs by messages and signals."""

import contextlib
import os
import signal
import threading
from pathlib import Path

import pytest

from oxoflow.engine.rundir import Launch, RunDirectory, RunState, write_control
from tests.engine.running import (
    DIAMOND,
    PROGRAM,
    events,
    execute,
    kinds,
    processes_in,
    records,
    rule,
    start,
    wait_for,
)
from tests.patience import PATIENCE, wait_until


def test_pause_starts_nothing_new_until_resume(tmp_path):
    control = RunDirectory(tmp_path).control
    text = rule("a", "echo > started; until [ -e go ]; do sleep 0.01; done") + rule(
        "b", "echo > b", depends_on=["a"]
    )
    done = threading.Event()
    outcomes = []

    def work():
        outcomes.append(execute(tmp_path, text, launch=Launch("n", "r")))
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    wait_for(tmp_path / "started")
    write_control(control, {"type": "pause"})
    wait_until(lambda: kinds(tmp_path)["run_paused"] == 1)
    (tmp_path / "go").touch()
    wait_until(lambda: kinds(tmp_path)["rule_completed"] == 1)
    assert not done.wait(0.3)
    assert not (tmp_path / "b").exists()
    write_control(control, {"type": "resume"})
    thread.join()
    assert outcomes[0].exit_code == 0
    assert kinds(tmp_path)["run_resumed"] == 1


def test_a_message_to_an_earlier_run_is_dropped(tmp_path):
    RunDirectory(tmp_path).create()
    write_control(RunDirectory(tmp_path).control, {"type": "cancel", "run_id": "old"})
    assert execute(tmp_path, DIAMOND).exit_code == 0
    assert os.listdir(RunDirectory(tmp_path).control) == []


ESCAPES = """
setsid sleep 307 &
trap '' TERM
mark=$PWD/escape-marker
env -i setsid sleep 308 & (setsid sleep 309 &) ; (env -i setsid sleep 310 &)
bash -c "trap '' TERM; exec -a '$mark' sleep 311" &
echo half > out
echo > ready
while true; do sleep 312; done
"""
# What is killed is waited for, however long the machine needs for that.
UNHURRIED = """
from functools import partial
from oxoflow.engine import rulerun
rulerun.end_run = partial(rulerun.end_run, limit=2e6)
"""
ESCAPED = [*(f"sleep {number} " for number in (307, 308, 309, 310, 312)), "escape-marker 311 "]


@pytest.mark.parametrize("how", ["message", "signal"])
def test_cancel_ends_traps_detached_children_and_double_forks(tmp_path, how):
    process = start(tmp_path, rule("a", ESCAPES, output=["out"]), program=UNHURRIED + PROGRAM)
    wait_for(tmp_path / "ready", process)

    def all_have_become_what_they_are_to_be() -> bool:
        lines = processes_in(tmp_path)
        return all(any(line.endswith(name) for line in lines) for name in ESCAPED)

    wait_until(all_have_become_what_they_are_to_be)
    if how == "message":
        write_control(
            RunDirectory(tmp_path).control,
            {"type": "cancel", "run_id": RunDirectory(tmp_path).read_run().run_id},
        )
    else:
        process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 143
    process.stderr.close()
    record = RunDirectory(tmp_path).read_run()
    assert record is not None
    assert (record.state, record.left) == (RunState.CANCELLED, 0)
    names = {ended["name"] for ended in record.ended}
    assert {"sleep", "bash"} <= names
    assert {ended["signal"] for ended in record.ended} == {"SIGTERM", "SIGKILL"}
    last = events(tmp_path)[-1]
    assert last.type == "run_cancelled"
    assert last.data["ended"] == [dict(ended) for ended in record.ended]
    assert processes_in(tmp_path) == []
    assert not (tmp_path / "out").exists()


ENDLESS_GRACE = UNHURRIED.replace("limit=", "grace=1e6, limit=")


def test_interrupting_twice_does_not_wait_for_the_grace(tmp_path):
    text = rule("a", "trap 'echo > asked' TERM; echo > ready; while true; do sleep 313; done")
    process = start(tmp_path, text, program=ENDLESS_GRACE + PROGRAM)
    wait_for(tmp_path / "ready", process)
    process.send_signal(signal.SIGINT)
    wait_for(tmp_path / "asked", process)
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 130
    process.stderr.close()
    assert processes_in(tmp_path) == []


@pytest.mark.parametrize("how", ["signal", "message"])
@pytest.mark.parametrize("files", [1, 2])
def test_a_cancel_is_heard_while_large_inputs_are_read(tmp_path, how, files):
    names = ["big", "other"][:files]
    for name in names:
        (tmp_path / name).write_text("small")
    text = rule("a", "cat {input} > {output}", input=names, output=["a"])
    assert execute(tmp_path, text).exit_code == 0
    for name in names:
        os.truncate(tmp_path / name, 2**40)  # nobody reads that within anybody's patience
    process = start(tmp_path, text)
    open_files = Path(f"/proc/{process.pid}/fd")
    wait_until(lambda: any(path.name == "big" for path in _targets(open_files)))
    if how == "message":
        write_control(RunDirectory(tmp_path).control, {"type": "cancel"})
    process.send_signal(signal.SIGINT if how == "signal" else signal.SIGUSR1)
    assert process.wait(PATIENCE) == (130 if how == "signal" else 143)
    process.stderr.close()
    record = RunDirectory(tmp_path).read_run()
    assert record is not None
    assert record.state is RunState.CANCELLED
    assert events(tmp_path)[-1].type == "run_cancelled"
    assert records(tmp_path)["a"].status == "done"


def _targets(folder):
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            with contextlib.suppress(OSError):
                yield path.readlink()
