"""Choose which waiting runs may start now, and with how many threads (design, section 10).

Pure: queue, live runs and limits in, admissions out. Users take turns: the one with the fewest
live runs is first, then the one who has waited longest for a turn; within a user the oldest run.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct


class Waiting(Struct, frozen=True):
    """A queued run; `wanted` None means as many threads as there are."""

    run_id: str
    user_id: str
    wanted: int | None


class Holding(Struct, frozen=True):
    """A live run: whose it is and how many threads it was admitted with; 0 while it only waits."""

    user_id: str
    threads: int


class Limits(Struct, frozen=True):
    """How much may be live at a time."""

    runs: int
    runs_per_user: int
    threads: int


class Admission(Struct, frozen=True):
    """A run that may start, with a number of threads."""

    run_id: str
    user_id: str
    threads: int


def admit(
    queue: Sequence[Waiting],
    live: Iterable[Holding],
    limits: Limits,
    last_turn: Mapping[str, int] | None = None,
) -> list[Admission]:
    """The runs to start now, in order. `queue` is oldest first; `last_turn` counts up with turns.

    A run gets at most what it wants, and never more than its share of the free threads among all
    that could start with it: so one run on an idle machine has all of it, and two that wait
    together have half each.
    """
    turns = dict(last_turn or {})
    holding = [hold for hold in live if hold.threads > 0]
    free_runs = limits.runs - len(holding)
    free_threads = limits.threads - sum(hold.threads for hold in holding)
    busy = Counter(hold.user_id for hold in holding)
    lines = _lines(queue)
    admitted: list[Admission] = []
    while free_runs > 0 and free_threads > 0:
        able = [user for user, line in lines.items() if line and busy[user] < limits.runs_per_user]
        if not able:
            break
        user = min(able, key=lambda name: (busy[name], turns.get(name, -1)))
        run = lines[user].pop(0)
        contenders = sum(
            min(1 + len(lines[name]) if name == user else len(lines[name]),
                limits.runs_per_user - busy[name])
            for name in able
        )  # fmt: skip
        share = max(1, free_threads // min(contenders, free_runs))
        threads = min(share, run.wanted or share)
        admitted.append(Admission(run.run_id, user, threads))
        free_runs -= 1
        free_threads -= threads
        busy[user] += 1
        turns[user] = max(turns.values(), default=-1) + 1
    return admitted


def _lines(queue: Iterable[Waiting]) -> dict[str, list[Waiting]]:
    """Each user's own queue, in the order in which the users' oldest runs came."""
    lines: dict[str, list[Waiting]] = {}
    for run in queue:
        lines.setdefault(run.user_id, []).append(run)
    return lines


def order_of_turns(
    line: Iterable[tuple[str, str]], live: Iterable[Holding], last_turn: Mapping[str, int]
) -> list[str]:
    """The waiting runs in the order in which they would start if nothing else came.

    `line` is (run, user), oldest first. Users take turns as in `admit`, limits aside.
    """
    busy = Counter(hold.user_id for hold in live if hold.threads > 0)
    lines: dict[str, deque[str]] = {}
    for run_id, user in line:
        lines.setdefault(user, deque()).append(run_id)
    turn = max(last_turn.values(), default=-1)
    heap = [(busy[u], last_turn.get(u, -1), age, u) for age, u in enumerate(lines)]
    heapq.heapify(heap)
    order: list[str] = []
    while heap:
        held, _, age, user = heap[0]
        order.append(lines[user].popleft())
        turn += 1
        if lines[user]:
            heapq.heapreplace(heap, (held + 1, turn, age, user))
        else:
            heapq.heappop(heap)
    return order


def reason_to_wait(user_id: str, live: Iterable[Holding], limits: Limits) -> str:
    """Why a run of this user does not start now, in words for a person."""
    holding = [hold for hold in live if hold.threads > 0]
    if limits.runs == 0:
        return "the server admits no runs at present"
    if sum(hold.user_id == user_id for hold in holding) >= limits.runs_per_user:
        return f"{limits.runs_per_user} runs of yours are live, the limit for one user"
    if len(holding) >= limits.runs:
        return f"{len(holding)} runs are live, the limit of this server"
    if sum(hold.threads for hold in holding) >= limits.threads:
        text = f"all {limits.threads} threads are taken by {len(holding)} live runs"
        owns = any(hold.user_id == user_id for hold in holding)
        return text if owns else f"{text}; the largest makes room as its jobs end"
    return "its turn comes next"
