"""Drive short tasks, which are handed out ahead and whose ends are looked at together."""

import threading
from queue import SimpleQueue

import pytest

from oxoflow.engine.control import Cancel
from oxoflow.engine.driving import Driver
from oxoflow.engine.scheduler import Capacity, Scheduler, Status, Task


class Control:
    def messages(self, now):
        return []


class Handler:
    """Tells the scheduler, and keeps what happened."""

    def __init__(self, scheduler):
        self.scheduler = scheduler
        self.ends = []
        self.error = None

    def ended(self, end):
        self.ends.append(end)
        self.scheduler.finish(end, Status.SUCCESS, 0.0)

    def cancel(self, exit_code):
        self.scheduler.stop()

    def message(self, message):
        raise AssertionError(message)

    def broke(self, error, task):
        self.error = error
        self.scheduler.finish(task, Status.FAILED, 0.0)
        self.scheduler.stop()

    def may_start(self):
        return True


def drive(parents, work, slots=2):
    """Run tasks that are alike; `work` also gets the queue of words from outside."""
    scheduler = Scheduler([Task()] * len(parents), parents, Capacity(slots, 64, 0))
    queue = SimpleQueue()
    handler = Handler(scheduler)
    Driver(scheduler, slots, lambda task: work(task, queue), queue).run(handler, Control())
    return handler


@pytest.mark.parametrize("slots", [1, 2, 5])
def test_every_short_task_is_done_once_and_never_more_at_a_time_than_there_are_slots(slots):
    lock, at_work, most = threading.Lock(), 0, 0

    def work(task, queue):
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        with lock:
            at_work -= 1
        return task

    handler = drive([()] * 700, work, slots)
    assert sorted(handler.ends) == list(range(700))
    assert most <= slots


def test_a_chain_of_short_tasks_is_done_in_its_order():
    parents = [() if task == 0 else (task - 1,) for task in range(300)]
    assert drive(parents, lambda task, queue: task).ends == list(range(300))


def test_a_word_from_outside_is_heard_while_ends_gather():
    def work(task, queue):
        if task == 300:
            queue.put(Cancel(130))
        return task

    handler = drive([()] * 20_000, work)
    assert 300 in handler.ends
    assert len(handler.ends) < 20_000


def test_a_fault_of_a_worker_stops_the_loop_and_no_thread_is_left():
    def work(task, queue):
        if task == 100:
            raise ZeroDivisionError
        return task

    handler = drive([()] * 400, work)
    assert isinstance(handler.error, ZeroDivisionError)
    assert not [t for t in threading.enumerate() if t.name.startswith("job_")]


def test_nothing_that_lies_ready_is_begun_when_the_loop_itself_has_a_fault():
    begun, second, go_on = [], threading.Event(), threading.Event()

    def work(task, queue):
        begun.append(task)
        if len(begun) > 1:
            second.set()
            go_on.wait()
        return task

    def fault(end):
        second.wait()
        threading.Thread(target=release, args=(driver._tasks.qsize(),)).start()
        raise RuntimeError("of ours")

    def release(ready):
        while driver._tasks.qsize() == ready:
            second.wait()
        go_on.set()

    scheduler = Scheduler([Task()] * 10, [()] * 10, Capacity(1, 64, 0))
    handler = Handler(scheduler)
    driver = Driver(scheduler, 1, lambda task: work(task, None), SimpleQueue())
    driver._pace = 0.0
    handler.ended = fault
    with pytest.raises(RuntimeError, match="of ours"):
        driver.run(handler, Control())
    assert len(begun) == 2
