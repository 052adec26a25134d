"""Hold spawning, waiting, measuring and ending with real processes; few, and none left."""

import os
import signal
import subprocess
import sys
import threading
import time
import uuid

import pytest

from oxoflow.engine import process
from oxoflow.engine.ending import JOB_MARKER, end_dead_run, end_job, end_run, has_leftovers
from oxoflow.engine.identity import identify, read_stat
from oxoflow.engine.metering import Duty, Meter, tree_kilobytes
from oxoflow.engine.process import ProcessTable, SpawnFailed, adopt_orphans, children_of
from oxoflow.engine.trees import carries, writes_below
from oxoflow.errors import DiskTrouble
from tests.patience import PATIENCE, wait_until

RUN = str(uuid.uuid4())  # tests run side by side: each process ends only what is its own
ENV = {b"PATH": os.fsencode(os.environ["PATH"]), b"OXORUN_ID": RUN.encode()}


@pytest.fixture
def table():
    adopt_orphans()
    found = ProcessTable()
    yield found
    end_run(found, RUN, grace=0.0, limit=PATIENCE)
    assert found.live() == []
    found.close()


@pytest.fixture
def spawn(table, tmp_path):
    with (tmp_path / "out").open("wb") as out:

        def run(shell, **options):
            argv = ["/bin/bash", "-c", shell]
            env = ENV | {JOB_MARKER.encode(): os.fsencode(options.setdefault("token", "1.1"))}
            return table.spawn(
                argv, cwd=tmp_path, env=env, stdout=out.fileno(), stderr=out.fileno(), **options
            )

        yield run


@pytest.mark.parametrize(
    ("shell", "code", "number"),
    [("true", 0, None), ("exit 3", 3, None), ("kill -TERM $$", 143, signal.SIGTERM)],
)
def test_an_exit_is_told_as_a_shell_would(table, spawn, shell, code, number):
    ended = table.wait(spawn(shell))
    assert (ended.code, ended.signal) == (code, number)
    assert ended.wall_secs > 0


def test_a_command_leads_its_own_session_reads_nothing_and_has_its_directory(
    table, spawn, tmp_path
):
    child = spawn("cat; pwd")
    stat = read_stat(child.pid)
    assert stat is not None
    assert stat.session == stat.group == child.pid
    assert table.wait(child).code == 0
    assert (tmp_path / "out").read_text() == f"{tmp_path}\n"


@pytest.mark.parametrize("is_root", [True, False])
def test_bytes_and_cpu_of_children_that_were_waited_for_are_counted(
    table, spawn, tmp_path, monkeypatch, is_root
):
    """What belongs to a zombie only root may open; so others open it before."""
    table._is_root = is_root and os.geteuid() == 0
    os.mkfifo(tmp_path / "gate")
    child = spawn("cat gate; head -c 300000 /dev/zero > f; cat f f > g")
    if not table._is_root:
        monkeypatch.setattr(process, "_open_io", lambda pid: -1)
    (tmp_path / "gate").write_text("")
    ended = table.wait(child)
    assert ended.written_bytes is not None
    assert ended.read_bytes is not None
    assert 900_000 <= ended.written_bytes < 1_000_000
    assert ended.read_bytes >= 900_000
    assert ended.cpu_secs > 0


def test_what_cannot_be_started_says_why(table, tmp_path):
    options = {"env": ENV, "stdout": 1, "stderr": 1}
    with pytest.raises(SpawnFailed, match=r"'/none/x' could not be started: No such file"):
        table.spawn(["/none/x"], cwd=tmp_path, **options)
    with pytest.raises(SpawnFailed, match="working directory '/none' is gone"):
        table.spawn(["/bin/true"], cwd="/none", **options)
    assert table.live() == []


@pytest.fixture
def slow_start(table, spawn, monkeypatch):
    """Begin a start that has made its process and does not come back before it is told to."""
    begun, go_on = threading.Event(), threading.Event()
    started = []
    real = process._start

    def start(*given):
        pid = real(*given)
        begun.set()
        assert go_on.wait(PATIENCE)
        return pid

    def run():
        monkeypatch.setattr(process, "_start", start)
        thread = threading.Thread(target=lambda: started.append(spawn("cat < gate")))
        thread.start()
        assert begun.wait(PATIENCE)
        monkeypatch.setattr(process, "_start", real)

        def finish():
            go_on.set()
            thread.join()
            return started[0]

        return finish

    return run


