"""Hold the thread that writes, the copying of logs, and the main loop, without processes."""

import os
import threading
from queue import SimpleQueue

import pytest

from oxoflow.engine.control import Cancel, Control, LookNow
from oxoflow.engine.driving import Crash, Driver
from oxoflow.engine.events import EventWriter, read_events
from oxoflow.engine.failures import describe_exit, ran_out_of_memory
from oxoflow.engine.logs import LogCopier
from oxoflow.engine.masking import Mask, MaskedStream
from oxoflow.engine.recorder import Recorder
from oxoflow.engine.records import Failed, Started
from oxoflow.engine.rundir import write_control
from oxoflow.engine.scheduler import Capacity, Scheduler, Status, Task
from oxoflow.engine.state import State
from oxoflow.errors import DiskTrouble, RunError
from tests.patience import PATIENCE


@pytest.fixture
def state(tmp_path):
    found = State(tmp_path / "state.sqlite")
    yield found
    found.close()


def test_what_is_recorded_is_in_the_state_before_its_event_is_in_the_file(tmp_path, state):
    path = tmp_path / "events.jsonl"
    seen = []

    def look(event):
        seen.append((event.job, state.records()[event.job].status))

    recorder = Recorder(state, EventWriter(path), pytest.fail, look)
    for number in range(300):
        recorder.change(Started(f"j{number}", "r", 1.0))
        recorder.change(Failed(f"j{number}", "r", 1.0, 2.0, 1, 1, error="no"))
        recorder.event("rule_failed", f"j{number}", "r")
    recorder.flush()
    assert len(read_events(path)[0]) == 300
    recorder.close()
    assert seen == [(f"j{number}", "failed") for number in range(300)]


def test_trouble_is_reported_once_and_nothing_follows_it(tmp_path, state):
    writer = EventWriter(tmp_path / "events.jsonl")
    os.dup2(os.open("/dev/full", os.O_WRONLY), writer._descriptor)
    told = []
    recorder = Recorder(state, writer, told.append)
    recorder.event("one")
    with pytest.raises(DiskTrouble, match="No space left"):
        recorder.flush()
    recorder.change(Started("late", "r", 1.0))
    with pytest.raises(DiskTrouble):
        recorder.flush()
    recorder.close()
    assert len(told) == 1
    assert state.records() == {}


def test_a_fault_in_the_thread_that_writes_is_told_to_who_waits_for_it(tmp_path, state):
    told = []
    recorder = Recorder(state, EventWriter(tmp_path / "events.jsonl"), told.append)
    recorder.event("one", what=object())
    with pytest.raises(RunError, match="could not be recorded"):
        recorder.flush()
    recorder.close()
    assert len(told) == 1


def test_lines_are_copied_whole_with_their_job_in_front(tmp_path):
    out, err = tmp_path / "a.out", tmp_path / "a.err"
    copier = LogCopier(tmp_path / "execution.log")
    ticket = copier.begin("a", str(out), str(err))
    copier.copy()
    out.write_bytes(b"one\ntw")
    copier.copy()
    with out.open("ab") as handle:
        handle.write(b"o\nrest")
    err.write_bytes(b"\xff\n")
    copier.finish(ticket, True)
    copier.say("[1/1] done a")
    copier.copy()
    copier.copy()
    copier.close()
    assert (tmp_path / "execution.log").read_bytes() == (
        b"[a] one\n[a] two\n[a] rest\n[a] \xff\noxoflow: [1/1] done a\n"
    )


def test_an_endless_line_is_copied_in_pieces(tmp_path):
    out = tmp_path / "a.out"
    out.write_bytes(b"x" * 3_000_000)
    copier = LogCopier(tmp_path / "execution.log")
    copier.finish(copier.begin("a", str(out), str(out)), True)
    copier.close()
    copied = (tmp_path / "execution.log").read_bytes()
    assert copied.count(b"x") == 6_000_000
    assert max(map(len, copied.split(b"\n"))) < 1_200_000


def test_a_secret_cut_by_the_end_of_a_piece_is_still_hidden(tmp_path):
    mask = Mask(["topsecret", "secret", ""])
    with (tmp_path / "log").open("wb") as log:
        stream = MaskedStream(log.fileno(), mask)
        for piece in (b"a topse", b"cret b se", b"cret", b" c"):
            os.write(stream.writer, piece)
        stream.finish()
    assert (tmp_path / "log").read_bytes() == b"a *** b *** c"
    assert mask.text("x topsecret") == "x ***"
    assert not Mask([""])


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (3, "exit code 3"),
        (126, "could not be executed"),
        (137, "SIGKILL"),
        (134, "SIGABRT"),
        (254, "exit code 254"),
    ],
)
def test_exit_codes_have_words(code, words):
    assert words in describe_exit(code)


