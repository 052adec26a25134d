"""Cancelling: waiting, live, stubborn and stopped runs."""

import json
import os
import signal

from oxoflow.db.runs import Phase, Run, Status
from oxoflow.engine.identity import read_stat
from tests.patience import PATIENCE
from tests.supervisor.conftest import OBEDIENT, SIMPLE, TERMINAL, Desk, Until, started


def test_cancelling_a_live_run_ends_its_runner_and_keeps_the_receipt(
    desk: Desk, until: Until
) -> None:
    supervisor = desk.supervisor()
    run = desk.submit(OBEDIENT)
    until(lambda: started(desk, run))
    done = supervisor.cancel(desk.now(run.id), PATIENCE)
    assert (done.status, done.left_alive) == (Status.CANCELLED, 0)
    assert done.ended == ({"pid": 7, "name": "sleep"},)
    assert [name for name in desk.types(run.id) if name in TERMINAL] == ["run_cancelled"]
    (message,) = (desk.directory(run) / ".oxo-flow/control").glob("*.json")
    assert json.loads(message.read_text())["type"] == "cancel"


def test_cancelling_a_waiting_run_never_starts_it(desk: Desk) -> None:
    desk.variables["OXO_FLOW_MAX_RUNS"] = "0"
    supervisor = desk.supervisor()
    run = desk.submit(SIMPLE)
    done = supervisor.cancel(run, 0)
    assert (done.status, done.started_at, done.left_alive) == (Status.CANCELLED, None, 0)
    desk.variables["OXO_FLOW_MAX_RUNS"] = "4"
    desk.supervisor()
    later = desk.submit(SIMPLE)
    wait_for_end = desk.supervisors[-1]
    wait_for_end.cancel(later, PATIENCE)
    assert not (desk.directory(run) / "pid").exists()
    assert desk.now(run.id).status is Status.CANCELLED


def test_a_cancel_that_takes_longer_is_answered_cancelling_and_ends_later(
    desk: Desk, until: Until
) -> None:
    supervisor = desk.supervisor()
    run = desk.submit("begin(); wait(); wait('go'); end('cancelled', 143)")
    until(lambda: started(desk, run))
    now = supervisor.cancel(desk.now(run.id), 0.05)
    assert (now.status, now.phase) == (Status.RUNNING, Phase.CANCELLING)
    (desk.directory(run) / "go").touch()
    assert supervisor.cancel(now, PATIENCE).status is Status.CANCELLED


def test_a_run_that_succeeds_before_it_hears_of_the_cancel_is_a_success(
    desk: Desk, until: Until
) -> None:
    supervisor = desk.supervisor()
    run = desk.submit("begin(); wait(); end('success', 0)")
    until(lambda: started(desk, run))
    assert supervisor.cancel(desk.now(run.id), PATIENCE).status is Status.SUCCESS


def test_a_stopped_runner_can_be_cancelled(desk: Desk, until: Until) -> None:
    supervisor = desk.supervisor()
    run = desk.submit(
        "begin(); os.kill(os.getpid(), signal.SIGSTOP); wait(); end('cancelled', 143)"
    )
    until(lambda: started(desk, run))
    until(lambda: stopped(desk.now(run.id)))
    assert supervisor.cancel(desk.now(run.id), PATIENCE).status is Status.CANCELLED


def stopped(run: Run) -> bool:
    stat = read_stat(run.identity.pid)
    return stat is not None and stat.state == "T"


def test_a_runner_killed_during_a_cancel_leaves_the_run_cancelled_with_a_count(
    desk: Desk, until: Until
) -> None:
    supervisor = desk.supervisor()
    left = "subprocess.Popen(['sleep', '600'], env={'OXORUN_ID': launch.run_id})"
    run = desk.submit(
        f"import subprocess; begin(); child = {left}; Path('child').write_text(str(child.pid));"
        " wait(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    until(lambda: started(desk, run))
    done = supervisor.cancel(desk.now(run.id), PATIENCE)
    os.kill(int((desk.directory(run) / "child").read_text()), signal.SIGKILL)
    assert (done.status, done.left_alive) == (Status.CANCELLED, 1)
