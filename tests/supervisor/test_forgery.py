"""What a rule writes over the records of its run harms no other run."""

import json
import subprocess
from typing import Any

import pytest

from oxoflow.db.runs import Status
from tests.patience import PATIENCE
from tests.supervisor.conftest import SIMPLE, TERMINAL, Desk, Until, over, started


def event(type_: str, **more: Any) -> str:
    return json.dumps(
        {"seq": 9, "time": "", "type": type_, "job": None, "rule": None, "data": {}} | more
    )


FORGED = {
    "the end of the run": event("run_completed"),
    "another run": event("warning", data={"run_id": "x"}),
    "no JSON": "{{{{",
    "binary": "\x00\udcff\x1b[2J",
    "deep": "[" * 100_000,
    "not UTF-8": "\udcff\udcfe",
    "a number": event("warning", seq=float("inf"), job=1),
    "a list": event("rule_started", job="a", data=[]),
    "huge": event("warning", data={"a": "x" * 2**21}),
}


@pytest.mark.parametrize("text", FORGED.values(), ids=FORGED.keys())
def test_forged_lines_do_not_end_or_harm_the_run(desk: Desk, until: Until, text: str) -> None:
    desk.supervisor()
    run = desk.submit("begin(); wait('go'); emit('rule_started', 'after'); end()")
    until(lambda: started(desk, run))
    with open(desk.directory(run) / ".oxo-flow/events.jsonl", "ab") as events:
        events.write(text.encode("utf-8", "surrogateescape") + b"\n")
    size = (desk.directory(run) / ".oxo-flow/events.jsonl").stat().st_size
    until(lambda: desk.now(run.id).event_offset == size)
    assert desk.now(run.id).status is Status.RUNNING
    (desk.directory(run) / "go").touch()
    assert until(lambda: over(desk, run)).status is Status.SUCCESS
    assert "rule_started" in desk.types(run.id)
    assert [name for name in desk.types(run.id) if name in TERMINAL] == ["run_completed"]


EVENTS = ".oxo-flow/events.jsonl"
RECORD = ".oxo-flow/run.json"
REPLACED = {
    "a FIFO for the events": f"os.unlink('{EVENTS}'); os.mkfifo('{EVENTS}')",
    "a link to a foreign file": f"os.unlink('{EVENTS}'); os.symlink('/proc/self/mem', '{EVENTS}')",
    "a link for the records": "os.rename('.oxo-flow', 'old'); os.symlink('/tmp', '.oxo-flow')",
    "a directory": f"os.unlink('{RECORD}'); os.mkdir('{RECORD}')",
    "a FIFO for the record": f"os.unlink('{RECORD}'); os.mkfifo('{RECORD}')",
    "nothing at all": "import shutil; shutil.rmtree(os.getcwd())",
    "someone else's end": "directory.write_run(replace(record, nonce='x', state=RunState.SUCCESS))",
}


@pytest.mark.parametrize("act", REPLACED.values(), ids=REPLACED.keys())
def test_whatever_stands_in_place_of_the_records_harms_only_that_run(
    desk: Desk, until: Until, act: str
) -> None:
    desk.supervisor()
    run = desk.submit(f"begin(); {act}; sys.exit(3)")
    other = desk.submit(SIMPLE, user="bob")
    assert until(lambda: over(desk, run)).status is Status.FAILED
    assert until(lambda: over(desk, other)).status is Status.SUCCESS


def test_a_forged_success_does_not_hide_the_exit_code_of_the_runner(
    desk: Desk, until: Until
) -> None:
    desk.supervisor()
    run = desk.submit("directory.write_run(replace(record, state=RunState.SUCCESS)); sys.exit(3)")
    done = until(lambda: over(desk, run))
    assert (done.status, done.exit_code) == (Status.FAILED, 3)


def test_a_forged_pid_is_not_signalled_on_cancel(desk: Desk, until: Until) -> None:
    supervisor = desk.supervisor()
    with subprocess.Popen(["sleep", "600"]) as stranger:
        run = desk.submit(
            f"begin(); record = replace(record, pid={stranger.pid});"
            " directory.write_run(record); wait(); end('cancelled', 143)"
        )
        until(lambda: started(desk, run))
        assert supervisor.cancel(desk.now(run.id), PATIENCE).status is Status.CANCELLED
        assert stranger.poll() is None
        stranger.kill()
