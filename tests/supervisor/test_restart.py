"""Runs survive their server, and are found again by the process that was recorded."""

import os
import shutil
import signal
import sqlite3
import subprocess

from msgspec.structs import replace

from oxoflow.db.instants import instant
from oxoflow.db.runs import Run, Status, requeue_run
from oxoflow.engine.identity import ProcessIdentity, identify
from oxoflow.supervisor import Kind, launch
from tests.supervisor.conftest import (
    OBEDIENT,
    PATIENT,
    SIMPLE,
    TERMINAL,
    Desk,
    Until,
    over,
    started,
)


def test_a_run_goes_on_without_a_supervisor_and_is_taken_up_again(desk: Desk, until: Until) -> None:
    desk.supervisor()
    run = desk.submit(PATIENT)
    until(lambda: started(desk, run))
    desk.supervisor()
    (desk.directory(run) / "go").touch()
    done = until(lambda: over(desk, run))
    assert done.status is Status.SUCCESS
    types = [name for name in desk.types(run.id) if name != "run_queued"]
    assert types == ["run_started", "rule_started", "rule_completed", "run_completed"]
    assert [event.seq for event in desk.events(run.id) if event.seq] == [1, 2, 3]


def test_a_run_that_ended_while_nobody_looked_gets_its_true_end(desk: Desk, until: Until) -> None:
    desk.supervisor()
    run = desk.submit(PATIENT)
    until(lambda: started(desk, run))
    desk.supervisors[-1].stop()
    (desk.directory(run) / "go").touch()
    identity = desk.now(run.id).identity
    until(lambda: not identity.alive())
    assert desk.now(run.id).status is Status.RUNNING
    desk.supervisor()
    assert until(lambda: over(desk, run)).status is Status.SUCCESS
    assert [name for name in desk.types(run.id) if name in TERMINAL] == ["run_completed"]


def test_a_cancel_asked_of_a_dying_server_is_carried_out_by_the_next(
    desk: Desk, until: Until
) -> None:
    desk.supervisor()
    run = desk.submit(OBEDIENT)
    until(lambda: started(desk, run))
    desk.supervisors[-1].stop()
    desk.db.write(
        lambda c: c.execute(
            "UPDATE runs SET cancel_requested_at = ?, phase = 'cancelling'", (instant(),)
        )
    )
    desk.supervisor()
    assert until(lambda: over(desk, run)).status is Status.CANCELLED


def test_a_runner_that_never_began_is_queued_again_and_runs_once(desk: Desk, until: Until) -> None:
    desk.variables["OXO_FLOW_MAX_RUNS"] = "0"
    desk.supervisor()
    run = desk.submit(SIMPLE)
    desk.supervisors[-1].stop()
    desk.start(run, ProcessIdentity(os.getpid(), 1, "other"))  # recorded, then the server died
    desk.variables["OXO_FLOW_MAX_RUNS"] = "1"
    desk.supervisor()
    assert until(lambda: over(desk, run)).status is Status.SUCCESS
    assert desk.types(run.id).count("run_started") == 1


def test_a_runner_whose_server_dies_before_its_word_does_nothing(desk: Desk) -> None:
    run = desk.row()
    directory = desk.workspace.create("ann", run.id, {"workflow.oxoflow": SIMPLE.encode()})
    command = launch.workflow_command(run, directory, 1)
    launched = launch.launch(run, directory, command, {"PATH": "/usr/bin:/bin"})
    launched.abandon()
    assert launched.process.returncode == 0
    assert not (directory / "pid").exists()
    assert not (directory / ".oxo-flow/run.json").exists()


def test_a_lost_runner_fails_the_run(desk: Desk, until: Until) -> None:
    desk.supervisor()
    run = desk.submit(PATIENT)
    until(lambda: started(desk, run))
    desk.supervisors[-1].stop()
    os.kill(desk.now(run.id).identity.pid, signal.SIGKILL)
    desk.supervisor()
    done = until(lambda: over(desk, run))
    assert done.status is Status.FAILED
    assert done.error.startswith("lost:")


def test_a_run_whose_directory_is_removed_fails_with_that_reason(desk: Desk, until: Until) -> None:
    desk.supervisor()
    run = desk.submit(PATIENT)
    until(lambda: started(desk, run))
    shutil.rmtree(desk.directory(run))
    os.kill(desk.now(run.id).identity.pid, signal.SIGKILL)
    done = until(lambda: over(desk, run))
    assert done.status is Status.FAILED
    assert "directory was removed while it ran" in done.error


