"""Lines of an event file become bounded rows of their own run, whatever they say."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from oxoflow.db.events import EVERYTHING, read_events
from oxoflow.db.jobs import list_jobs
from oxoflow.db.runs import Phase, Run, find_run_of_anyone
from oxoflow.engine.events import EventLine
from oxoflow.supervisor.ingest import LARGEST_DATA, clean, harvest, store
from oxoflow.supervisor.kinds import Kind, workflows
from tests.supervisor.conftest import Desk

NOW = 1_800_000_000.0
TIME = "2027-01-15T07:59:59.000Z"


def line(type_: str, job: str | None = None, **data: Any) -> EventLine:
    return EventLine(1, TIME, type_, job, job and job.partition("[")[0], data, 0)


@pytest.fixture
def run(desk: Desk) -> Run:
    return desk.row(created=NOW - 10)


def take(desk: Desk, run: Run, *lines: EventLine, old: int = 0, new: int = 10) -> bool:
    found = harvest(run, workflows(0), list(lines), NOW)
    return desk.db.write(lambda c: store(c, run, found, old, new))


def test_jobs_move_with_the_events_of_their_runner(desk: Desk, run: Run) -> None:
    planned = [["a[1]", "a", "run"], ["a[2]", "a", "skip"], ["b", "b", "check"]]
    desk.start(run)
    assert take(
        desk, run,
        line("run_started", workflow_name="w", jobs_total=3),
        line("jobs_planned", jobs=planned),
        line("rule_started", "a[1]", attempt=1),
        line("rule_completed", "a[1]", exit_code=0, duration_secs=1.5, peak_mb=7, attempt=1),
        line("rule_skipped", "a[2]", reason="outputs are up to date"),
        line("rule_started", "b", attempt=1),
        line("rule_failed", "b", exit_code=3, error="no", attempt=1, will_retry=True),
    )  # fmt: skip
    jobs = list_jobs(desk.db.read(), run.id)
    assert [(job.id, job.job, job.rule, job.verdict, job.status) for job in jobs] == [
        (1, "a[1]", "a", "run", "success"),
        (2, "a[2]", "a", "skip", "skipped"),
        (3, "b", "b", "check", "pending"),
    ]
    assert (jobs[0].duration_secs, jobs[0].peak_mb, jobs[0].exit_code) == (1.5, 7.0, 0)
    assert (jobs[1].reason, jobs[2].error) == ("outputs are up to date", "no")
    now = find_run_of_anyone(desk.db.read(), run.id)
    assert now
    assert (now.phase, now.event_offset) == (Phase.RUNNING, 10)


def test_lines_become_events_of_this_run_and_its_owner_whatever_they_claim(
    desk: Desk, run: Run
) -> None:
    desk.start(run)
    take(desk, run, line("rule_started", "a", run_id="other", user="admin", attempt=1))
    (event,) = read_events(desk.db.read(), EVERYTHING, 0, 9, 9)
    data = json.loads(event.data)
    assert (event.run_id, event.user_id, data["run_id"]) == (run.id, run.user_id, run.id)
    assert (data["job"], data["rule"], data["seq"]) == ("a", "a", 1)


@pytest.mark.parametrize(
    "type_", ["run_completed", "run_failed", "run_cancelled", "workflow_saved", "x", ""]
)
def test_unknown_types_and_last_words_are_passed_over(desk: Desk, run: Run, type_: str) -> None:
    desk.start(run)
    assert take(desk, run, line(type_, status="success"))
    assert read_events(desk.db.read(), EVERYTHING, 0, 9, 9) == []


def test_the_same_bytes_are_stored_once(desk: Desk, run: Run) -> None:
    desk.start(run)
    assert take(desk, run, line("warning", message="a"))
    assert not take(desk, run, line("warning", message="a"))
    assert len(read_events(desk.db.read(), EVERYTHING, 0, 9, 9)) == 1


def test_nothing_is_stored_for_a_run_that_is_not_running(desk: Desk, run: Run) -> None:
    assert not take(desk, run, line("warning", message="a"))
    assert read_events(desk.db.read(), EVERYTHING, 0, 9, 9) == []


@pytest.mark.parametrize(
    "data",
    [
        {"exit_code": 10**30, "cpu_secs": "x", "attempt": True, "peak_mb": float("nan")},
        {"error": "\ud800" + "e" * 100_000, "reason": ["no", "text"]},
        {"deep": [[[[float("inf")]]]], "list": list(range(5000))},
        {str(number): "v" * 4000 for number in range(60)},
        {"exit_code": -(2**63), "read_bytes": 2**63 - 1},
    ],
)
def test_monstrous_values_are_cut_to_what_can_be_stored(
    desk: Desk, run: Run, data: dict[str, Any]
) -> None:
    desk.start(run)
    assert take(desk, run, line("rule_failed", "a\ud800", **data))
    (event,) = read_events(desk.db.read(), EVERYTHING, 0, 9, 9)
    assert len(event.data) <= LARGEST_DATA
    json.loads(event.data, parse_constant=lambda text: pytest.fail(text))
    (job,) = list_jobs(desk.db.read(), run.id)
    assert job.status == "failed"


@pytest.mark.parametrize("jobs", [None, "x", [1], [["a"]], [["a", "b", "no"]], [["", "b", "run"]]])
def test_a_malformed_plan_plans_nothing(desk: Desk, run: Run, jobs: Any) -> None:
    desk.start(run)
    assert take(desk, run, line("jobs_planned", jobs=jobs))
    assert list_jobs(desk.db.read(), run.id) == []


@pytest.mark.parametrize(
    "time",
    [
        "", "yesterday", "2027-13-45T99:99:99.000Z", "9999-01-01T00:00:00.000Z",
        "1970-01-01T00:00:00.000Z",
    ],
)  # fmt: skip
def test_a_time_that_cannot_be_true_becomes_now(desk: Desk, run: Run, time: str) -> None:
    found = harvest(run, workflows(0), [EventLine(1, time, "warning", None, None, {}, 0)], NOW)
    assert found.events[0].time == "2027-01-15T08:00:00.000Z"


def test_a_believable_time_is_kept(desk: Desk, run: Run) -> None:
    assert harvest(run, workflows(0), [line("warning")], NOW).events[0].time == TIME


def test_clean_keeps_what_is_plain() -> None:
    plain = {"a": 1, "b": 1.5, "c": "text", "d": None, "e": True, "f": [1, {"g": "h"}]}
    assert clean(plain) == plain


def test_a_job_name_with_a_slash_is_only_a_name(desk: Desk, run: Run) -> None:
    desk.start(run)
    take(desk, run, line("rule_started", "../../etc[x/y]", attempt=1))
    assert [job.job for job in list_jobs(desk.db.read(), run.id)] == ["../../etc[x/y]"]


def test_rows_of_jobs_go_with_their_run(desk: Desk, run: Run, tmp_path: Path) -> None:
    desk.start(run)
    take(desk, run, line("rule_started", "a", attempt=1))

    def delete(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM runs WHERE id = ?", (run.id,))

    desk.db.write(delete)
    assert list_jobs(desk.db.read(), run.id) == []


def test_a_kind_adds_its_own_types_and_may_wait(desk: Desk, run: Run) -> None:
    desk.start(run)
    events = frozenset({"node.completed"})
    kind = Kind(lambda run, directory, threads: [], events=events, may_wait=True)
    lines = [line("node.completed", "n", result={"a": [1]}), line("node.odd"), line("run_waiting")]
    found = harvest(run, kind, lines, NOW)
    assert [event.type for event in found.events] == ["node.completed"]
    assert json.loads(found.events[0].data)["result"] == {"a": [1]}
    assert desk.db.write(lambda c: store(c, run, found, 0, 10))
    assert desk.now(run.id).idle
    assert harvest(run, workflows(0), lines, NOW).waits is None
