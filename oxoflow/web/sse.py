"""Open event streams: of a user, of one run, or of heartbeats for whoever is not logged in.

Checks who asks and from where to replay, takes a place at the stream hub, and gives the connection
away (spec/oxo-flow-api.md 2.2; design, section 7).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from flask import Blueprint, Response, g, request

from oxoflow.access import Account, Role
from oxoflow.db.accounts import find_user
from oxoflow.db.events import Event, Scope, last_event_id
from oxoflow.db.instants import instant
from oxoflow.db.keys import ApiKey, list_keys
from oxoflow.db.runs import Run
from oxoflow.errors import Forbidden, InvalidInput, Unauthorized, Unavailable
from oxoflow.supervisor.settle import TERMINAL_TYPES
from oxoflow.web.guards import COOKIE, find_account, signed_in
from oxoflow.web.handover import Handover, can_hand_over
from oxoflow.web.http import query_flag, query_number, reply, services
from oxoflow.web.hub import Reserved
from oxoflow.web.limits import address
from oxoflow.web.listener import Subscription
from oxoflow.web.runs import own_run
from oxoflow.web.tails import Tail
from oxoflow.web.tickets import LIFETIME, Tickets
from oxoflow.web.waiting import free_streaming_thread, take_streaming_thread
from oxoflow.web.wires import SseWire
from oxoflow.workspace import EXECUTION_LOG

LAST_TYPES = frozenset(TERMINAL_TYPES.values())
HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",  # nginx passes each event on at once
}

TICKETS = Tickets()

blueprint = Blueprint("sse", __name__)


@blueprint.get("/api/events")
def events() -> Response:
    """One's own events; an admin's `?all=1` is everybody's; without a login heartbeats only."""
    account = find_account()
    if account is None:
        if "Authorization" in request.headers or COOKIE in request.cookies:
            raise Unauthorized("Authentication required", "the session is unknown or has ended")
        return stream(Subscription(f"address {address()}", _wire(), None))
    scope = Scope(user_id=account.id)
    if wants("all"):
        if not account.role.includes(Role.ADMIN):
            raise Forbidden("Admin access required", "'all' shows everybody's events")
        scope = Scope()
    alive = aliveness(account, everything=scope == Scope())
    return stream(Subscription(owner_of(account), _wire(), scope, resume_from(), alive=alive))


@blueprint.get("/api/runs/<run_id>/events")
@signed_in
def run_events(run_id: str) -> Response:
    """The events of one run from its first on, or from the last one seen, to its end.

    `?logs=1` adds what its log becomes longer, from `?log_offset=` on.
    """
    run = own_run(run_id)
    after = resume_from()
    tails = (
        {run.id: log_tail(run, query_number("log_offset", 0, 0, 2**62))} if wants("logs") else {}
    )
    if run.final and after is not None and not tails and not _anything_after(run, after):
        return Response(status=204)  # tells an EventSource not to come back
    return stream(
        Subscription(
            owner_of(g.account),
            _wire(),
            Scope(run_id=run.id),
            after=after or 0,
            ends_now=run.final,
            last=is_last,
            alive=aliveness(g.account),
            tails=tails,
        )
    )


def log_tail(run: Run, offset: int) -> Tail:
    """The log of a run, to be followed."""
    directory = services().workspace.run_directory(run.username, run.id)
    return Tail(run.id, directory, EXECUTION_LOG, offset)


def is_last(event: Event) -> bool:
    """Whether a run is over with this event."""
    return event.type in LAST_TYPES


def _anything_after(run: Run, after: int) -> bool:
    reader = services().db.read()
    return after < last_event_id(reader, run.id)


def _wire() -> SseWire:
    return SseWire(named=wants("named"))


def wants(flag: str) -> bool:
    """Whether a flag of the query is set."""
    return query_flag(flag)


@blueprint.post("/api/events/ticket")
@signed_in
def ticket() -> Response:
    """A word that opens one stream within 30 s, for browsers that can set no header on one."""
    return reply({"ticket": TICKETS.issue(g.account), "expires_in_secs": int(LIFETIME)})


@blueprint.before_request
def accept_ticket() -> None:
    """Let a ticket in the query stand for the login that it was issued to; it is then used up."""
    text = request.args.get("ticket")
    if text is not None:
        g.account = TICKETS.redeem(text)
        if g.account is None:
            raise Unauthorized("Authentication required", "the ticket is unknown, used or too old")


def owner_of(account: Account) -> str:
    """Whom a stream counts against."""
    return f"user {account.id}"


def aliveness(account: Account, everything: bool = False) -> Callable[[], bool]:
    """Asked at every heartbeat: whether the login that opened the stream still holds.

    Called on the stream thread. A stream of `everything` also ends when its reader is no admin.
    """
    db, sessions = services().db, services().access.sessions

    def holds() -> bool:
        if account.session_hash is not None and not sessions.alive(account.session_hash):
            return False
        if account.session_hash is not None and not everything:
            return True
        user = find_user(db.read(), account.id)
        if user is None or user.disabled or (everything and user.role != Role.ADMIN.value):
            return False
        if account.key_id is None:
            return True
        keys = list_keys(db.read(), account.id)
        return any(key.id == account.key_id and _usable(key) for key in keys)

    return holds


def _usable(key: ApiKey) -> bool:
    return key.revoked_at is None and (key.expires_at is None or key.expires_at > instant())


def resume_from() -> int | None:
    """The position a client names; raises InvalidInput for one that is none."""
    text = request.headers.get("Last-Event-ID") or request.args.get("last_event_id")
    if not text:
        return None
    if not re.fullmatch(r"\d{1,18}", text, re.ASCII):
        raise InvalidInput("Invalid Last-Event-ID", "it must be the id of an event")
    return int(text)


def stream(subscription: Subscription, headers: Mapping[str, str] = HEADERS) -> Response:
    """The response that is a stream: handed over, or, elsewhere, held by this thread."""
    if request.method == "HEAD":
        return Response(headers=headers)
    reserved = services().streams.subscribe(subscription)
    body = Handover(request.environ, reserved.receive, lambda: _in_this_thread(reserved))
    if not can_hand_over(request.environ) and not take_streaming_thread():
        raise Unavailable("Too many event streams", "half of the threads hold one", retry_after=10)
    return Response(body, headers=headers, direct_passthrough=True)


def _in_this_thread(reserved: Reserved) -> Iterator[bytes]:
    try:
        yield from reserved.frames()
    finally:
        free_streaming_thread()
