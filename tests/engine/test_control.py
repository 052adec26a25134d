"""Pause, cancel and interrupt runs by messages and signals."""

import os
import signal
import threading
import time

import pytest

from oxoflow.engine.rundir import Launch, RunDirectory, RunState, write_control
from tests.engine.running import (
    DIAMOND,
    events,
    execute,
    kinds,
    processes_in,
    rule,
    start,
    wait_for,
    wait_until,
)


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
sleep 0.2
echo > ready
while true; do sleep 312; done
"""


@pytest.mark.parametrize("how", ["message", "signal"])
def test_cancel_ends_traps_detached_children_and_double_forks(tmp_path, how):
    process = start(tmp_path, rule("a", ESCAPES, output=["out"]))
    wait_for(tmp_path / "ready", process)
    if how == "message":
        write_control(
            RunDirectory(tmp_path).control,
            {"type": "cancel", "run_id": RunDirectory(tmp_path).read_run().run_id},
        )
    else:
        process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    assert process.wait(30) == 143
    process.stderr.close()
    assert time.monotonic() - began < 20
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


def test_interrupting_twice_does_not_wait_for_the_grace(tmp_path):
    text = rule("a", "trap '' TERM; echo > ready; while true; do sleep 313; done")
    process = start(tmp_path, text)
    wait_for(tmp_path / "ready", process)
    process.send_signal(signal.SIGINT)
    threading.Event().wait(0.3)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    process.stderr.close()
    assert time.monotonic() - began < 4.5
    assert processes_in(tmp_path) == []
