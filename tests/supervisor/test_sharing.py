"""Who lends threads to a user who has nothing live, and who gets them back, as a table."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import fields

from oxoflow.db.runs import Options, Phase, Run, Status
from oxoflow.supervisor.admission import Limits
from oxoflow.supervisor.live import Live
from oxoflow.supervisor.sharing import to_give_back, to_lend

EIGHT = Limits(runs=8, runs_per_user=4, threads=8)


def live(text: str) -> Live:
    """`a1:4/8` is run a1 of user a that holds 4 of the 8 threads it was admitted with.

    A `?` after it: asked already; `s`: starting; `x`: being cancelled; `g`: of another kind;
    `w`: it only waits.
    """
    name, _, figures = text.partition(":")
    held, _, most = figures.rstrip("?sxgw").partition("/")
    values: dict[str, Any] = dict.fromkeys((field.name for field in fields(Run)), None)
    run = Run(**(values | {
        "id": name, "user_id": name[0], "threads": int(held), "idle": "w" in figures,
        "kind": "execution" if "g" in figures else "workflow", "options": Options(),
        "phase": Phase.STARTING if "s" in figures else Phase.RUNNING, "status": Status.RUNNING,
        "cancel_requested_at": "now" if "x" in figures else None,
    }))  # fmt: skip
    found = Live(run, Path(), None, 0, most=int(most or held))
    found.asked = 1 if "?" in figures else None
    return found


def line(text: str) -> list[tuple[str, str]]:
    return [(run, run[0]) for run in text.split()]


@pytest.mark.parametrize(
    ("waiting", "lives", "expected"),
    [
        ("b1", "a1:8", "a1 4"),
        ("a2 b1", "a1:5 a3:3", "a1 3"),  # the one with the most
        ("b1", "a1:7 c1:1", "a1 4"),
        ("a2", "a1:8", ""),  # one's own runs take turns
        ("b1", "a1:6", ""),  # there is room: admission has its reason
        ("b1", "a1:8?", ""),  # it is on its way
        ("b1", "a1:1 c1:1 d1:1 e1:1 f1:1 g1:1 h1:1 i1:1", ""),
        ("b1", "a1:8s", ""),
        ("b1", "a1:8x", ""),
        ("b1", "a1:8g", ""),
        ("b1", "a1:8 b2:1w", "a1 4"),  # what only waits counts for nothing
        ("", "a1:8", ""),
    ],
)
def test_the_largest_run_lends_half_to_a_user_without_any(
    waiting: str, lives: str, expected: str
) -> None:
    found = to_lend(line(waiting), [live(word) for word in lives.split()], EIGHT)
    assert ("" if found is None else f"{found[0].run.id} {found[1]}") == expected


def test_nothing_is_lent_when_no_more_runs_may_be_live() -> None:
    assert to_lend(line("b1"), [live("a1:8")], Limits(1, 4, 8)) is None


@pytest.mark.parametrize(
    ("lives", "expected"),
    [
        ("a1:4/8", "a1 8"),
        ("a1:4/8 b1:2", "a1 6"),
        ("a1:4/8 b1:4", ""),
        ("a1:2/8 b1:1/4", "a1 7"),
        ("a1:4/4 b1:1/3", "b1 3"),
        ("a1:4/8?", ""),
        ("a1:4/8s", ""),
    ],
)
def test_what_is_free_is_given_back(lives: str, expected: str) -> None:
    found = to_give_back([live(word) for word in lives.split()], EIGHT)
    assert " ".join(f"{one.run.id} {threads}" for one, threads in found) == expected
