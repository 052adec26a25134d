"""Hold pools and demands, and the tasks made of them."""

import pytest

from oxoflow.engine.capacity import (
    Limits,
    check_budget,
    demand,
    find_capacity,
    host_warnings,
    machine_memory_mb,
    machine_threads,
)
from oxoflow.engine.deciding import Decision, Verdict
from oxoflow.engine.records import Record
from oxoflow.engine.scheduler import Capacity, Need
from oxoflow.engine.tasks import make_tasks, needs_work
from oxoflow.errors import BudgetTooSmall
from oxoflow.lang.model import Budget, ResourceGroup, Resources, Rule, Workflow
from tests.engine.making import job, load

POOL = Capacity(4, 8, 1000, {"db": 2})


def of_rule(**fields):
    return job("a", rule=Rule("a", **fields))


def test_the_pools_are_those_of_the_machine():
    found = find_capacity(Workflow("w"), Limits(3))
    assert found == Capacity(3, machine_threads(), machine_memory_mb(), {})
    assert find_capacity(Workflow("w"), Limits(0)).slots == 1


def test_a_budget_lowers_and_explicit_limits_win():
    workflow = Workflow(
        "w",
        budget=Budget(max_threads=1, max_memory="1G", max_jobs=2),
        resource_groups={"db": ResourceGroup(5)},
    )
    found = find_capacity(workflow, Limits(8))
    assert (found.slots, found.threads, found.memory_mb) == (2, 1, 1024)
    assert found.groups == {"db": 5}
    found = find_capacity(workflow, Limits(8, 64, 9000))
    assert (found.threads, found.memory_mb) == (64, 9000)


@pytest.mark.parametrize(
    ("fields", "need"),
    [
        ({}, Need(1, 0)),
        ({"threads": 3, "memory": "500"}, Need(3, 500)),
        ({"resources": Resources(threads=2, memory="1G")}, Need(2, 1000)),
        ({"resources": Resources(groups={"db": 2, "none": 0})}, None),
        ({"resources": Resources(groups={"db": 2})}, Need(1, 0, (("db", 2),))),
        ({"threads": 99, "memory": "odd"}, Need(8, 0)),
    ],
)
def test_demands_are_cut_to_the_pools(fields, need):
    found = demand(of_rule(**fields), POOL)
    if need is None:
        assert found.problem is not None
    else:
        assert found.need == need


def test_what_is_cut_is_said():
    words = demand(of_rule(threads=99, memory="2G"), POOL).warning
    assert words == (
        "rule 'a' asks for 99 threads, there are 8 and 2048 MB, there are 1000; "
        "its jobs run alone with what there is"
    )
    assert demand(of_rule(threads=8), POOL).warning is None


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Limits(1, max_threads=2), "needs 4 threads, --max-threads allows 2"),
        (Limits(1, max_memory_mb=100), "needs 200 MB, --max-memory allows 100"),
    ],
)
def test_an_explicit_limit_below_a_rule_is_refused(limits, words):
    with pytest.raises(BudgetTooSmall, match=words):
        check_budget([of_rule(threads=4, memory="200")], limits)
    check_budget([of_rule(threads=1)], limits)


def test_what_is_not_counted_and_little_room_are_warned_of_once(tmp_path, monkeypatch):
    hungry = Rule("a", resources=Resources(gpu=1, disk="9G"))
    jobs = [job("a1", rule=hungry), job("a2", rule=hungry), job("b", rule=Rule("b"))]
    monkeypatch.setattr("oxoflow.engine.capacity.free_megabytes", lambda place: 8000)
    assert host_warnings(jobs, tmp_path, tmp_path / "none") == [
        "rule 'a' asks for a GPU; on this machine they are not counted",
        "rule 'a' asks for 9216 MB of disk, 8000 MB are free",
    ]
    monkeypatch.setattr("oxoflow.engine.capacity.free_megabytes", lambda place: 500)
    assert [line.split(";")[0] for line in host_warnings([], tmp_path, tmp_path)] == [
        f"less than 1024 MB are free in '{tmp_path}'"
    ] * 2


def test_tasks_hold_what_is_left_to_do_with_edges_among_them_and_the_work_behind_each():
    loaded = load(
        "".join(
            f"[[rules]]\nname = '{name}'\ninput = {reads}\noutput = ['{name}']\nshell = 'x'\n"
            for name, reads in (("a", []), ("b", ["a"]), ("c", ["b"]), ("d", ["a", "c"]))
        )
    )
    verdicts = {"a": Verdict.RUN, "b": Verdict.SKIP, "c": Verdict.CHECK, "d": Verdict.RUN}
    decisions = [
        Decision(index, loaded.dag.jobs[index], verdicts[loaded.dag.jobs[index].name])
        for index in loaded.dag.order
    ]
    chosen = [decision for decision in decisions if needs_work(decision)]
    known = {"c": Record("c", "c", "done", wall_s=5.0), "d": Record("d", "d", "done", wall_s=2.0)}
    tasks = make_tasks(chosen, loaded.dag, POOL, known)
    assert [item.decision.job.name for item in tasks.items] == ["a", "c", "d"]
    assert tasks.parents == ((), (), (0, 1))
    assert [item.ready for item in tasks.items] == [True, True, False]
    assert [task.weight for task in tasks.tasks] == [5.5, 7.0, 2.0], "unknown: the usual 3.5"


def test_the_work_behind_tasks_that_many_wait_for_is_that_of_the_longest_of_these():
    names = ", ".join(f"'a{n}'" for n in range(10))
    text = "".join(f"[[rules]]\nname = 'a{n}'\nshell = 'x'\n" for n in range(10))
    text += "".join(
        f"[[rules]]\nname = 'b{n}'\ndepends_on = [{names}]\nshell = 'x'\n" for n in range(10)
    )
    loaded = load(text + "[[rules]]\nname = 'c'\ndepends_on = ['b3']\nshell = 'x'\n")
    chosen = [Decision(at, loaded.dag.jobs[at], Verdict.RUN) for at in loaded.dag.order]
    seconds = {**{f"a{n}": 1.0 for n in range(10)}, "b3": 2.0, "b7": 4.0, "b9": 3.0, "c": 5.0}
    known = {name: Record(name, name, "done", wall_s=wall) for name, wall in seconds.items()}
    tasks = make_tasks(chosen, loaded.dag, POOL, known)
    weight = {
        item.decision.job.name: task.weight
        for item, task in zip(tasks.items, tasks.tasks, strict=True)
    }
    assert [weight[name] for name in ("a0", "a9", "b3", "b7", "c")] == [8.0, 8.0, 7.0, 4.0, 5.0]
