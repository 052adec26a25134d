"""What `status` says of a directory: its last run, and nothing that is over and done with."""

import os
import signal
import subprocess

import pytest

from oxoflow.engine.rundir import lock_holder
from tests.cli.conftest import command, environment
from tests.engine.running import records, wait_for
from tests.patience import PATIENCE, wait_until

RULE = """
[[rules]]
name = "{name}"
output = ["{name}.txt"]
shell = "{shell}"
"""
SLOW = RULE.format(name="slow", shell="touch slow.txt; until [ -e go ]; do sleep 0.02; done")


def write(here, *rules: str) -> None:
    (here / "main.oxoflow").write_text("[workflow]\nname = 'w'\n" + "".join(rules))


@pytest.fixture
def under_way(here):
    """A run whose one job is at work; gives its process."""
    write(here, SLOW, RULE.format(name="next", shell="touch next.txt"))
    run = subprocess.Popen(command("run"), cwd=here, env=environment(), stdout=subprocess.DEVNULL)
    wait_for(here / "slow.txt", run)
    wait_until(lambda: "slow" in (known := records(here)) and known["slow"].status == "started")
    yield run
    if run.poll() is None:
        run.send_signal(signal.SIGCONT)
        run.send_signal(signal.SIGTERM)
    run.wait(PATIENCE)


def test_a_failure_of_a_rule_that_was_taken_out_is_told_no_more(here, ox):
    good, bad = RULE.format(name="good", shell="touch good.txt"), RULE.format(name="bad", shell="!")
    write(here, bad, good)
    assert ox("run").code == 1
    assert "bad" in ox("status").out
    write(here, good)
    assert ox("run").code == 0
    found = ox("status", "--json").json
    assert (found["state"], found["failed"], found["jobs"]["done"]) == ("success", [], 1)
    assert "failed" not in ox("status").out


def test_the_jobs_that_a_run_did_not_ask_for_are_not_counted(here, ox):
    write(here, *(RULE.format(name=name, shell=f"touch {name}.txt") for name in "abc"))
    assert ox("run").code == 0
    assert ox("run", "-t", "b").code == 0
    assert ox("status", "--json").json["jobs"]["done"] == 1
    assert ox("run").code == 0
    assert ox("status", "--json").json["jobs"]["done"] == 3


def test_why_a_failed_job_runs_is_told_with_what_it_failed_of(here, ox):
    write(here, RULE.format(name="bad", shell="exit 3"), RULE.format(name="good", shell="true"))
    assert ox("run", "-k").code == 1
    told = ox("plan", "--why", "bad").out
    assert told == "bad runs: it did not finish the last time: exit code 3\n"
    assert "the last time: output validation: " in ox("plan", "--why", "good").out
    (job, _) = ox("plan", "--why", "bad", "--why", "good", "--json").json["jobs"]
    assert job["reasons"] == [{"part": "record", "old": "failed", "new": "exit code 3"}]


def test_a_plan_during_a_run_says_what_runs(under_way, here, ox):
    assert ox("plan", "--why", "slow").out == "slow runs: it is running now\n"
    assert ox("plan", "--why", "next").out == "next runs: it has not run yet\n"
    plan = ox("plan", "--json").json
    assert [job["reasons"][0]["old"] for job in plan["jobs"]] == ["started", "planned"]


def test_a_run_that_was_stopped_by_a_signal_says_so_and_can_be_cancelled(under_way, here, ox):
    os.kill(under_way.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, under_way.pid, os.WSTOPPED | os.WNOWAIT)
    found = ox("status", "--json").json
    assert (found["state"], found["suspended"]) == ("running", True)
    assert f"'kill -CONT {under_way.pid}'" in ox("status").out
    assert ox("cancel").code == 0
    assert under_way.wait(PATIENCE) == 143
    assert not (here / "slow.txt").exists()


def test_who_may_only_read_is_told_of_a_run_too(under_way, here, monkeypatch):
    real = os.open

    def open_to_read(path, flags, *rest, **more):
        if flags & (os.O_RDWR | os.O_WRONLY):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, flags, *rest, **more)

    monkeypatch.setattr(os, "open", open_to_read)
    assert lock_holder(here / ".oxo-flow/lock") == under_way.pid
    monkeypatch.undo()
    (here / "go").touch()
    wait_until(lambda: lock_holder(here / ".oxo-flow/lock") is None)


def test_a_path_through_a_link_and_up_again_means_what_the_system_means(here, ox):
    for place in ("real/inside", "elsewhere"):
        (here / place).mkdir(parents=True)
    (here / "elsewhere/link").symlink_to(here / "real/inside")
    write(here / "real", RULE.format(name="a", shell="touch a.txt"))
    assert ox("run", "elsewhere/link/../main.oxoflow").code == 0
    assert (here / "real/a.txt").exists()
    assert ox("status", "--workdir", "elsewhere/link/..").out.startswith(f"{here}/real: ")
    shared = here / "real/main.oxoflow"
    (here / "own").mkdir()
    (here / "own/main.oxoflow").symlink_to(shared)
    assert ox("run", "elsewhere/../own/main.oxoflow").code == 0
    assert (here / "own/a.txt").exists()
