"""Hold the scheduler's order, pools and states; time is a number that the test passes in."""

import heapq
import random
from graphlib import CycleError

import pytest

from oxoflow.engine.scheduler import Capacity, Join, Need, Scheduler, Status, Task

ONE = Task()


def capacity(slots=8, threads=8, memory_mb=1000, **groups):
    return Capacity(slots, threads, memory_mb, groups)


def drain(scheduler, now=0.0):
    """Run everything one after the other; the order of starts."""
    order = []
    while not scheduler.finished:
        started = scheduler.start(now)
        assert started, f"stuck with {scheduler.unfinished()}"
        for index in started:
            order.append(index)
            scheduler.finish(index, Status.SUCCESS, now)
    return order


def test_a_task_starts_once_all_its_predecessors_are_satisfied():
    scheduler = Scheduler([ONE] * 4, [(), (0,), (0,), (1, 2)], capacity())
    assert scheduler.start(0) == [0]
    assert scheduler.start(0) == []
    scheduler.finish(0, Status.SUCCESS, 0)
    assert scheduler.start(0) == [1, 2]
    scheduler.finish(1, Status.SKIPPED, 0)
    assert scheduler.start(0) == []
    scheduler.finish(2, Status.SUCCESS, 0)
    assert scheduler.start(0) == [3]
    scheduler.finish(3, Status.SUCCESS, 0)
    assert scheduler.finished


def test_slots_bound_how_many_run_at_once():
    scheduler = Scheduler([ONE] * 3, [()] * 3, capacity(slots=2))
    assert scheduler.start(0) == [0, 1]
    scheduler.finish(1, Status.SUCCESS, 0)
    assert scheduler.start(0) == [2]


def test_withheld_slots_are_left_free_but_one_task_always_runs():
    scheduler = Scheduler([ONE] * 6, [()] * 6, capacity(slots=3))
    assert scheduler.start(0) == [0, 1, 2]
    scheduler.withheld, scheduler.ahead = 2, 3
    scheduler.finish(0, Status.SUCCESS, 0)
    assert (scheduler.start(0), scheduler.taken) == ([], 2)
    scheduler.finish(1, Status.SUCCESS, 0)
    scheduler.finish(2, Status.SUCCESS, 0)
    assert (scheduler.start(0), scheduler.taken) == ([3], 1)
    scheduler.withheld, scheduler.ahead = 0, 0
    assert scheduler.start(0) == [4, 5]


def test_threads_and_memory_are_handed_out_all_or_nothing():
    tasks = [Task(Need(3, 600)), Task(Need(3, 600)), Task(Need(1, 100))]
    scheduler = Scheduler(tasks, [()] * 3, capacity(threads=6, memory_mb=1000))
    assert scheduler.start(0) == [0], "the second lacks memory, though it has threads"
    scheduler.finish(0, Status.SUCCESS, 0)
    assert scheduler.start(0) == [1, 2]


def test_fact_60_a_small_waiter_never_overtakes_a_large_one():
    tasks = [Task(Need(2)), Task(Need(4)), Task(Need(1))]
    scheduler = Scheduler(tasks, [()] * 3, capacity(threads=4))
    assert scheduler.start(0) == [0]
    assert scheduler.start(0) == []
    scheduler.finish(0, Status.SUCCESS, 0)
    assert scheduler.start(0) == [1]


def test_a_favourite_that_comes_late_does_not_overtake_who_waits_in_front():
    tasks = [Task(Need(2)), Task(Need(4)), ONE, Task(Need(1), priority=9)]
    scheduler = Scheduler(tasks, [(), (), (), (2,)], capacity(threads=4))
    assert scheduler.start(0) == [0]
    scheduler.finish(2, Status.SUCCESS, 0)
    assert scheduler.start(0) == []
    scheduler.finish(0, Status.SUCCESS, 0)
    assert scheduler.start(0) == [1]


def test_who_waits_for_a_group_lets_others_pass_but_nobody_of_the_group():
    db = Need(1, 0, (("db", 1),))
    tasks = [Task(db), Task(db), Task(Need(1)), Task(db)]
    scheduler = Scheduler(tasks, [()] * 4, capacity(db=1))
    assert scheduler.start(0) == [0, 2]
    scheduler.finish(0, Status.SUCCESS, 0)
    assert scheduler.start(0) == [1]
    scheduler.finish(1, Status.SUCCESS, 0)
    assert scheduler.start(0) == [3]


