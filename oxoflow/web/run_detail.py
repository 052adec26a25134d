"""Show everything about one run, with the end of its log and the files it made (4.4).

Answers are kept as bytes: of a run that is over for a while, as it does not change any more, of a
live one for half a second and only as long as its row stays the same, which needs no look while
nothing was committed. Whoever changes a run that is over (by cleaning it, say) calls `forget`.
"""

from __future__ import annotations

import posixpath
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, TypeVar

from flask import Blueprint, Response, g
from msgspec import Struct
from msgspec.structs import replace

from oxoflow.db.instants import instant
from oxoflow.db.jobs import count_jobs, verified_outputs
from oxoflow.db.runs import Run, Status, declared_outputs
from oxoflow.web.guards import signed_in
from oxoflow.web.http import reply, services
from oxoflow.web.run_files import encoded_path
from oxoflow.web.runs import own_run, summary
from oxoflow.workspace import EXECUTION_LOG, Listing, list_files, tail

TAIL_LINES = 50
MOST_KEPT = 256  # answers
LARGEST_KEPT = 256 * 1024  # bytes of one
KEPT_LIVE = 0.5  # seconds
KEPT_FOR = 60.0  # seconds: somebody may delete files of a finished run behind our back

Value = TypeVar("Value")

blueprint = Blueprint("run_detail", __name__)


class _Kept(Struct, frozen=True):
    run: Run
    commits: int  # of the database, when the run was looked up
    until: float
    body: bytes

    def holds(self, account_id: str, commits: int) -> bool:
        """Whether this is still the answer for an account, as far as can be said without a look."""
        return self.run.user_id == account_id and (self.run.final or self.commits == commits)


class _Answers:
    """Answers that may be given again, the least recently used forgotten first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self.forgotten = 0  # counts, so that a slow answer cannot bring back what was forgotten

    def find(self, run_id: str) -> _Kept | None:
        with self._lock:
            kept = self._kept.get(run_id)
            if kept is None or kept.until < time.monotonic():
                return None
            self._kept.move_to_end(run_id)
            return kept

    def keep(self, new: _Kept, forgotten: int) -> None:
        """Keep an answer that was made when so many had been forgotten."""
        if len(new.body) > LARGEST_KEPT:
            return
        with self._lock:
            if forgotten != self.forgotten:
                return
            self._kept[new.run.id] = new
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)

    def forget(self, run_id: str) -> None:
        with self._lock:
            self.forgotten += 1
            self._kept.pop(run_id, None)


_ANSWERS = _Answers()
forget = _ANSWERS.forget


@blueprint.get("/api/runs/<run_id>")
@signed_in
def one(run_id: str) -> Response:
    """One run in full."""
    forgotten = _ANSWERS.forgotten
    kept, commits = _ANSWERS.find(run_id), services().db.commits
    if kept is not None and kept.holds(g.account.id, commits):
        return Response(kept.body, content_type="application/json")
    run = own_run(run_id)
    if kept is not None and kept.run == run:
        _ANSWERS.keep(replace(kept, commits=commits), forgotten)
        return Response(kept.body, content_type="application/json")
    answer = reply(detail(run))
    if run.status is not Status.PENDING:  # its place in the queue changes without it
        until = time.monotonic() + (KEPT_FOR if run.final else KEPT_LIVE)
        _ANSWERS.keep(_Kept(run, commits, until, answer.get_data()), forgotten)
    return answer


def detail(run: Run) -> dict[str, Any]:
    """What is known about a run."""
    directory = services().workspace.run_directory(run.username, run.id)
    reader = services().db.read()
    listing = list_files(directory)
    return summary(run) | {
        "log_tail": tail(directory, EXECUTION_LOG, TAIL_LINES),
        "output_files": [file.path for file in listing.files],
        "outputs": _outputs(
            listing, declared_outputs(reader, run.id), verified_outputs(reader, run.id)
        ),
        "outputs_truncated": listing.truncated,
        "exit_code": run.exit_code,
        "error": run.error,
        "rules_total": run.rules_total,
        "threads": run.threads,
        "jobs": count_jobs(reader, run.id),
        "queue": _queue(run),
        "cancel": _receipt(run),
        "retry_of": run.retry_of,
        "tags": list(run.tags),
    }


def _outputs(
    listing: Listing, known: Mapping[str, str], verified: Mapping[str, bool]
) -> list[dict[str, Any]]:
    found = []
    for file in listing.files:
        rule = rule_of(file.path, known)
        found.append(
            {
                "path": file.path,
                "size_bytes": file.size,
                "modified_at": instant(file.modified),
                "rule": rule,
                "declared": rule is not None,
                "complete": nearest(file.path, verified),
            }
            | encoded_path(file)
        )
    return found


def rule_of(path: str, known: Mapping[str, str]) -> str | None:
    """The rule of a file: of its own path, or of a directory that was declared as an output."""
    return nearest(path, known)


def nearest(path: str, known: Mapping[str, Value]) -> Value | None:
    """What is known of a path, else of the directory nearest above it."""
    while path:
        if path in known:
            return known[path]
        path = posixpath.dirname(path)
    return None


def _queue(run: Run) -> dict[str, Any] | None:
    if run.status is not Status.PENDING:
        return None
    return {
        "position": services().supervisor.place_in_line(run.id),
        "reason": services().supervisor.why_waiting(run.user_id),
    }


def _receipt(run: Run) -> dict[str, Any] | None:
    """What a cancel ended, and how much it could not."""
    if run.status is not Status.CANCELLED:
        return None
    return {"ended": list(run.ended), "left": run.left_alive or 0}
