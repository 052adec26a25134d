"""Hold the event file: numbering, torn lines, foreign lines, growth while reading."""

import json
import os

import pytest

from oxoflow.engine.events import LINE_LIMIT, Event, EventWriter, read_events, timestamp
from oxoflow.errors import DiskTrouble


def test_a_line_has_the_agreed_keys_and_numbers_count_from_one(tmp_path):
    writer = EventWriter(tmp_path / "events.jsonl")
    line = writer.emit("rule_started", "a/b", "a", attempt=1)
    assert list(json.loads(line)) == ["seq", "time", "type", "job", "rule", "data"]
    writer.emit("run_completed", status="success")
    found, offset = read_events(tmp_path / "events.jsonl")
    assert [(e.seq, e.type, e.job, e.rule, e.data) for e in found] == [
        (1, "rule_started", "a/b", "a", {"attempt": 1}),
        (2, "run_completed", None, None, {"status": "success"}),
    ]
    assert offset == found[-1].end == (tmp_path / "events.jsonl").stat().st_size


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1779782560.0104, "2026-05-26T08:02:40.010Z"),
        (1779782560.9999, "2026-05-26T08:02:40.999Z"),
    ],
)
def test_times_are_utc_with_milliseconds(seconds, text):
    assert timestamp(seconds) == text


def test_reading_goes_on_where_it_stopped(tmp_path):
    path = tmp_path / "events.jsonl"
    writer = EventWriter(path)
    writer.emit("one")
    _, offset = read_events(path)
    assert read_events(path, offset) == ([], offset)
    writer.write([Event("two"), Event("three")])
    found, _ = read_events(path, offset)
    assert [event.type for event in found] == ["two", "three"]


def test_a_torn_last_line_is_not_read_and_is_cut_by_the_next_writer(tmp_path):
    path = tmp_path / "events.jsonl"
    EventWriter(path).emit("whole")
    with path.open("ab") as handle:
        handle.write(b'{"seq":2,"time":"x","ty')
    found, offset = read_events(path)
    assert [event.type for event in found] == ["whole"]
    writer = EventWriter(path)
    assert path.stat().st_size == offset
    writer.emit("next")
    assert [event.seq for event in read_events(path)[0]] == [1, 2]


@pytest.mark.parametrize(
    "line",
    [
        b"not json",
        b"[1,2]",
        b"{}",
        b'{"seq":"1","time":"t","type":"x","job":null,"rule":null,"data":{}}',
        b'{"seq":true,"time":"t","type":"x","job":null,"rule":null,"data":{}}',
        b'{"seq":1,"time":"t","type":"x","job":5,"rule":null,"data":{}}',
        b'{"seq":1,"time":"t","type":"x","job":null,"rule":null,"data":[]}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_foreign_lines_are_passed_over(tmp_path, line):
    path = tmp_path / "events.jsonl"
    writer = EventWriter(path)
    writer.emit("before")
    with path.open("ab") as handle:
        handle.write(line + b"\n")
    writer.emit("after")
    assert [event.type for event in read_events(path)[0]] == ["before", "after"]
    assert EventWriter(path).last_seq == 2


def test_an_endless_line_is_stepped_over(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"x" * (3 * LINE_LIMIT) + b"\n")
    writer = EventWriter(path)
    writer.emit("after")
    found, offset = [], 0
    while not found:
        found, offset = read_events(path, offset, max_bytes=LINE_LIMIT + 1)
    assert found[0].type == "after"


def test_a_file_that_is_not_there_has_no_events(tmp_path):
    assert read_events(tmp_path / "none", 7) == ([], 7)


def test_names_that_are_no_text_are_still_written(tmp_path):
    path = tmp_path / "events.jsonl"
    EventWriter(path).emit("x", os.fsdecode(b"\xff"), None, note="ä\n")
    assert read_events(path)[0][0].data == {"note": "ä\n"}


def test_a_full_disk_is_named_and_leaves_no_half_line(tmp_path):
    writer = EventWriter(tmp_path / "events.jsonl")
    writer.emit("before")
    os.dup2(os.open("/dev/full", os.O_WRONLY), writer._descriptor)
    with pytest.raises(DiskTrouble, match=r"events.jsonl.*No space left.*free some space"):
        writer.emit("lost")
