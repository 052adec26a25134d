"""The state file remembers, survives crashes as old or new, and names its troubles."""

import errno
import os
import shutil
import sqlite3
import threading

import pytest
from msgspec.structs import replace

from oxoflow.engine.records import (
    Accepted,
    Detail,
    Done,
    Failed,
    FileHash,
    Forgotten,
    OutputRecord,
    Planned,
    Removed,
    Started,
)
from oxoflow.engine.state import State
from oxoflow.errors import DiskTrouble, RunError

A = OutputRecord("a.txt", "a", 3, 77)


def done(name="a", key="k", outputs=(A,), **fields):
    return Done(name, "rule", key, "s", '{"command":"x"}', outputs, **fields)


@pytest.fixture
def state(tmp_path):
    opened = State(tmp_path / "state.sqlite")
    yield opened
    opened.close()


def test_an_absent_file_reads_as_empty_and_is_not_made(tmp_path):
    path = tmp_path / "none" / "state.sqlite"
    view = State.view(path)
    assert view.records() == {}
    assert view.known() == {}
    assert view.files() == {}
    view.close()
    assert not path.parent.exists()


def test_a_job_goes_from_planned_over_started_to_done(state):
    state.mark_planned([Planned("a", "rule")])
    assert state.known()["a"].status == "planned"
    state.mark_started([Started("a", "rule", 5.0, '["x"]')])
    assert state.records()["a"].started_at == 5.0
    assert state.detail("a").snapshot == '["x"]'
    state.mark_done([done(started_at=5.0, exit_code=0, attempts=1, command="x", wall_s=1.5)])
    record = state.records()["a"]
    assert (record.status, record.key, record.wall_s) == ("done", "k", 1.5)
    assert state.detail("a") == Detail('{"command":"x"}', "x")
    assert state.outputs() == {"a.txt": A}
    assert state.commands() == {"a": "x"}


def test_planning_forgets_nothing_that_is_known(state):
    state.mark_done([done()])
    state.mark_failed([Failed("b", "rule", error="bad")])
    state.mark_planned([Planned("a", "rule"), Planned("b", "rule"), Planned("c", "rule")])
    assert {name: each.status for name, each in state.known().items()} == {
        "a": "done",
        "b": "failed",
        "c": "planned",
    }


def test_a_start_keeps_the_key_of_the_last_result_but_not_its_state(state):
    state.mark_done([done()])
    state.mark_started([Started("a", "rule", 6.0)])
    known = state.known()["a"]
    assert (known.job, known.status, known.key) == ("a", "started", "k")


def test_a_failure_keeps_what_it_said(state):
    state.mark_failed([Failed("a", "rule", 1.0, 2.0, 3, 2, "x", "exit code 3", "tail", cpu_s=0.5)])
    record = state.records()["a"]
    assert (record.status, record.exit_code, record.attempts, record.cpu_s) == ("failed", 3, 2, 0.5)
    assert state.detail("a") == Detail(None, "x", "exit code 3", "tail", None)


def test_start_and_end_in_one_batch_end_as_done(state):
    state.apply([done(), Started("a", "rule", 1.0), Planned("a", "rule")])
    assert state.known()["a"].status == "done"


def test_the_last_maker_owns_a_path(state):
    state.mark_done([done()])
    state.mark_done([done("b", outputs=(replace(A, job="b", size=9),))])
    assert state.outputs()["a.txt"] == OutputRecord("a.txt", "b", 9, 77)


def test_removed_results_stay_known_until_made_again(state):
    state.mark_done([done()])
    state.apply([Removed("a")])
    assert (state.known()["a"].status, state.known()["a"].removed) == ("done", 1)
    state.mark_done([done()])
    assert state.known()["a"].removed == 0


def test_accepting_says_who_and_when_and_replaces_the_key(state):
    state.mark_started([Started("a", "rule", 1.0)])
    state.apply([Accepted("a", "rule", 9.0, "ada", "k", "k2", "s2", "{}", (A,))])
    known = state.known()["a"]
    assert (known.job, known.status, known.key, known.static) == ("a", "done", "k2", "s2")
    assert state.accepted("a") == [(9.0, "ada")]
    assert state.outputs() == {"a.txt": A}
    state.apply([Accepted("new", "rule", 9.0, "ada", None, "k", "s", "{}")])
    assert state.known()["new"].status == "done"


