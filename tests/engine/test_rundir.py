"""Hold the run directory's records: run.json, lock, control messages, names, launch pipe."""

import errno
import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from msgspec.structs import replace

from oxoflow.engine.identity import ProcessIdentity, boot_id, identify, new_id, read_stat
from oxoflow.engine.rundir import (
    RunDirectory,
    RunRecord,
    RunState,
    WorkdirLock,
    await_launch,
    lock_holder,
    log_name,
    read_control,
    write_control,
)
from oxoflow.errors import DiskTrouble, UsageError, WorkdirLocked
from tests.patience import wait_until

RECORD = RunRecord("id", "nonce", 12, 345, "boot", "2026-01-01T00:00:00.000Z", {"jobs": 2})
HOLD = """
import sys
import uuid
from pathlib import Path
from oxoflow.engine.rundir import WorkdirLock
lock = WorkdirLock(Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def directory(tmp_path):
    found = RunDirectory(tmp_path)
    found.create()
    return found


@pytest.fixture
def holder(directory):
    """Another process that holds the lock until its input ends."""
    argv = [sys.executable, "-c", HOLD, str(directory.lock)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        yield process


def test_run_json_is_read_back_as_it_was_written(directory):
    ended = replace(RECORD, state=RunState.CANCELLED, exit_code=143, ended=({"pid": 1},), left=1)
    directory.write_run(ended)
    assert directory.read_run() == ended
    body = json.loads(directory.run_json.read_text())
    assert body["schema"] == 1
    assert body["state"] == "cancelled"


@pytest.mark.parametrize(
    "text",
    ["", "nonsense", "[]", "{}", '{"state":"running"}', '{"run_id":1}', "[" * 50_000],
)
def test_a_forged_run_json_is_no_record(directory, text):
    directory.run_json.write_text(text)
    assert directory.read_run() is None


@pytest.mark.parametrize("change", [{"pid": "12"}, {"pid": True}, {"state": "odd"}, {"ended": 5}])
def test_wrong_types_in_run_json_are_no_record(directory, change):
    directory.write_run(RECORD)
    body = json.loads(directory.run_json.read_text()) | change
    directory.run_json.write_text(json.dumps(body))
    assert directory.read_run() is None


def test_a_run_json_that_is_a_link_or_a_fifo_is_not_followed(directory, tmp_path):
    directory.write_run(RECORD)
    directory.run_json.rename(tmp_path / "elsewhere")
    directory.run_json.symlink_to(tmp_path / "elsewhere")
    assert directory.read_run() is None
    directory.run_json.unlink()
    os.mkfifo(directory.run_json)
    assert directory.read_run() is None


def test_fact_67_a_second_run_is_refused_at_once_and_the_holder_is_named(directory, holder):
    assert lock_holder(directory.lock) == holder.pid
    with pytest.raises(WorkdirLocked, match=rf"process {holder.pid}.*oxoflow cancel"):
        WorkdirLock(directory.lock).acquire()
    holder.stdin.close()
    holder.wait()
    assert lock_holder(directory.lock) is None
    lock = WorkdirLock(directory.lock)
    lock.acquire()
    lock.release()


def test_a_killed_holder_leaves_no_lock_behind(directory, holder):
    assert lock_holder(directory.lock) == holder.pid
    holder.kill()
    holder.wait()
    assert lock_holder(directory.lock) is None
    lock = WorkdirLock(directory.lock)
    lock.acquire()
    lock.release()


def test_nobody_holds_a_lock_that_was_never_taken(tmp_path):
    assert lock_holder(tmp_path / "lock") is None


def test_a_file_system_without_locks_is_named_and_not_taken_for_a_run(directory, monkeypatch):
    directory.lock.touch()

    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.lockf", refuse)
    monkeypatch.setattr("fcntl.fcntl", refuse)
    for ask in (lambda: WorkdirLock(directory.lock).acquire(), lambda: lock_holder(directory.lock)):
        with pytest.raises(DiskTrouble, match="No locks available; mount this file system with"):
            ask()


def test_control_messages_come_in_order_and_once(tmp_path):
    control = tmp_path / "control"
    first = write_control(control, {"type": "pause"})
    second = write_control(control, {"type": "resume", "by": "me"})
    (control / "000003-x.json").write_text("{broken")
    (control / "000004-x.json").write_text('{"type": 4}')
    (control / ".000000-draft.json.tmp").write_text('{"type": "cancel"}')
    messages = read_control(control)
    assert [(m.name, m.type) for m in messages] == [(first, "pause"), (second, "resume")]
    assert messages[1].body["by"] == "me"
    assert read_control(control, {first, second}) == []
    assert read_control(tmp_path / "none") == []


@pytest.mark.parametrize(
    ("job", "name"),
    [
        ("align_S1", "align_S1"),
        ("qc::a", "qc%3A%3Aa"),
        ("a/../b", "a%2F..%2Fb"),
        ("~x y", "%7Ex%20y"),
        ("ä", "%C3%A4"),
    ],
)
def test_log_names_are_percent_encoded(job, name):
    assert log_name(job) == name


def test_long_names_are_cut_and_stay_different():
    one, two = log_name("x" * 300 + "1"), log_name("x" * 300 + "2")
    assert one != two
    assert max(len(one), len(two)) < 230


def test_the_launch_pipe_gives_the_word_or_nothing():
    read, write = os.pipe()
    os.write(write, b"1")
    launch = await_launch(f"n-1:{read}:run-7")
    assert launch is not None
    assert (launch.nonce, launch.run_id) == ("n-1", "run-7")
    os.close(write)
    read, write = os.pipe()
    os.close(write)
    assert await_launch(f"n:{read}:r") is None


@pytest.mark.parametrize("text", ["", "n", "n:x:r", "n:3:", ":3:r", "n:4000000:r"])
def test_a_malformed_launch_is_a_usage_error(text):
    with pytest.raises(UsageError, match="--launch"):
        await_launch(text)


def test_an_identity_is_alive_only_as_long_as_exactly_that_process():
    me = identify(os.getpid())
    assert me is not None
    assert me.alive()
    assert not replace(me, start_time=me.start_time + 1).alive()
    assert not replace(me, boot_id="another").alive()
    with subprocess.Popen(["true"]) as process:
        identity = identify(process.pid) or ProcessIdentity(process.pid, 0, boot_id())
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not identity.alive(), "a zombie has ended"
    assert identify(process.pid) is None


def test_a_process_name_with_blanks_and_brackets_is_read(tmp_path):
    program = tmp_path / "a) (b"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([str(program), "60"]) as process:
        wait_until(lambda: "a) (b" in Path(f"/proc/{process.pid}/stat").read_text())
        stat = read_stat(process.pid)
        process.kill()
    assert stat is not None
    assert (stat.parent, stat.name) == (os.getpid(), "a) (b")


def test_a_directory_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / ".oxo-flow").write_text("a file in the way")
    with pytest.raises(DiskTrouble, match=r"\.oxo-flow"):
        RunDirectory(tmp_path).create()


def test_new_ids_are_random_uuids():
    found = {new_id() for _ in range(100)}
    assert len(found) == 100
    assert all(uuid.UUID(text).version == 4 and str(uuid.UUID(text)) == text for text in found)
