"""Executions of one batch: so many at a time as it asked for, in order, whatever server looks."""

import uuid
from functools import partial

from oxoflow.db.executions import Batch, insert_execution
from oxoflow.db.instants import instant
from oxoflow.db.queue import waiting_line
from oxoflow.db.runs import NewRun, Options, Run, Status
from oxoflow.workspace import WORKFLOW_FILE
from tests.supervisor.conftest import PATIENT, SIMPLE, Desk, Until, over, started


def submit(desk: Desk, batch: Batch, user: str = "ann", at: float = 1.7e9) -> Run:
    """Queue a member of a batch; many of them came in the same millisecond."""
    new = NewRun(str(uuid.uuid4()), desk.users[user], "w", 1, instant(at), Options(max_jobs=1))
    desk.workspace.create(user, new.id, {WORKFLOW_FILE: PATIENT.encode()})
    desk.supervisors[-1].submit(
        new, lambda c: insert_execution(c, new.id, new.user_id, "graph", batch)
    )
    return desk.now(new.id)


def let_go(desk: Desk, run: Run, until: Until) -> None:
    (desk.directory(run) / "go").touch()
    assert until(lambda: over(desk, run)).status is Status.SUCCESS


def line(desk: Desk) -> list[str]:
    return [run for run, _ in waiting_line(desk.db.read())]


def test_a_batch_starts_no_more_than_it_asked_for_and_keeps_its_order(
    desk: Desk, until: Until
) -> None:
    desk.supervisor()
    batch = Batch(str(uuid.uuid4()), 1)
    runs = [submit(desk, batch) for _ in range(3)]
    other = desk.submit(PATIENT, max_jobs=1)  # of the same user, behind them all
    until(lambda: started(desk, runs[0]) and started(desk, other))
    assert [desk.now(run.id).status for run in runs[1:]] == [Status.PENDING] * 2
    told = until(lambda: [each for each in desk.events(runs[1].id) if each.type == "run_queued"])
    assert "1 executions of its batch have started" in told[0].data
    let_go(desk, other, until)
    desk.supervisor()  # the server was started anew
    behind = desk.submit(SIMPLE, max_jobs=1)
    until(lambda: over(desk, behind))
    for run, later in zip(runs, (runs[1:], runs[2:], []), strict=True):
        until(partial(started, desk, run))
        assert all(desk.now(each.id).status is Status.PENDING for each in later)
        let_go(desk, run, until)


def test_a_batch_without_room_stands_in_nobodys_way_and_ends_by_a_cancel(
    desk: Desk, until: Until
) -> None:
    desk.variables["OXO_FLOW_MAX_RUNS"] = "0"
    supervisor = desk.supervisor()
    first, second = (Batch(str(uuid.uuid4()), 1) for _ in range(2))
    runs = [submit(desk, batch) for batch in (first, first, second, second)]
    theirs = submit(desk, first, "bob", 1.8e9)
    assert line(desk) == [runs[0].id, runs[2].id]
    for run in runs[:2]:
        assert supervisor.cancel(run, 0).status is Status.CANCELLED
    assert line(desk) == [runs[2].id, theirs.id]
    several = Batch(str(uuid.uuid4()), 2)
    more = [submit(desk, several, at=1.9e9) for _ in range(4)]
    assert line(desk)[1:] == [theirs.id, *(run.id for run in more[:2])]
    desk.start(more[0])
    assert line(desk)[1:] == [theirs.id, more[1].id]