def test_a_job_can_be_forgotten(state):
    state.mark_done([done()])
    state.apply([Forgotten("a")])
    assert state.known() == {}
    assert state.detail("a") == Detail()


def test_file_hashes_and_texts_are_kept(state):
    entry = FileHash("x", 1, 2, 3, 4, "abc")
    state.apply([entry, replace(entry, sha256="def")])
    assert state.files() == {"x": replace(entry, sha256="def")}
    assert state.meta("m") is None
    state.set_meta("m", "1")
    state.set_meta("m", "2")
    assert state.meta("m") == "2"


def test_a_failing_batch_leaves_nothing_behind(state):
    nothing = OutputRecord("p", "b", None, None)  # type: ignore[arg-type]
    broken = Done("b", "rule", "k", "s", "{}", (nothing,))
    with pytest.raises(RunError):
        state.apply([done(), broken])
    assert state.known() == {}
    state.apply([done()])
    assert list(state.known()) == ["a"]


def test_what_was_committed_survives_a_writer_that_never_closed(tmp_path):
    path = tmp_path / "state.sqlite"
    abandoned = State(path)
    abandoned.mark_done([done()])
    for part in ("", "-wal"):
        shutil.copy(f"{path}{part}", f"{tmp_path}/copy.sqlite{part}")
    for found in (State.view(path), State(tmp_path / "copy.sqlite")):
        assert found.known()["a"].status == "done"
        found.close()
    abandoned.close()


def test_a_new_file_that_lost_the_log_beside_it_is_made_anew(tmp_path):
    """As after a power cut before anything was planned: only the file itself was synced by then."""
    abandoned = State(tmp_path / "state.sqlite")
    left = tmp_path / "left.sqlite"
    shutil.copy(tmp_path / "state.sqlite", left)
    abandoned.close()
    assert left.stat().st_size > 0
    view = State.view(left)
    assert view.known() == {}
    view.close()
    again = State(left)
    again.mark_done([done()])
    assert list(again.known()) == ["a"]
    again.close()


def test_a_new_file_is_on_the_disk_before_anything_is_planned(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(os.readlink(f"/dev/fd/{number}")))
    State(tmp_path / "state.sqlite").close()
    assert synced == [str(tmp_path / "state.sqlite"), str(tmp_path)]
    State(tmp_path / "state.sqlite").close()
    assert len(synced) == 2


def test_a_disk_that_refuses_a_new_file_is_named(tmp_path, monkeypatch):
    def refuse(number):
        raise OSError(errno.EIO, "")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(DiskTrouble, match=r"state.sqlite' could not be written: Input"):
        State(tmp_path / "state.sqlite")


def test_a_reader_sees_what_a_writer_commits_meanwhile(tmp_path, state):
    reader = State.view(tmp_path / "state.sqlite")
    state.mark_done([done()])
    assert "a" in reader.known()
    with pytest.raises(DiskTrouble, match="readonly"):
        reader.mark_done([done()])
    reader.close()


def test_many_threads_may_write(state):
    def write(number):
        for at in range(20):
            state.mark_done([done(f"j{number}.{at}", outputs=())])

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(state.known()) == 80


def test_a_damaged_file_is_named_with_a_cure(tmp_path):
    path = tmp_path / "state.sqlite"
    path.write_bytes(b"this is not a database at all" * 100)
    with pytest.raises(RunError, match=r"state\.sqlite' is damaged.*move it away"):
        State(path)


def test_a_file_of_another_version_is_refused(tmp_path):
    path = tmp_path / "state.sqlite"
    State(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    for open_it in (State, State.view):
        with pytest.raises(RunError, match="another version"):
            open_it(path)


def test_a_file_whose_writer_has_only_just_made_it_reads_as_empty(tmp_path):
    path = tmp_path / "state.sqlite"
    sqlite3.connect(path).close()
    path.touch()
    view = State.view(path)
    assert view.known() == {}
    view.close()


def test_a_full_or_missing_disk_is_named(tmp_path):
    with pytest.raises(DiskTrouble, match=r"could not be used.*finished jobs are kept"):
        State(tmp_path / "gone" / "state.sqlite")
