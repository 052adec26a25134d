"""What a run's directory says is read without being led away, held up or misled by it."""

import contextlib
import hashlib
import json
import os
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oxoflow.engine.records import Done, Failed, OutputRecord, Planned, Removed, Started
from oxoflow.engine.state import State
from oxoflow.web import run_records
from oxoflow.web.run_records import read_records

TEXT = '[workflow]\nname = "w"\nversion = "3.2.1"\n[[rules]]\nname = "a"\nshell = "true"\n'
SHA = hashlib.sha256(b"one\n").hexdigest()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A directory as a run leaves it: a job done, one failed, one that has begun."""
    place = tmp_path / "run"
    (place / ".oxo-flow").mkdir(parents=True)
    (place / "workflow.oxoflow").write_text(TEXT)
    (place / "out.txt").write_text("one\n")
    status = (place / "out.txt").stat()
    state = State(place / ".oxo-flow/state.sqlite")
    outputs = (
        OutputRecord("out.txt", "a", status.st_size, status.st_mtime_ns),
        OutputRecord("gone.txt", "a", 9, 1, f"sha256:{SHA}"),
        OutputRecord("/etc/passwd", "a", 1, 1),
        OutputRecord("../outside", "a", 1, 1),
        OutputRecord("link", "a", 4, status.st_mtime_ns),
    )
    environment = json.dumps({"environment": "venv 'env'", "versions": ["python 3.11"]})
    more: dict[str, Any] = {"command": "make out", "run": "r0", "environment": environment}
    state.apply([Planned(name, "r") for name in "abc"])
    state.apply([Done("a", "r", "k", "s", "{}", outputs, **more)])
    state.apply([Failed("b", "r", command="x" * 9000), Started("c", "r", 1.0)])
    state.close()
    os.symlink("/etc/passwd", place / "link")
    return place


def asked(place: Path, jobs: str = "abc", most: int = 100) -> dict[str, Any]:
    return read_records({"directory": str(place), "jobs": list(jobs), "most": most})


def rewrite(place: Path, script: str) -> None:
    with contextlib.closing(sqlite3.connect(place / ".oxo-flow/state.sqlite")) as connection:
        connection.executescript(script)


def test_jobs_tell_how_they_ran(run: Path) -> None:
    found = asked(run)
    assert (found["trouble"], found["version"], found["jobs_left"]) == (None, "3.2.1", 0)
    assert list(found["jobs"]) == ["a", "b"]
    done = {"command": "make out", "run": "r0", "origin": None, "environment": 0}
    assert found["jobs"]["a"] == done
    assert found["jobs"]["b"]["command"] == "x" * 4000 + " … (cut)"
    assert found["environments"] == [
        {"title": "venv 'env'", "versions": ["python 3.11"], "more": 0}
    ]


def test_outputs_tell_their_content_and_what_became_of_them(run: Path) -> None:
    found = {output["path"]: output for output in asked(run)["outputs"]}
    assert (found["out.txt"]["sha256"], found["out.txt"]["now"]) == (SHA, "unchanged")
    assert (found["gone.txt"]["sha256"], found["gone.txt"]["now"]) == (SHA, "gone")
    for path in ("/etc/passwd", "../outside"):
        assert found[path]["sha256"] is None
        assert found[path]["now"] == "outside of the run, not looked at"
    assert (found["link"]["sha256"], found["link"]["now"]) == (None, "gone")  # nobody follows it
    (run / "out.txt").write_text("two, longer\n")
    state = State(run / ".oxo-flow/state.sqlite")
    state.apply([Removed("a")])
    state.close()
    found = {output["path"]: output for output in asked(run)["outputs"]}
    assert (found["out.txt"]["sha256"], found["out.txt"]["now"]) == (None, "changed since")
    assert found["gone.txt"]["now"] == "deleted as temporary"


def test_the_records_of_a_live_run_are_read_from_its_log_too_and_nothing_is_left(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "copies"))
    (tmp_path / "copies").mkdir()
    state = State(run / ".oxo-flow/state.sqlite")
    try:
        state.apply([Done("c", "r", "k", "s", "{}", command="fresh")])
        before = sorted(os.listdir(run / ".oxo-flow"))
        assert "state.sqlite-wal" in before
        assert asked(run)["jobs"]["c"]["command"] == "fresh"
        assert sorted(os.listdir(run / ".oxo-flow")) == before
    finally:
        state.close()
    assert os.listdir(tmp_path / "copies") == []


def test_an_output_too_large_to_read_has_no_checksum(run: Path) -> None:
    os.truncate(run / "out.txt", 1 << 40)
    status = (run / "out.txt").stat()
    rewrite(run, f"UPDATE outputs SET size = {1 << 40}, mtime_ns = {status.st_mtime_ns}")
    found = {output["path"]: output for output in asked(run)["outputs"]}
    assert (found["out.txt"]["sha256"], found["out.txt"]["now"]) == (None, "unchanged")


def test_tables_are_cut_where_asked_and_counted(run: Path) -> None:
    found = asked(run, most=2)
    assert (len(found["outputs"]), found["outputs_total"]) == (2, 5)


def test_too_many_characters_end_the_commands(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_records, "MOST_CHARACTERS", 100)
    found = asked(run, "bac")
    assert (list(found["jobs"]), found["jobs_left"]) == (["b"], 2)


def gone(place: Path) -> None:
    place.rename(place.with_name("elsewhere"))


def unborn(place: Path) -> None:
    (place / ".oxo-flow/state.sqlite").unlink()


def linked(place: Path) -> None:
    state = place / ".oxo-flow/state.sqlite"
    state.rename(place / "real")
    state.symlink_to(place / "real")


def linked_above(place: Path) -> None:
    (place / ".oxo-flow").rename(place / "real")
    (place / ".oxo-flow").symlink_to(place / "real")


def pipe(place: Path) -> None:
    unborn(place)
    os.mkfifo(place / ".oxo-flow/state.sqlite")


def garbage(place: Path) -> None:
    (place / ".oxo-flow/state.sqlite").write_bytes(b"no database at all" * 1000)


def foreign(place: Path) -> None:
    rewrite(place, "PRAGMA user_version = 99")


def tables_gone(place: Path) -> None:
    rewrite(place, "DROP TABLE details")


def torn(place: Path) -> None:
    state = place / ".oxo-flow/state.sqlite"
    state.write_bytes(state.read_bytes()[:5000] + b"\xff" * 20000)


def endless(place: Path) -> None:
    rewrite(
        place,
        "DROP TABLE details; CREATE VIEW details AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL"
        " SELECT x + 1 FROM c) SELECT 'n' || x AS job, '' AS command, x AS run, '' AS environment,"
        " '' AS origin FROM c",
    )


def sparse(place: Path) -> None:
    os.truncate(place / ".oxo-flow/state.sqlite", 1 << 40)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (gone, "the directory of this run is gone, and its results with it"),
        (unborn, "nothing is recorded of this run"),
        (linked, "nothing is recorded of this run"),
        (linked_above, "nothing is recorded of this run"),
        (pipe, "nothing is recorded of this run"),
        (garbage, "damaged, or no file of ours"),
        (foreign, "damaged, or no file of ours"),
        (tables_gone, "damaged, or no file of ours"),
        (torn, "damaged, or no file of ours"),
        (endless, "it takes too long"),
        (sparse, "too large"),
    ],
)
def test_a_spoilt_directory_is_told_in_words(
    run: Path, spoil: Callable[[Path], None], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_records, "HASH_SECONDS", 0.0)
    if spoil is endless:
        monkeypatch.setattr(run_records, "READ_SECONDS", 0.5)
    spoil(run)
    found = asked(run)
    assert words in found["trouble"]
    assert (found["jobs"], found["outputs"]) == ({}, [])
    assert found["version"] == ("" if spoil is gone else "3.2.1")


def test_values_of_the_wrong_kind_and_size_are_held_down(run: Path) -> None:
    rewrite(
        run,
        "UPDATE details SET run = x'ff00', environment = '[1]', origin = '{\"run\": [\"x\"]}',"
        " command = zeroblob(100) WHERE job = 'a';"
        'UPDATE details SET environment = \'{"environment": {}, "versions": {"a": 1}}\','
        f" run = '{'r' * 5000}', origin = '{'[' * 50_000}' WHERE job = 'b';"
        "UPDATE outputs SET checksum = '<script>', size = 'many', mtime_ns = 'x'",
    )
    found = asked(run)
    assert found["trouble"] is None
    first, second = found["jobs"]["a"], found["jobs"]["b"]
    assert (first["command"], first["run"]) == (None, None)
    assert (len(second["run"]), second["origin"]) == (300, None)
    assert [known["versions"] for known in found["environments"]] == [[], []]
    assert {output["sha256"] for output in found["outputs"]} == {None}
    assert {output["size"] for output in found["outputs"]} == {None}
    json.dumps(found)


@pytest.mark.parametrize("text", [b"\xff\xfe", b"[workflow", b"", b"x = 1\n" * 1_000_000])
def test_a_text_that_is_none_has_no_version(run: Path, text: bytes) -> None:
    (run / "workflow.oxoflow").write_bytes(text)
    found = asked(run)
    assert (found["version"], found["trouble"]) == ("", None)
