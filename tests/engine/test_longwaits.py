"""A job that waits long for its share is told of, with those who hold it (5.6)."""

from oxoflow.engine.longwaits import LongWaits
from oxoflow.engine.scheduler import Capacity, Need, Scheduler, Status, Task
from tests.engine.running import events, execute, rule


def test_a_wait_is_told_once_after_a_minute_with_its_holders():
    needs = [Need(3, 100), Need(1), Need(4, 500, (("gpu", 1),))]
    capacity = Capacity(slots=8, threads=4, memory_mb=1000, groups={"gpu": 2})
    scheduler = Scheduler([Task(need) for need in needs], [()] * 3, capacity)
    told: list[str] = []
    waits = LongWaits(scheduler, "abc".__getitem__, told.append)
    assert scheduler.start(0.0) == [0, 1]
    for now in (0.0, 59.0, 61.0, 300.0):
        waits.look(now)
    assert told == [
        "job 'c' has waited 61 s for 4 threads, 500 MB, 1 of 'gpu'; "
        "held by 'a' (3 threads, 100 MB), 'b' (1 thread)"
    ]
    for task in (0, 1):
        scheduler.finish(task, Status.SUCCESS, 301.0)
    assert scheduler.start(302.0) == [2]
    waits.look(900.0)
    assert len(told) == 1


def test_a_run_tells_it_as_a_warning(tmp_path, monkeypatch):
    monkeypatch.setattr("oxoflow.engine.longwaits.LONG_SECONDS", 0.2)
    told = "until grep -q 'has waited' .oxo-flow/events.jsonl; do sleep 0.05; done"
    text = "[resource_budget]\nmax_threads = 1\n" + "".join(
        rule(name, told, output=[], priority=at) for at, name in enumerate(("b", "a"))
    )
    assert execute(tmp_path, text).exit_code == 0
    (told,) = [event.data["message"] for event in events(tmp_path, "warning")]
    assert "job 'b' has waited" in told
    assert "held by 'a' (1 thread)" in told