def test_a_task_that_wants_two_units_is_not_starved_by_those_that_want_one():
    two, one = Need(1, 0, (("db", 2),)), Need(1, 0, (("db", 1), ("net", 1)))
    tasks = [Task(one), Task(two), Task(one)]
    scheduler = Scheduler(tasks, [()] * 3, capacity(db=2, net=5))
    assert scheduler.start(0) == [0]
    scheduler.finish(0, Status.SUCCESS, 0)
    assert scheduler.start(0) == [1]


@pytest.mark.parametrize(
    "need", [Need(9), Need(1, 2000), Need(1, 0, (("db", 2),)), Need(1, 0, (("gone", 1),))]
)
def test_a_need_that_can_never_be_met_is_refused_at_once(need):
    with pytest.raises(ValueError, match="more than there is"):
        Scheduler([Task(need)], [()], capacity(db=1))


def test_higher_priority_goes_first_then_the_longer_path_then_the_order_of_arrival():
    tasks = [Task(), Task(weight=5.0), Task(priority=1), Task(weight=5.0)]
    assert drain(Scheduler(tasks, [()] * 4, capacity(slots=1))) == [2, 1, 3, 0]


def test_waiting_raises_a_task_to_the_highest_priority_and_no_further():
    tasks = [Task(priority=0), Task(), Task(priority=2), Task(priority=2)]
    parents = [(), (), (1,), (1,)]
    scheduler = Scheduler(tasks, parents, capacity(slots=1), ageing_seconds=10)
    scheduler.finish(1, Status.SUCCESS, 15.0)
    assert scheduler.start(15.0) == [2], "one point after 15 s is not enough"
    scheduler.finish(2, Status.SUCCESS, 21.0)
    assert scheduler.start(21.0) == [0], "equal points: first come, first served"


def test_without_different_priorities_waiting_changes_nothing():
    tasks = [Task(weight=1.0), Task(), Task(weight=2.0)]
    scheduler = Scheduler(tasks, [(), (), (1,)], capacity(slots=1), ageing_seconds=1)
    scheduler.finish(1, Status.SUCCESS, 100.0)
    assert scheduler.start(100.0) == [2]


def test_tasks_that_are_all_alike_may_be_handed_out_ahead():
    scheduler = Scheduler([Task(Need(2, 100))] * 9, [()] * 9, capacity(slots=3, threads=4))
    assert scheduler.width == 2
    scheduler.ahead = 2
    assert scheduler.start(0) == [0, 1, 2, 3]
    scheduler.finish(1, Status.SUCCESS, 0)
    assert scheduler.start(0) == [4]
    scheduler.ahead = 0
    scheduler.finish(0, Status.SUCCESS, 0)
    scheduler.finish(2, Status.SUCCESS, 0)
    assert scheduler.start(0) == [], "what was handed out ahead comes first"
    scheduler.finish(3, Status.SUCCESS, 0)
    assert scheduler.start(0) == [5]


@pytest.mark.parametrize("other", [Need(1), Need(2, 50), Need(2, 100, (("g", 1),))])
def test_tasks_of_different_needs_are_never_handed_out_ahead(other):
    tasks = [Task(Need(2, 100)), Task(Need(2, 100)), Task(other)]
    scheduler = Scheduler(tasks, [()] * 3, capacity(slots=3, threads=3, g=1))
    scheduler.ahead = 2
    assert scheduler.start(0)[:1] == [0]
    assert scheduler.running < 3
    assert scheduler.width == 3


def test_a_failure_blocks_everything_below_and_nothing_else():
    scheduler = Scheduler([ONE] * 5, [(), (0,), (1,), (), (2, 3)], capacity())
    assert scheduler.start(0) == [0, 3]
    assert scheduler.finish(0, Status.FAILED, 0) == [(1, Status.BLOCKED), (2, Status.BLOCKED)]
    assert scheduler.finish(3, Status.SUCCESS, 0) == [(4, Status.BLOCKED)]
    assert scheduler.finished


def test_stopped_means_nothing_new_and_finished_when_the_last_has_reported():
    scheduler = Scheduler([ONE] * 3, [()] * 3, capacity(slots=1))
    scheduler.start(0)
    scheduler.stop()
    assert not scheduler.finished
    scheduler.finish(0, Status.FAILED, 0)
    assert scheduler.start(0) == []
    assert scheduler.finished


def test_paused_holds_back_and_goes_on():
    scheduler = Scheduler([ONE], [()], capacity())
    scheduler.paused = True
    assert scheduler.start(0) == []
    scheduler.paused = False
    assert scheduler.start(0) == [0]