def test_a_silent_end_on_a_full_disk_has_a_cause_and_a_told_one_keeps_its_own():
    full = "exit code 1: the disk is full; free some space"
    assert describe_exit(1, "", no_space=True) == full
    assert describe_exit(1, "too many open files", no_space=True).startswith(
        "exit code 1: too many"
    )
    assert "gave no reason" in describe_exit(1, "")
    unset = describe_exit(127, "bash: line 9: CONF: unbound variable\n")
    assert unset.startswith("exit code 127: the shell variable it names has no value")


@pytest.mark.parametrize(
    ("code", "tail", "answer"),
    [
        (137, "", True),
        (1, "java.lang.OutOfMemoryError: heap", True),
        (1, "std::bad_alloc", True),
        (1, "file not found", False),
        (0, "MemoryError", False),
    ],
)
def test_signs_of_memory_running_out(code, tail, answer):
    assert ran_out_of_memory(code, tail) is answer


class Notes:
    """A handler that writes down what the loop brings."""

    def __init__(self, scheduler):
        self.scheduler = scheduler
        self.told = []

    def ended(self, end):
        self.told.append(end)
        self.scheduler.finish(end, Status.SUCCESS, 0.0)

    def cancel(self, exit_code):
        self.told.append(exit_code)
        self.scheduler.stop()

    def message(self, message):
        self.told.append(message.type)

    def broke(self, error, task):
        self.told.append(str(error))
        if task is not None:
            self.scheduler.finish(task, Status.FAILED, 0.0)
        self.scheduler.stop()

    def may_start(self):
        return self.open

    open = True


@pytest.fixture
def drive(tmp_path):
    def run(count, work, slots=2, queue=None):
        queue = queue or SimpleQueue()
        scheduler = Scheduler([Task()] * count, [()] * count, Capacity(slots, slots, 1))
        handler = Notes(scheduler)
        control = Control(tmp_path / "control", "r", queue.put)
        Driver(scheduler, slots, work, queue).run(handler, control)
        return handler.told

    return run


def test_the_loop_does_all_tasks_in_as_many_threads_as_slots(drive):
    threads = set()
    barrier = threading.Barrier(2, timeout=PATIENCE)

    def work(task):
        threads.add(threading.get_ident())
        if task < 2:
            barrier.wait()
        return task

    assert sorted(drive(50, work)) == list(range(50))
    assert len(threads) == 2


def test_a_fault_in_a_worker_reaches_the_handler_and_ends_the_loop(drive):
    def work(task):
        raise KeyError("fault")

    assert set(drive(5, work)) == {"'fault'"}


def test_words_from_outside_reach_the_handler(drive, tmp_path):
    queue = SimpleQueue()
    write_control(tmp_path / "control", {"type": "pause"})
    queue.put(LookNow())
    gate = threading.Event()

    def work(task):
        if task == 0:
            gate.wait(PATIENCE)
        elif task == 1:
            queue.put(Cancel(130))
            gate.set()
        return task

    told = drive(2, work, queue=queue)
    assert "pause" in told
    assert {0, 1, 130} <= set(told)
    assert os.listdir(tmp_path / "control") == []


def test_what_lies_ready_is_not_begun_while_paused_and_comes_back_when_stopped(tmp_path):
    queue, begun, paused = SimpleQueue(), [], threading.Event()
    scheduler = Scheduler([Task()] * 200, [()] * 200, Capacity(1, 1, 1))
    handler = Notes(scheduler)

    class Pausing(Notes):
        def ended(self, end):
            super().ended(end)
            if len(self.told) == 100:
                self.open = False
                paused.set()

    handler = Pausing(scheduler)

    def work(task):
        if not scheduler.stopped:
            begun.append(task)
        return task

    def stop():
        paused.wait(PATIENCE)
        while driver._open.is_set():
            threading.Event().wait(0.01)
        counts.append(len(begun))
        threading.Event().wait(0.1)
        counts.append(len(begun))
        queue.put(Cancel(143))

    counts = []
    driver = Driver(scheduler, 1, work, queue)
    thread = threading.Thread(target=stop)
    thread.start()
    driver.run(handler, Control(tmp_path / "c", "r", queue.put))
    thread.join()
    assert scheduler.running == 0
    assert counts[1] - counts[0] <= 1  # one may have been on its way
    # what lay ready may have been begun while the ends that brought the word gathered
    assert 100 <= len(begun) <= 105


def test_trouble_of_another_thread_ends_the_loop(drive):
    queue = SimpleQueue()
    queue.put(Crash(DiskTrouble("full")))
    assert "full" in drive(3, lambda task: task, queue=queue)