def test_a_command_is_reaped_while_another_is_being_started(table, spawn, slow_start, tmp_path):
    os.mkfifo(tmp_path / "gate")
    first = spawn("true")
    finish = slow_start()
    assert table.wait(first).code == 0
    second = finish()
    (tmp_path / "gate").write_text("")
    assert table.wait(second).code == 0


@pytest.mark.parametrize("look", ["has_orphans", "reap_orphans", "refuse_more"])
def test_who_looks_for_orphans_waits_until_what_is_being_started_is_known(
    table, spawn, slow_start, tmp_path, look
):
    os.mkfifo(tmp_path / "gate")
    finish = slow_start()
    answers = []
    looker = threading.Thread(target=lambda: answers.append(getattr(table, look)()))
    looker.start()
    looker.join(0.05)
    assert looker.is_alive()
    child = finish()
    looker.join()
    assert answers in ([False], [0], [None])
    assert table.live() == [child]
    (tmp_path / "gate").write_text("")
    assert table.wait(child).code == 0


def test_a_signal_is_never_sent_to_a_pid_that_was_reaped(table, spawn, monkeypatch):
    child = spawn("true")
    table.wait(child)
    monkeypatch.setattr(os, "killpg", lambda *a: pytest.fail("signalled a stranger"))
    assert table.signal_group(child, signal.SIGKILL) is False


@pytest.mark.parametrize("lists_children", [True, False])
def test_orphans_come_to_us_and_are_reaped_by_pid(
    table, spawn, tmp_path, monkeypatch, lists_children
):
    monkeypatch.setattr("oxoflow.engine.process._LISTS_CHILDREN", lists_children)
    os.mkfifo(tmp_path / "gate")
    table.wait(spawn("(setsid bash -c 'echo $$ > pid; echo > gate; read < gate' &); cat gate"))
    pid = int((tmp_path / "pid").read_text())
    stat = read_stat(pid)
    assert stat is not None
    assert stat.parent == os.getpid()
    assert has_leftovers(table)
    assert table.has_orphans()
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert table.reap_orphans() == 1
    assert read_stat(pid) is None
    assert not has_leftovers(table)


def test_a_command_that_was_looked_at_only_after_its_end_has_its_touched_pages(table, spawn):
    child = spawn("true")
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    child.sampled = time.monotonic()
    assert table.wait(child).peak_mb > 0


def test_other_children_of_this_process_are_not_touched(table, spawn):
    with subprocess.Popen(["sleep", "60"]) as own:
        table.wait(spawn("setsid sleep 320 &"))
        receipt = end_run(table, RUN, grace=0.0, limit=PATIENCE)
        assert receipt.left == 0
        assert own.poll() is None
        own.kill()


def test_ending_a_run_asks_first_and_kills_who_does_not_listen(table, spawn, tmp_path):
    polite = spawn("echo > polite; exec sleep 321")
    deaf = spawn("trap '' TERM; echo > deaf; while true; do sleep 322; done")
    for name in ("polite", "deaf"):
        wait_until((tmp_path / name).exists)
    ends = {}
    threads = [
        threading.Thread(target=lambda c=c: ends.update({c.pid: table.wait(c)}))
        for c in (polite, deaf)
    ]
    for thread in threads:
        thread.start()
    grace = {"grace": PATIENCE, "limit": 2 * PATIENCE, "hurry": lambda: polite.pid in ends}
    receipt = end_run(table, RUN, **grace)
    for thread in threads:
        thread.join()
    signals = {entry.pid: entry.signal for entry in receipt.ended}
    assert signals[polite.pid] == "SIGTERM"
    assert signals[deaf.pid] == "SIGKILL"
    assert receipt.left == 0
    assert (ends[polite.pid].signal, ends[deaf.pid].signal) == (signal.SIGTERM, signal.SIGKILL)


@pytest.mark.parametrize("command", ["exec sleep 325", "trap '' TERM; echo > deaf; exec sleep 326"])
def test_a_command_that_a_listing_of_processes_missed_is_ended_and_in_the_receipt(
    table, spawn, monkeypatch, tmp_path, command
):
    child = spawn(command)
    if "deaf" in command:
        wait_until((tmp_path / "deaf").exists)
    thread = threading.Thread(target=table.wait, args=(child,))
    thread.start()
    monkeypatch.setattr("oxoflow.engine.ending.all_processes", dict)
    receipt = end_run(table, RUN, grace=0.1, limit=PATIENCE)
    thread.join()
    assert ([entry.pid for entry in receipt.ended], receipt.left) == ([child.pid], 0)


