"""The estimate of what is left lies between the two bounds of list scheduling."""

import pytest

from oxoflow.commands.eta import Estimator
from oxoflow.engine.capacity import usual_width
from oxoflow.engine.dag import build_dag
from oxoflow.engine.scheduler import Capacity
from oxoflow.lang.model import Resources, Rule
from tests.engine.making import job

CHAIN = build_dag([job("a", [], ["a"]), job("b", ["a"], ["b"]), job("c")])


def test_nothing_is_known_before_anything_ended():
    estimator = Estimator(CHAIN, {}, 2)
    estimator.planned(["a", "b", "c"])
    assert estimator.remaining(0.0) is None


def test_the_range_spans_chain_and_share_of_work():
    estimator = Estimator(CHAIN, {"a": 10.0, "b": 10.0, "c": 4.0}, 2)
    estimator.planned(["a", "b", "c", "not of this workflow"])
    assert estimator.remaining(0.0) == (20.0, 22.0)
    assert Estimator(CHAIN, {}, 1).remaining(0.0) is None


def test_one_slot_leaves_no_doubt():
    estimator = Estimator(CHAIN, {"a": 10.0, "b": 10.0, "c": 4.0}, 1)
    estimator.planned(["a", "b", "c"])
    assert estimator.remaining(0.0) == (24.0, 24.0)


def test_running_and_ended_jobs_count_for_what_is_left_of_them():
    estimator = Estimator(CHAIN, {"a": 10.0, "b": 10.0, "c": 4.0}, 2)
    estimator.planned(["a", "b", "c"])
    estimator.started("a", 100.0)
    estimator.ended("c", None)
    assert estimator.remaining(104.0)[0] == 16.0
    assert estimator.remaining(200.0)[0] == 10.0  # a takes longer than it ever did
    estimator.ended("a", 100.0)
    estimator.ended("b", 10.0)
    assert estimator.remaining(300.0) is None


def test_jobs_without_a_past_are_judged_by_their_rule_then_by_all():
    rule = Rule("r")
    dag = build_dag([job("r_1", rule=rule), job("r_2", rule=rule), job("x")])
    estimator = Estimator(dag, {}, 1)
    estimator.planned(["r_1", "r_2", "x"])
    estimator.ended("r_1", 8.0)
    assert estimator.remaining(0.0)[0] == 16.0


@pytest.mark.parametrize(
    ("fields", "slots", "width"),
    [
        ({}, 3, 3),
        ({}, 60, 8),  # threads
        ({"threads": 4}, 60, 2),
        ({"memory": "400M"}, 60, 2),
        ({"resources": Resources(groups={"db": 1})}, 60, 2),
        ({"threads": 64}, 60, 1),
    ],
)
def test_as_many_jobs_run_at_once_as_the_scarcest_pool_allows(fields, slots, width):
    rule = Rule("r", **fields)
    jobs = [job(f"r_{number}", rule=rule) for number in range(40)]
    assert usual_width(jobs, Capacity(slots, 8, 1000, {"db": 2})) == width


def test_small_jobs_beside_large_ones_use_what_these_leave():
    jobs = [job("large", rule=Rule("l", threads=8)), *[job(f"s_{n}") for n in range(8)]]
    assert usual_width(jobs, Capacity(60, 8, 1000, {})) == 4  # one alone, then eight
    assert usual_width([], Capacity(60, 8, 1000, {})) == 60
