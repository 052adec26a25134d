"""End what a killed runner leaves: at once by its watchdog, else by the next run."""

import os
import signal
import subprocess

from msgspec.structs import replace

from oxoflow.engine.identity import all_processes, identify, read_stat
from oxoflow.engine.recovery import end_abandoned
from oxoflow.engine.rundir import RunDirectory, RunRecord, RunState
from tests.engine.running import execute, kinds, processes_in, rule, start, wait_for, watchdog_of
from tests.patience import PATIENCE, wait_until


def test_what_a_killed_runner_leaves_is_ended_at_once_by_its_watchdog(tmp_path):
    text = rule(
        "a",
        "trap '' TERM; setsid sleep 333 & env -i setsid sleep 334 & "
        "(setsid env -i bash -c 'sleep 335 & sleep 336' &); echo > ready; sleep 337",
    )
    process = start(tmp_path, text)
    wait_for(tmp_path / "ready", process)
    dog = watchdog_of(process)
    process.kill()
    process.wait()
    process.stderr.close()
    wait_until(lambda: processes_in(tmp_path) == [])
    wait_until(lambda: has_ended(dog))
    record = RunDirectory(tmp_path).read_run()
    assert record is not None
    assert record.state is RunState.RUNNING, "what is recorded is for the next run to say"


def test_a_watchdog_leaves_alone_what_is_not_of_its_run(tmp_path):
    text = rule("a", "echo > ready; until [ -e go ]; do sleep 0.02; done; echo > a", output=["a"])
    process = start(tmp_path, text)
    wait_for(tmp_path / "ready", process)
    dog = watchdog_of(process)
    record = RunDirectory(tmp_path).read_run()
    assert record is not None
    end_abandoned(RunDirectory(tmp_path), "another run")
    end_abandoned(RunDirectory(tmp_path), record.run_id)  # its runner lives and holds the lock
    (tmp_path / "go").touch()
    assert process.wait(PATIENCE) == 0
    process.stderr.close()
    assert has_ended(dog)


def test_a_watchdog_that_is_late_leaves_alone_who_ran_after_its_run(tmp_path, monkeypatch):
    directory = RunDirectory(tmp_path)
    directory.create()
    me = identify(os.getpid())
    record = RunRecord("dead", None, me.pid, me.start_time, me.boot_id, "")
    directory.write_run(record)

    def look_while_the_next_run_comes_to_its_end():
        found = all_processes()
        directory.write_run(replace(record, run_id="next", state=RunState.SUCCESS))
        return found

    monkeypatch.setattr(
        "oxoflow.engine.ending.all_processes", look_while_the_next_run_comes_to_its_end
    )
    with (directory.logs / "a.out").open("wb") as log:
        with subprocess.Popen(["sleep", "600"], stdout=log) as of_the_next_run:
            receipt = end_abandoned(directory, "dead")
            assert of_the_next_run.poll() is None
            of_the_next_run.kill()
    assert receipt.ended == ()


def has_ended(pid):
    stat = read_stat(pid)
    return stat is None or stat.state in "ZX"


def test_a_dead_runner_s_jobs_are_ended_and_their_outputs_removed_by_the_next_run(tmp_path):
    text = rule("done", "echo > done", output=["done"]) + rule(
        "a",
        "[ -e again ] && { echo whole > out; exit; }; echo half > out; "
        "setsid sleep 314 & env -i setsid sleep 315 & echo > ready; sleep 316",
        output=["out"],
        depends_on=["done"],
    )
    process = start(tmp_path, text)
    wait_for(tmp_path / "ready", process)
    wait_until(lambda: kinds(tmp_path)["rule_started"] == 2)
    dog = watchdog_of(process)
    os.kill(dog, signal.SIGKILL)
    process.kill()
    process.wait()
    process.stderr.close()
    assert processes_in(tmp_path) != []
    assert (tmp_path / "out").read_text() == "half\n"
    (tmp_path / "again").touch()
    outcome = execute(tmp_path, text)
    assert outcome.exit_code == 0
    assert processes_in(tmp_path) == []
    assert (tmp_path / "out").read_text() == "whole\n"
    assert outcome.counts.skipped == 1, "what was done is not done again"
    assert not (tmp_path / "out.oxo-failed").exists()


def test_a_result_that_was_being_overwritten_when_the_power_went_is_set_aside(tmp_path):
    execute(tmp_path, rule("a", "echo one > out", output=["out"]))
    text = rule("a", "echo two-half > out; echo > ready; sleep 317", output=["out"])
    process = start(tmp_path, text)
    wait_for(tmp_path / "ready", process)
    process.kill()
    process.wait()
    process.stderr.close()
    outcome = execute(tmp_path, rule("a", "echo one > out", output=["out"]))
    assert outcome.counts.succeeded == 1
    assert (tmp_path / "out").read_text() == "one\n"
    assert (tmp_path / "out.oxo-failed").read_text() == "two-half\n"
    assert processes_in(tmp_path) == []