def test_a_parked_task_gives_its_slot_to_others_and_queues_again():
    scheduler = Scheduler([ONE, ONE], [()] * 2, capacity(slots=1))
    assert scheduler.start(0) == [0]
    scheduler.park(0)
    assert scheduler.start(0) == [1]
    scheduler.unpark(0, 1.0)
    assert scheduler.start(1) == []
    scheduler.finish(1, Status.SUCCESS, 1)
    assert scheduler.start(1) == [0]
    scheduler.finish(0, Status.SUCCESS, 2)
    assert scheduler.finished


def test_a_parked_task_may_end_without_running_again():
    scheduler = Scheduler([ONE, ONE], [(), (0,)], capacity())
    scheduler.start(0)
    scheduler.park(0)
    assert scheduler.stuck() == []
    scheduler.finish(0, Status.SUCCESS, 0)
    assert scheduler.start(0) == [1]


def test_a_task_may_start_again_with_a_greater_need():
    scheduler = Scheduler([Task(Need(1, 400)), Task(Need(1, 600))], [()] * 2, capacity())
    assert scheduler.start(0) == [0, 1]
    scheduler.requeue(0, Need(1, 800), 0)
    assert scheduler.start(0) == []
    scheduler.finish(1, Status.SUCCESS, 0)
    assert scheduler.start(0) == [0]


def test_a_join_of_any_active_edge_runs_once_when_one_branch_was_taken():
    join = Task(join=Join.ANY_ACTIVE)
    tasks = [ONE, join, join, join]
    scheduler = Scheduler(tasks, [(), (0,), (0,), (1, 2)], capacity())
    scheduler.start(0)
    assert scheduler.finish(0, Status.SUCCESS, 0, taken={2}) == [(1, Status.SKIPPED)]
    assert scheduler.start(0) == [2]
    scheduler.finish(2, Status.SUCCESS, 0)
    assert scheduler.start(0) == [3]


def test_a_join_whose_edges_were_all_passed_by_is_skipped_with_what_follows():
    join = Task(join=Join.ANY_ACTIVE)
    scheduler = Scheduler([ONE, join, join], [(), (0,), (1,)], capacity())
    scheduler.start(0)
    skipped = scheduler.finish(0, Status.SUCCESS, 0, taken=())
    assert skipped == [(1, Status.SKIPPED), (2, Status.SKIPPED)]
    assert scheduler.finished


def test_tasks_may_be_added_below_finished_running_and_waiting_ones():
    scheduler = Scheduler([ONE] * 3, [(), (), (1,)], capacity(slots=2))
    scheduler.start(0)
    scheduler.finish(0, Status.SUCCESS, 0)
    scheduler.extend([ONE, ONE, ONE], [(0,), (1,), (2, 3)], now=0)
    assert scheduler.start(0) == [3]
    scheduler.finish(1, Status.SUCCESS, 0)
    scheduler.finish(3, Status.SUCCESS, 0)
    assert sorted(scheduler.start(0)) == [2, 4]
    scheduler.finish(2, Status.SUCCESS, 0)
    assert scheduler.start(0) == [5]


def test_tasks_added_below_a_failure_are_blocked():
    scheduler = Scheduler([ONE], [()], capacity())
    scheduler.start(0)
    scheduler.finish(0, Status.FAILED, 0)
    scheduler.extend([ONE], [(0,)], now=0)
    assert scheduler.status(1) is Status.BLOCKED
    assert scheduler.finished


def test_a_cycle_is_refused():
    with pytest.raises(CycleError):
        Scheduler([ONE, ONE], [(1,), (0,)], capacity())


def test_reporting_twice_is_a_fault():
    scheduler = Scheduler([ONE], [()], capacity())
    scheduler.start(0)
    scheduler.finish(0, Status.SUCCESS, 0)
    with pytest.raises(ValueError, match="cannot go from"):
        scheduler.finish(0, Status.FAILED, 0)


@pytest.mark.parametrize("seed", range(20))
def test_random_graphs_end_and_never_exceed_the_pools(seed):
    rng = random.Random(seed)
    size = 60
    parents = [tuple(rng.sample(range(at), rng.randint(0, min(3, at)))) for at in range(size)]
    tasks = [
        Task(
            Need(rng.randint(1, 4), rng.randint(0, 500), (("g", 1),) if rng.random() < 0.3 else ()),
            priority=rng.randint(0, 2),
            weight=rng.random(),
        )
        for _ in range(size)
    ]
    scheduler = Scheduler(tasks, parents, capacity(slots=5, threads=6, g=2), ageing_seconds=3)
    running, done, now = [], set(), 0.0
    while not scheduler.finished:
        for index in scheduler.start(now):
            assert done.issuperset(parents[index])
            heapq.heappush(running, (now + rng.random() * 10, index))
        held = [tasks[index].need for _, index in running]
        assert sum(need.threads for need in held) <= 6
        assert sum(need.memory_mb for need in held) <= 1000
        assert sum(bool(need.groups) for need in held) <= 2
        assert len(held) <= 5
        now, index = heapq.heappop(running)
        scheduler.finish(index, Status.SUCCESS, now)
        done.add(index)
    assert len(done) == size


