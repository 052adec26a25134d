"""Let live runs lend threads to a user who has nothing live, and take them back afterwards.

A run that is alone has the whole machine; it would keep it for hours while somebody else waits. So
it is told to keep to half of its threads, says so when its jobs have come down to that, and gets
the rest back when nobody can use it. Pure: who is to be told what; the supervisor tells.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from oxoflow.db.runs import Phase
from oxoflow.supervisor.admission import Limits
from oxoflow.supervisor.live import Live

LISTENING = (Phase.RUNNING, Phase.PAUSED)  # an earlier message might not be found


def to_lend(
    line: Iterable[tuple[str, str]], lives: Sequence[Live], limits: Limits
) -> tuple[Live, int] | None:
    """The run that is to come down, and to how many threads, if a user in `line` waits for it.

    `line` is (run, user). One run at a time: the one with the most threads.
    """
    working = [live for live in lives if not live.run.idle]
    users = {live.run.user_id for live in working}
    if all(user in users for _, user in line) or len(working) >= limits.runs:
        return None
    if _free(working, limits) > 0 or any(live.asked is not None for live in working):
        return None
    able = [live for live in working if _may_lend(live)]
    if not able:
        return None
    largest = max(able, key=_threads)
    return largest, _threads(largest) - _threads(largest) // 2


def to_give_back(lives: Sequence[Live], limits: Limits) -> list[tuple[Live, int]]:
    """Runs that hold fewer threads than they were admitted with, and how many they can have."""
    working = [live for live in lives if not live.run.idle]
    free = _free(working, limits)
    found = []
    for live in working:
        more = min(free, live.most - _threads(live))
        if more > 0 and live.asked is None and live.run.phase in LISTENING:
            found.append((live, _threads(live) + more))
            free -= more
    return found


def _may_lend(live: Live) -> bool:
    run = live.run
    known = run.kind == "workflow" and run.phase in LISTENING and run.cancel_requested_at is None
    return known and _threads(live) > 1


def _free(working: Iterable[Live], limits: Limits) -> int:
    return limits.threads - sum(_threads(live) for live in working)


def _threads(live: Live) -> int:
    return live.run.threads or 1
