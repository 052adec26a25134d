"""Who may start: limits, threads and turns, as a table."""

import pytest

from oxoflow.supervisor.admission import (
    Holding,
    Limits,
    Waiting,
    admit,
    order_of_turns,
    reason_to_wait,
)

EIGHT = Limits(runs=8, runs_per_user=4, threads=8)


def waiting(text: str) -> list[Waiting]:
    """`a1:2 b1` is run a1 of user a that wants two threads, then run b1 of user b."""
    found = []
    for word in text.split():
        run, _, wanted = word.partition(":")
        found.append(Waiting(run, run[0], int(wanted) if wanted else None))
    return found


def started(queue: str, live: str = "", limits: Limits = EIGHT, **turns: int) -> str:
    holding = [Holding(word[0], int(word[1:])) for word in live.split()]
    found = admit(waiting(queue), holding, limits, turns)
    return " ".join(f"{one.run_id}:{one.threads}" for one in found)


@pytest.mark.parametrize(
    ("queue", "live", "expected"),
    [
        ("", "", ""),
        ("a1", "", "a1:8"),  # an idle machine is all its own
        ("a1:3", "", "a1:3"),
        ("a1 b1", "", "a1:4 b1:4"),  # two that wait together share it
        ("a1:1 b1", "", "a1:1 b1:7"),
        ("a1 a2 a3 b1", "", "a1:2 b1:2 a2:2 a3:2"),  # users take turns
        ("a1", "b8", ""),  # no thread is free
        ("a1", "b6", "a1:2"),  # fewer than wanted is better than none
        ("a1:4 b1", "c7", "a1:1"),
        ("a5 b1", "a1 a1 a1 a1", "b1:4"),  # a has its four
        ("b1 a1", "b1", "a1:3 b1:4"),  # who has fewer live runs is first
    ],
)
def test_runs_start_within_runs_users_and_threads(queue: str, live: str, expected: str) -> None:
    assert started(queue, live) == expected


def test_the_server_limit_holds_over_all_users() -> None:
    assert started("a1 b1 c1", limits=Limits(2, 4, 8)) == "a1:4 b1:4"
    assert started("a1", limits=Limits(0, 4, 8)) == ""


def test_a_user_who_had_a_turn_lately_comes_after_the_others() -> None:
    one = Limits(1, 4, 8)
    assert started("a1 b1", limits=one) == "a1:8"
    assert started("a2 b1", limits=one, a=0) == "b1:8"
    assert started("a2 b2", limits=one, a=2, b=5) == "a2:8"


def test_a_run_that_only_waits_holds_nothing() -> None:
    assert started("a1", "b0 b0 b0", limits=Limits(1, 1, 4)) == "a1:4"


@pytest.mark.parametrize(
    ("queue", "live", "turns", "expected"),
    [
        ("", "a1", {}, ""),
        ("a1 a2 a3 b1", "", {}, "a1 b1 a2 a3"),
        ("a2 a3 b1", "a1", {"a": 0}, "b1 a2 a3"),  # who has nothing live comes first
        ("a1 b1 a2 b2 c1", "", {"a": 3, "b": 1}, "c1 b1 a1 b2 a2"),
        ("a1 b1", "b0", {}, "a1 b1"),  # a run that only waits does not count
    ],
)
def test_the_places_in_the_line_are_those_of_the_turns(
    queue: str, live: str, turns: dict[str, int], expected: str
) -> None:
    line = [(run, run[0]) for run in queue.split()]
    holding = [Holding(word[0], int(word[1:])) for word in live.split()]
    assert " ".join(order_of_turns(line, holding, turns)) == expected


def test_the_sum_of_threads_never_exceeds_the_cores() -> None:
    queue = " ".join(f"{user}{number}" for number in range(9) for user in "abcde")
    found = admit(waiting(queue), [], Limits(100, 100, 8))
    assert sum(one.threads for one in found) == 8


@pytest.mark.parametrize(
    ("limits", "live", "word"),
    [
        (Limits(0, 4, 8), "", "no runs at present"),
        (Limits(8, 1, 8), "a1", "limit for one user"),
        (Limits(1, 4, 8), "b1", "limit of this server"),
        (EIGHT, "b8", "all 8 threads are taken by 1 live runs; the largest makes room"),
        (EIGHT, "a8", "all 8 threads"),
        (EIGHT, "", "next"),
    ],
)
def test_the_reason_to_wait_names_the_limit(limits: Limits, live: str, word: str) -> None:
    holding = [Holding(text[0], int(text[1:])) for text in live.split()]
    assert word in reason_to_wait("a", holding, limits)