def test_a_process_that_is_not_the_recorded_one_is_never_signalled(
    desk: Desk, until: Until
) -> None:
    desk.supervisor()
    run = desk.submit("begin(); wait('go'); Path('told').write_text(repr(told)); end()")
    until(lambda: started(desk, run))
    desk.supervisors[-1].stop()
    pid = desk.now(run.id).identity.pid
    desk.db.write(lambda c: c.execute("UPDATE runs SET start_time = start_time + 1"))
    supervisor = desk.supervisor()
    done = until(lambda: over(desk, run))
    assert done.status is Status.FAILED
    assert supervisor.cancel(done, 0).status is Status.FAILED
    (desk.directory(run) / "go").touch()
    until(lambda: not alive(pid))
    assert (desk.directory(run) / "told").read_text() == "[]"


def alive(pid: int) -> bool:
    identity = identify(pid)
    return identity is not None and identity.alive()


def test_a_stranger_with_the_recorded_pid_survives_a_cancel(desk: Desk, until: Until) -> None:
    with subprocess.Popen(["sleep", "600"]) as stranger:
        try:
            real = identify(stranger.pid)
            run = desk.row()
            desk.workspace.create("ann", run.id, {})
            desk.start(run, replace(real, start_time=real.start_time - 1))
            supervisor = desk.supervisor()  # not before: it would start what waits
            supervisor.cancel(desk.now(run.id), 0.2)
            assert stranger.poll() is None
        finally:
            stranger.kill()


def revive(connection: sqlite3.Connection, run: Run) -> None:
    requeue_run(connection, run.id)


def test_a_lost_run_of_a_kind_that_is_revived_goes_on(desk: Desk, until: Until) -> None:
    desk.kinds["workflow"] = Kind(launch.workflow_command, revive=revive)
    desk.supervisor()
    run = desk.submit(
        "begin(); again = Path('again'); again.exists() or again.touch() or"
        " os.kill(os.getpid(), signal.SIGKILL); end()"
    )
    assert until(lambda: over(desk, run)).status is Status.SUCCESS
    types = [name for name in desk.types(run.id) if name != "run_queued"]
    assert types == ["run_started", "run_started", "run_completed"]


def test_a_runner_killed_before_its_first_record_is_revived_too(desk: Desk, until: Until) -> None:
    desk.kinds["workflow"] = Kind(launch.workflow_command, revive=revive)
    desk.supervisor()
    lives = "count = Path('lives'); count.write_text((count.exists() and count.read_text() or '') +"
    run = desk.submit(
        f"{lives} 'x'); n = len(count.read_text()); n == 1 and begin();"
        " n < 3 and os.kill(os.getpid(), signal.SIGKILL); begin(); end()"
    )
    assert until(lambda: over(desk, run)).status is Status.SUCCESS
    assert (desk.directory(run) / "lives").read_text() == "xxx"


def test_a_runner_killed_after_it_recorded_its_success_has_succeeded(
    desk: Desk, until: Until
) -> None:
    desk.supervisor()
    run = desk.submit(
        "begin(); directory.write_run(replace(record, state=RunState.SUCCESS, exit_code=0));"
        " os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert until(lambda: over(desk, run)).status is Status.SUCCESS


def test_a_runner_that_refuses_to_begin_is_not_revived(desk: Desk, until: Until) -> None:
    desk.kinds["workflow"] = Kind(launch.workflow_command, revive=revive)
    desk.supervisor()
    run = desk.submit("sys.exit('no such thing')")
    done = until(lambda: over(desk, run))
    assert (done.status, done.error) == (Status.FAILED, "no such thing")


def test_a_parked_run_is_not_started_until_it_is_queued(desk: Desk, until: Until) -> None:
    desk.variables["OXO_FLOW_MAX_RUNS"] = "0"
    desk.supervisor()
    parked, other = desk.submit(SIMPLE), desk.submit(SIMPLE)
    desk.db.write(
        lambda c: c.execute("UPDATE runs SET phase = 'paused' WHERE id = ?", (parked.id,))
    )
    desk.variables["OXO_FLOW_MAX_RUNS"] = "4"
    supervisor = desk.supervisor()
    until(lambda: over(desk, other))
    assert desk.now(parked.id).status is Status.PENDING
    desk.db.write(
        lambda c: c.execute("UPDATE runs SET phase = 'queued' WHERE id = ?", (parked.id,))
    )
    supervisor.look()
    assert until(lambda: over(desk, parked)).status is Status.SUCCESS