def makespan(costs, parents, weights, slots):
    """The length of a run by a virtual clock."""
    tasks = [Task(weight=weight) for weight in weights]
    scheduler = Scheduler(tasks, parents, capacity(slots=slots, threads=slots))
    running, now = [], 0.0
    while not scheduler.finished:
        for index in scheduler.start(now):
            heapq.heappush(running, (now + costs[index], index))
        now, index = heapq.heappop(running)
        scheduler.finish(index, Status.SUCCESS, now)
    return now


def test_the_critical_path_first_shortens_a_run_with_a_long_chain_among_many_short_jobs():
    chain, short = 12, 48
    costs = [1.0] * short + [4.0] * chain
    parents = [()] * (short + 1) + [(short + at,) for at in range(chain - 1)]
    tails = [1.0] * short + [4.0 * (chain - at) for at in range(chain)]
    plain = makespan(costs, parents, [0.0] * len(costs), slots=2)
    better = makespan(costs, parents, tails, slots=2)
    assert better == 48.0, "the chain alone takes that long"
    assert plain / better > 1.4


def both(above: list[int], below: int, before: list[int], status: dict[int, Status]):
    """Give what happens to tasks that wait for many, where these are one tuple and where not."""
    told = []
    for shared in (True, False):
        parents = [tuple(before) if before and at else () for at in range(len(above))]
        group = tuple(above)
        parents += [group] * below
        if not shared:
            parents = [[*found] for found in parents]
        scheduler = Scheduler([ONE] * len(parents), parents, capacity(slots=3))
        happened = []
        for now in range(len(parents) + 1):
            for index in scheduler.start(now):
                happened.append(("start", index))
                decided = scheduler.finish(index, status.get(index, Status.SUCCESS), now)
                happened += [(how, at) for at, how in decided]
        told.append((happened, scheduler.finished, scheduler.stuck()))
    return told


@pytest.mark.parametrize("before", [[], [0]])
@pytest.mark.parametrize(
    "status",
    [
        {},
        {3: Status.FAILED},
        {0: Status.FAILED, 9: Status.FAILED},
        {5: Status.SKIPPED},
        dict.fromkeys(range(10), Status.SKIPPED),
    ],
)
def test_tasks_behind_one_gate_fare_as_with_edges_of_their_own(
    before: list[int], status: dict[int, Status]
) -> None:
    shared, apart = both(list(range(10)), 12, before, status)
    assert shared == apart
    assert shared[1:] == (True, [])
    if Status.FAILED in status.values():
        assert ("start", 10) not in shared[0]
        assert (Status.BLOCKED, 21) in shared[0]


def test_later_tasks_hang_below_a_gate_of_old_ones() -> None:
    group = tuple(range(9))
    scheduler = Scheduler([ONE] * 11, [()] * 9 + [group] * 2, capacity(slots=9, threads=9))
    started = scheduler.start(0)
    for index in started[:8]:
        scheduler.finish(index, Status.SUCCESS, 0)
    scheduler.extend([ONE] * 3, [group, group, (9,)], now=0)
    assert scheduler.start(0) == []
    scheduler.finish(8, Status.SUCCESS, 0)
    assert scheduler.start(0) == [9, 10, 11, 12]
    scheduler.finish(9, Status.FAILED, 0)
    scheduler.extend([ONE] * 2, [tuple(range(1, 10))] * 2, now=0)
    assert [scheduler.status(at) for at in (13, 14, 15)] == [Status.BLOCKED] * 3


def test_a_large_crossing_of_edges_takes_no_room_for_each() -> None:
    group = tuple(range(5000))
    scheduler = Scheduler(
        [ONE] * 10_000, [()] * 5000 + [group] * 5000, capacity(slots=5000, threads=5000)
    )
    assert len(scheduler.start(0)) == 5000
    for index in group:
        scheduler.finish(index, Status.SUCCESS, 0)
    assert len(scheduler.start(0)) == 5000