@pytest.mark.parametrize("by", ["marker", "pid", "log"])
def test_what_a_dead_run_left_is_found_by_each_of_its_traces(tmp_path, by):
    other = str(uuid.uuid4())
    logs = tmp_path / ".oxo-flow/logs"
    logs.mkdir(parents=True)
    with (logs / "a.out").open("wb") as log:
        process = subprocess.Popen(
            ["sleep", "323"],
            env={"OXORUN_ID": other} if by == "marker" else {},
            stdout=log if by == "log" else subprocess.DEVNULL,
            start_new_session=True,
        )
    stranger = subprocess.Popen(["sleep", "324"], cwd=tmp_path)
    identity = identify(process.pid)
    assert identity is not None
    if by == "marker":  # while a process becomes another program it has no environment
        wait_until(lambda: carries(process.pid, f"OXORUN_ID={other}".encode()))
    receipt = end_dead_run(other, [identity] if by == "pid" else [], tmp_path, limit=PATIENCE)
    assert process.wait(PATIENCE) == -signal.SIGKILL
    assert [entry.pid for entry in receipt.ended] == [process.pid]
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_a_reader_of_a_log_is_no_writer_of_it(tmp_path):
    (tmp_path / "log").touch()
    with (tmp_path / "log").open("rb") as handle:
        with subprocess.Popen(["sleep", "60"], stdin=handle) as process:
            assert not writes_below(process.pid, tmp_path)
            process.kill()


def test_a_marker_is_a_whole_entry_of_the_environment():
    with subprocess.Popen(["sleep", "60"], env={"A": "OXORUN_ID=r", "OXORUN_ID": "r1"}) as process:
        while not carries(process.pid, b"OXORUN_ID=r1"):
            assert process.poll() is None
        assert not carries(process.pid, b"OXORUN_ID=r")
        process.kill()


def test_the_meter_ends_a_job_whose_time_is_up_and_sees_the_memory_of_a_tree(table, spawn):
    noted = []
    meter = Meter(
        table, lambda *start: noted.append(start), lambda child: end_job(table, child), pytest.fail
    )
    half = "x = bytearray(60_000_000); x[::4096] = x[::4096]; import time; time.sleep(600)"
    shell = f'{sys.executable} -c "{half}" & {sys.executable} -c "{half}"'
    child = spawn(shell, timeout=PATIENCE, name="a")
    meter.job_started()
    wait_until(lambda: child.peak_kb > 110 * 1024)
    child.deadline = time.monotonic()
    ended = table.wait(child)
    meter.close()
    assert ended.timed_out
    assert ended.signal == signal.SIGKILL
    assert ended.peak_mb > 110
    assert noted == [("a", child.pid, child.start_time)]
    wait_until(lambda: not has_leftovers(table))


def test_the_memory_of_a_process_that_left_the_tree_counts_for_its_command(table, spawn):
    meter = Meter(table, lambda *_: None, pytest.fail, pytest.fail)
    large = "x = bytearray(60_000_000); x[::4096] = x[::4096]; import time; time.sleep(600)"
    child = spawn(f"(setsid {sys.executable} -c '{large}' &); read -t 600 < <(sleep 600)")
    meter.job_started()
    wait_until(lambda: child.peak_kb > 55 * 1024)
    end_job(table, child)
    assert table.wait(child).peak_mb > 55
    meter.close()


def test_trouble_in_a_duty_is_reported_once(table, spawn):
    told = []

    def duty():
        raise DiskTrouble("full")

    meter = Meter(table, pytest.fail, pytest.fail, told.append, (Duty(0.0, duty),))
    table.wait(spawn("sleep 0.1"))
    meter.job_started()
    meter.close()
    assert [str(error) for error in told] == ["full"]


def test_the_children_of_a_process_are_listed():
    with subprocess.Popen(["sleep", "60"]) as process:
        assert process.pid in children_of(os.getpid())
        assert tree_kilobytes(process.pid) > 0
        process.kill()
    assert children_of(process.pid) == []
