"""The stream hub over a real database and socket pairs: order, scope, replay, limits, failures."""

import itertools
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from oxoflow.db import Database
from oxoflow.db.events import Event, Scope, delete_events_before, insert_events
from oxoflow.errors import RateLimited, Unavailable
from oxoflow.web import places
from oxoflow.web.hub import PAGE, UNSENT_HIGH, StreamHub
from oxoflow.web.listener import Subscription
from oxoflow.web.wires import SseWire
from tests.web.streaming import Reader

OLD = "2020-01-01T00:00:00.000Z"


class Bench:
    """A hub with a database to put events into."""

    def __init__(self, folder: Path, **limits: Any) -> None:
        self.db = Database(folder / "test.db")
        self.hub = StreamHub(self.db, **({"per_owner": 100, "total": 200} | limits))
        self.readers: list[Reader] = []

    def store(self, numbers: Any, user: str = "ann", run: str | None = None, **more: Any) -> None:
        events = [
            Event(0, user, run, number, more.get("type", "rule_started"), more.get("time", OLD),
                  json.dumps({"number": number} | more.get("data", {})))
            for number in numbers
        ]  # fmt: skip
        self.db.write(lambda connection: insert_events(connection, events))
        self.hub.poke()

    def open(self, scope: Scope | None = None, **more: Any) -> Reader:
        scope = more.pop("scope_", scope or Scope(user_id="ann"))
        more = {"owner": "ann", "wire": SseWire()} | more
        reserved = self.hub.subscribe(Subscription(scope=scope, **more))
        ours, theirs = socket.socketpair()
        reserved.receive(theirs, b"")
        reader = Reader(ours)
        self.readers.append(reader)
        return reader

    def live(self, **more: Any) -> Reader:
        """A stream that has begun: its first heartbeat has come."""
        reader = self.open(**more)
        next(reader.events(heartbeats=True))
        return reader

    def close(self) -> None:
        self.hub.stop()
        self.db.close()
        for reader in self.readers:
            reader.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    bench.hub.start()
    yield bench
    bench.close()


def numbers(events: list[tuple[int | None, dict[str, Any]]]) -> list[int]:
    return [body["data"]["number"] for _, body in events]


def test_a_live_stream_gets_new_events_with_their_ids_and_owner(bench: Bench) -> None:
    reader = bench.live()
    bench.store([7])
    assert reader.take(1) == [
        (1, {"type": "rule_started", "time": OLD, "user": "ann", "data": {"number": 7}})
    ]


def test_a_stream_begins_with_retry_and_a_heartbeat_without_an_id(bench: Bench) -> None:
    blocks = bench.open().blocks()
    assert next(blocks) == {"retry": "3000"}
    first = next(blocks)
    assert "id" not in first
    assert json.loads(first["data"])["type"] == "heartbeat"


def test_a_stream_without_a_position_starts_now(bench: Bench) -> None:
    bench.store(range(5))
    reader = bench.live()
    bench.store([99])
    assert numbers(reader.take(1)) == [99]


def test_nobody_sees_the_events_of_others(bench: Bench) -> None:
    reader = bench.open(after=0)
    bench.store([1], user="bob")
    bench.store([2])
    bench.store([3], user="bob")
    bench.store([4])
    assert numbers(reader.take(2)) == [2, 4]


def test_a_stream_of_everything_sees_all(bench: Bench) -> None:
    reader = bench.open(after=0, scope=Scope())
    bench.store([1], user="bob")
    bench.store([2])
    assert numbers(reader.take(2)) == [1, 2]


