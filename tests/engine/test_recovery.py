"""Hold the journal of starts, and what is done about jobs that a dead runner left."""

import time
from pathlib import Path

import pytest

from oxoflow.engine.cages import Cages
from oxoflow.engine.events import EventWriter, read_events
from oxoflow.engine.identity import boot_id, new_id
from oxoflow.engine.journal import Journal, read_journal
from oxoflow.engine.outputs import shapes_before
from oxoflow.engine.records import Done, Failed
from oxoflow.engine.recovery import INTERRUPTED, clean_after, end_abandoned, end_predecessor
from oxoflow.engine.rundir import RunDirectory, RunRecord
from oxoflow.engine.state import State


def test_the_last_start_of_each_job_is_read_with_its_process(tmp_path):
    path = tmp_path / "started"
    journal = Journal(path)
    journal.will_start("a", ("x", "y"), {"x": (1, 2, 3)}, 5.0)
    journal.has_started("a", 77, 990)
    journal.will_start("b", (), {}, 6.0)
    journal.will_start("a", ("x",), {}, 7.0)
    with path.open("ab") as handle:
        handle.write(b'["c", 8.0, ["z')
    found = read_journal(path, "boot")
    assert set(found) == {"a", "b"}
    assert (found["a"].outputs, found["a"].before, found["a"].at) == (("x",), {}, 7.0)
    assert found["a"].process is None
    assert read_journal(tmp_path / "none", "boot") == {}


def test_the_process_belongs_to_the_start_before_it(tmp_path):
    journal = Journal(tmp_path / "started")
    journal.will_start("a", ("x",), {"x": (1, 2, 3)}, 5.0)
    journal.has_started("a", 77, 990)
    start = read_journal(tmp_path / "started", "boot")["a"]
    assert start.before == {"x": (1, 2, 3)}
    assert start.process is not None
    assert (start.process.pid, start.process.start_time, start.process.boot_id) == (77, 990, "boot")


def test_a_start_is_found_again_whatever_bytes_are_in_the_names_of_its_outputs(tmp_path):
    journal = Journal(tmp_path / "started")
    names = ("é 'x'", "byte \udce9", "line\u2028\r\n")
    journal.will_start("jöb", names, {names[1]: (1, 2, 3)}, 5.0)
    start = read_journal(tmp_path / "started", "boot")["jöb"]
    assert start.outputs == names
    assert start.before == {names[1]: (1, 2, 3)}


def test_foreign_lines_in_the_journal_do_no_harm(tmp_path):
    path = tmp_path / "started"
    path.write_text('5\n[]\n["a"]\n["a", 1, 2]\n["a", 1, [], 5]\n["a", "x", [], {}]\nnull\n{}\n')
    assert read_journal(path, "boot") == {}


@pytest.mark.parametrize(
    ("earlier", "ended"),
    [(60.0, 101.0), (3660.0, 101.0), (60.0, -3500.0)],
    ids=["a steady clock", "a clock set back between runs", "a clock set back during a job"],
)
def test_what_ended_is_left_alone_and_what_did_not_is_undone_and_recorded(tmp_path, earlier, ended):
    directory = RunDirectory(tmp_path)
    directory.create()
    (tmp_path / "redone").write_text("old")
    before = shapes_before(str(tmp_path), ("redone",))
    journal = Journal(directory.started)
    for job in ("done", "failed", "lost", "redone"):
        journal.will_start(job, (job,), before if job == "redone" else {}, 100.0)
        (tmp_path / job).write_text("half or whole")
    state = State(directory.state)
    state.mark_done(
        [
            Done("done", "r", "key", "static", "{}", (), 100.0, ended, 0, 1),
            Done("redone", "r", "key", "static", "{}", (), 50.0, earlier, 0, 1),
        ]
    )
    state.mark_failed([Failed("failed", "r", 100.0, ended, 1, 1)])
    assert clean_after(directory, state) == ("lost", "redone")
    assert (tmp_path / "done").exists()
    assert (tmp_path / "failed").exists()
    assert not (tmp_path / "lost").exists()
    assert (tmp_path / "redone.oxo-failed").exists()
    records = state.records()
    assert records["lost"].status == records["redone"].status == "failed"
    assert state.detail("lost").error == INTERRUPTED
    assert clean_after(directory, state) == ()
    state.close()


def test_a_job_that_is_done_without_its_event_gets_it_and_others_get_no_second_one(tmp_path):
    directory = RunDirectory(tmp_path)
    directory.create()
    journal = Journal(directory.started)
    writer = EventWriter(directory.events)
    now = time.time()
    state = State(directory.state)
    for job in ("told", "untold"):
        journal.will_start(job, (), {}, now)
        state.mark_done(
            [Done(job, "r", "key", "static", "{}", (), now, now, 0, 2, "cmd", 1.5, 0.5, 3.0, 4, 5)]
        )
    writer.emit("rule_completed", "told", "r")
    writer.close()
    assert clean_after(directory, state) == ()
    assert clean_after(directory, state) == ()
    state.close()
    found, _ = read_events(directory.events)
    assert [(event.seq, event.job) for event in found] == [(1, "told"), (2, "untold")]
    assert found[1].data["duration_secs"] == 1.5
    assert found[1].data["attempt"] == 2


@pytest.mark.parametrize("who", ["the next run", "the watchdog"])
def test_the_control_groups_of_a_dead_run_are_deleted(tmp_path, who):
    run_id = new_id()
    cages = Cages(run_id)
    if cages.kind != "cgroup":
        pytest.skip("control groups cannot be made here")
    left = cages.enter("0.1", 100)
    left.__enter__()
    directory = RunDirectory(tmp_path)
    directory.create()
    directory.write_run(RunRecord(run_id, None, 2**22, 1, boot_id(), ""))
    assert groups_of(run_id) != []
    if who == "the next run":
        end_predecessor(directory)
    else:
        end_abandoned(directory, run_id)
    assert groups_of(run_id) == []


def groups_of(run_id):
    return list(Path("/sys/fs/cgroup").rglob(f"*{run_id}*"))
