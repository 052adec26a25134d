"""The processes that do the verbs: right answers, and an end to what takes too long."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from oxoflow.errors import GraphError, ParseError, Unavailable, WorkflowError
from oxoflow.web import textworker, textworkers
from oxoflow.web.textwork import VERBS, do_here
from oxoflow.web.textworkers import TextWorkers
from tests.patience import PATIENCE
from tests.web.test_verbs import BROKEN, CYCLE, TWO

ASKED = {
    "toml_content": TWO, "toml_a": TWO, "toml_b": TWO, "config": {}, "page": 1, "per_page": 9,
    "format": "docker", "now": "2026-05-26T08:00:00.000Z", "directory": "/nonexistent",
    "data_roots": [], "overrides": {}, "samples": [], "targets": [],
}  # fmt: skip
# A child that answers at once unless it is told to hang, grow or die.
PLAYFUL = """
import os, sys, time
from oxoflow.web import textworker
def answer(verb, asked):
    if verb == "hang":
        time.sleep(600)
    if verb == "die":
        os._exit(1)
    if verb == "big":
        return {"answer": {"text": "x" * 5_000_000, "length": len(asked["text"])}}
    return {"answer": {"pid": os.getpid(), "environ": sorted(os.environ), "cwd": os.getcwd()}}
textworker.answer = answer
textworker.main()
"""


@pytest.fixture(scope="module")
def workers() -> Iterator[TextWorkers]:
    made = TextWorkers(processes=1, seconds=60)
    yield made
    made.stop()


@pytest.fixture
def playful(monkeypatch: pytest.MonkeyPatch) -> Iterator[TextWorkers]:
    command = (textworkers.COMMAND[0], "-c", PLAYFUL)
    monkeypatch.setattr(textworkers, "COMMAND", command)
    made = TextWorkers(processes=1, seconds=PATIENCE, patience=0.2)
    yield made
    made.stop()


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_a_process_answers_as_this_one_would(workers: TextWorkers, verb: str) -> None:
    there, here = workers(verb, ASKED), do_here(verb, ASKED)
    if verb == "dry-run":  # has an id and a time of its own
        assert there.pop("status").keys() == here.pop("status").keys()
    assert there == here


@pytest.mark.parametrize(("text", "kind"), [(BROKEN, ParseError), (CYCLE, GraphError)])
def test_errors_keep_their_kind_and_words(
    workers: TextWorkers, text: str, kind: type[WorkflowError]
) -> None:
    with pytest.raises(kind) as there:
        workers("dag", {"toml_content": text})
    with pytest.raises(kind) as here:
        do_here("dag", {"toml_content": text})
    assert there.value.message == here.value.message


def test_what_takes_too_long_is_ended_and_the_next_is_served(playful: TextWorkers) -> None:
    before = playful("who", {})["pid"]
    playful._seconds = 0.5
    with pytest.raises(WorkflowError, match=r"longer than 0\.5 s and was stopped"):
        playful("hang", {})
    assert not psutil.pid_exists(before)
    playful._seconds = PATIENCE
    assert playful("who", {})["pid"] != before


def test_the_time_for_a_text_begins_when_its_process_has_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded, there = tmp_path / "loaded", []
    slow = f"import pathlib, time\ntime.sleep(0.3)\npathlib.Path({str(loaded)!r}).touch()\n"
    monkeypatch.setattr(textworkers, "COMMAND", (textworkers.COMMAND[0], "-c", slow + PLAYFUL))
    exchange = textworkers._exchange

    def look(*given: Any) -> dict[str, Any]:
        there.append(loaded.exists())
        return exchange(*given)

    monkeypatch.setattr(textworkers, "_exchange", look)
    made = TextWorkers(processes=1, seconds=PATIENCE)
    try:
        assert made("who", {})["cwd"] == "/"
    finally:
        made.stop()
    assert there == [True]


def test_a_process_that_dies_is_replaced(playful: TextWorkers) -> None:
    pid = playful("who", {})["pid"]
    os.kill(pid, signal.SIGKILL)
    process = playful._workers[0]._process
    assert process is not None
    process.wait(PATIENCE)
    assert playful("who", {})["pid"] != pid
    with pytest.raises(WorkflowError):
        playful("die", {})


def test_large_frames_pass_both_ways(playful: TextWorkers) -> None:
    found = playful("big", {"text": "y" * 3_000_000})
    assert (len(found["text"]), found["length"]) == (5_000_000, 3_000_000)


def test_the_process_knows_nothing_of_the_servers_settings(
    playful: TextWorkers, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = playful("who", {})
    assert not [name for name in found["environ"] if name.startswith(("OXO", "OXIFY"))]
    assert found["cwd"] == "/"


def test_when_all_are_busy_the_next_is_refused(playful: TextWorkers) -> None:

    def hang() -> None:
        with pytest.raises(WorkflowError):
            playful("hang", {})

    thread = threading.Thread(target=hang)
    thread.start()
    while not playful._free.empty():
        thread.join(0.001)
    with pytest.raises(Unavailable):
        playful("who", {})
    playful.stop()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_a_fault_of_ours_is_told_as_one_and_ends_no_process(workers: TextWorkers) -> None:
    workers("validate", {"toml_content": TWO})
    before = workers._workers[0]._process
    with pytest.raises(RuntimeError, match="KeyError"):
        workers("diff", {})
    assert workers._workers[0]._process is before


def test_a_text_that_wants_too_much_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def greedy(verb: str, asked: object) -> dict[str, object]:
        raise MemoryError

    monkeypatch.setattr(textworker, "do_here", greedy)
    found = textworker.answer("validate", {})
    assert found == {"error": "WorkflowError", "message": found["message"]}
    assert "too large" in found["message"]