def test_replay_and_live_events_meet_without_gap_or_duplicate(bench: Bench) -> None:
    total = 6 * PAGE
    bench.store(range(total // 2))
    writer = threading.Thread(
        target=lambda: [bench.store([number]) for number in range(total // 2, total)]
    )
    writer.start()
    readers = [bench.open(after=0) for _ in range(20)]
    try:
        for reader in readers:
            assert numbers(reader.take(total)) == list(range(total))
    finally:
        writer.join()


def test_reconnecting_with_the_last_id_continues_exactly_there(bench: Bench) -> None:
    bench.store(range(10))
    reader = bench.open(after=0)
    first = reader.take(4)
    reader.close()
    again = bench.open(after=first[-1][0])
    assert numbers(first + again.take(6)) == list(range(10))


def test_a_thousand_reconnects_lose_and_repeat_nothing(bench: Bench) -> None:
    writer = threading.Thread(
        target=lambda: [bench.store(range(start, start + 10)) for start in range(0, 2010, 10)]
    )
    writer.start()
    seen: list[tuple[int | None, dict[str, Any]]] = []
    reconnects = 0
    while len(seen) < 2000:
        reader = bench.open(after=seen[-1][0] if seen else 0)
        seen += reader.take(1 + reconnects % 3)
        reader.close()
        reconnects += 1
    writer.join()
    assert reconnects > 900
    assert numbers(seen[:2000]) == list(range(2000))


def test_a_run_stream_ends_after_its_last_event(bench: Bench) -> None:
    bench.store([1, 2], run="r")
    reader = bench.open(
        scope=Scope(run_id="r"), after=0, last=lambda event: event.type == "run_completed"
    )
    assert numbers(reader.take(2)) == [1, 2]
    bench.store([3], run="other")
    bench.store([4], run="r", type="run_completed")
    bench.store([5], run="r")
    assert numbers(list(reader.events())) == [4]


def test_a_stream_of_a_finished_run_ends_when_all_is_said(bench: Bench) -> None:
    bench.store(range(2 * PAGE + 1), run="r")
    reader = bench.open(scope=Scope(run_id="r"), after=0, ends_now=True)
    assert numbers(list(reader.events())) == list(range(2 * PAGE + 1))


def test_named_streams_carry_the_type_as_event_name(bench: Bench) -> None:
    blocks = bench.open(after=0, wire=SseWire(named=True)).blocks()
    bench.store([1], type="run_queued")
    named = [next(blocks) for _ in range(3)]
    assert [block.get("event") for block in named] == [None, "heartbeat", "run_queued"]


def test_a_stream_that_wants_more_heartbeats_is_offered_them(tmp_path: Path) -> None:
    bench = Bench(tmp_path, heartbeat=3600.0)
    bench.hub.start()
    try:
        reader = bench.open(beat=1.0)
        types = [body["type"] for _, body in itertools.islice(reader.events(heartbeats=True), 3)]
        assert types == ["heartbeat"] * 3
        assert bench.hub._impatient
        reader.close()
        bench.store([1])
        other = bench.live()
        bench.store([2])
        assert numbers(other.take(1)) == [2]
        assert not bench.hub._impatient
    finally:
        bench.close()


def test_an_anonymous_stream_carries_heartbeats_only(tmp_path: Path) -> None:
    bench = Bench(tmp_path, heartbeat=0.05)
    bench.hub.start()
    reader = bench.open(scope_=None)
    bench.store([1])
    types = [body["type"] for _, body in [next(reader.events(heartbeats=True)) for _ in range(4)]]
    assert types == ["heartbeat"] * 4
    bench.close()


def test_a_position_that_was_deleted_gets_one_resync_and_then_what_is_new(bench: Bench) -> None:
    bench.store(range(5))
    bench.db.write(lambda c: delete_events_before(c, "2021"))
    reader = bench.open(after=2)
    ((number, body),) = reader.take(1)
    assert (number, body["type"]) == (5, "resync")
    bench.store([9])
    assert numbers(reader.take(1)) == [9]
    again = bench.open(after=5)
    assert numbers(again.take(1)) == [9]


def test_a_position_from_the_future_gets_a_resync(bench: Bench) -> None:
    bench.store([1])
    assert bench.open(after=500).take(1)[0][1]["type"] == "resync"


def test_a_reader_that_stops_is_dropped_and_delays_nobody(bench: Bench) -> None:
    slow, quick = bench.live(), bench.live()
    big = {"text": "x" * 4000}
    total = 4 * UNSENT_HIGH // 4000
    got: list[int] = []
    for start in range(0, total, 20):
        size = min(20, total - start)
        bench.store(range(start, start + size), data=big)
        got += numbers(quick.take(size))
    assert got == list(range(total))
    before = list(slow.events())
    assert len(before) < total
    rest = bench.open(after=before[-1][0])
    assert numbers(before + rest.take(total - len(before))) == list(range(total))


def test_a_stream_ends_with_its_session(tmp_path: Path) -> None:
    bench = Bench(tmp_path, heartbeat=0.02)
    bench.hub.start()
    valid = threading.Event()
    valid.set()
    reader = bench.live(alive=valid.is_set)
    valid.clear()
    assert list(reader.events()) == []
    bench.close()


def test_one_owner_and_all_together_have_limits(tmp_path: Path) -> None:
    bench = Bench(tmp_path, per_owner=2, total=3)
    bench.hub.start()
    first = bench.live()
    bench.open()
    with pytest.raises(RateLimited):
        bench.open()
    bench.open(owner="bob")
    with pytest.raises(Unavailable):
        bench.open(owner="eve")
    first.close()
    while bench.hub.streams() == 3:
        bench.hub.poke()
    bench.live()
    bench.close()


def test_a_place_whose_connection_never_comes_is_free_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "UNCLAIMED", 0.0)
    bench = Bench(tmp_path, heartbeat=0.02)
    bench.hub.start()
    late = bench.hub.subscribe(Subscription("ann", SseWire(), None))
    while bench.hub.streams():
        bench.hub.poke()
    ours, theirs = socket.socketpair()
    late.receive(theirs, b"")
    assert ours.recv(10) == b""
    ours.close()
    bench.close()


class Stumbling(SseWire):
    """A wire that fails on its first try at every third event."""

    def __init__(self) -> None:
        super().__init__()
        self.tried: set[int] = set()

    def event(self, event: Event) -> bytes:
        if event.id % 3 == 0 and event.id not in self.tried:
            self.tried.add(event.id)
            raise OSError("the disk is away")
        return super().event(event)


def test_a_failing_turn_loses_and_repeats_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oxoflow.web.hub.PAUSE", 0.0)
    stumbling, well = bench.live(wire=Stumbling()), bench.live()
    for number in range(9):
        bench.store([number])
    assert numbers(stumbling.take(9)) == list(range(9))
    assert numbers(well.take(9)) == list(range(9))


def test_the_fallback_generator_carries_the_same_stream(bench: Bench) -> None:
    bench.store([1])
    frames = bench.hub.subscribe(
        Subscription("ann", SseWire(), Scope(user_id="ann"), after=0)
    ).frames()
    text = b""
    while b'"number": 1' not in text:
        text += next(frames)
    assert text.count(b"\nid: ") == 1  # the one event that is stored, and nothing else with an id
    frames.close()
    while bench.hub.streams():
        bench.hub.poke()


def test_stopping_the_hub_ends_every_stream(bench: Bench) -> None:
    readers = [bench.live() for _ in range(5)]
    bench.hub.stop()
    assert [list(reader.events()) for reader in readers] == [[]] * 5
