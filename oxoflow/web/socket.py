"""Open WebSockets at `/api/ws`: the events of the SSE streams, and logs while they grow.

The handshake is answered by the stream hub, which owns the connection from then on; no request
thread is held. A browser sends its cookie from any page, so a cookie counts only from our own
origins (cross-site WebSocket hijacking).
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

from flask import Blueprint, Response, g, request
from wsproto.utilities import RemoteProtocolError

from oxoflow.access import Account, Role, Via
from oxoflow.db.events import Event, Scope
from oxoflow.db.runs import find_run
from oxoflow.errors import Forbidden, InvalidInput, Unavailable
from oxoflow.web.guards import signed_in
from oxoflow.web.handover import Handover, can_hand_over
from oxoflow.web.http import services
from oxoflow.web.listener import Subscription
from oxoflow.web.runs import own_run
from oxoflow.web.socketwire import SocketWire
from oxoflow.web.sse import accept_ticket, aliveness, is_last, owner_of, resume_from, wants
from oxoflow.web.tails import Tail
from oxoflow.web.tracing import HEADER, request_id
from oxoflow.workspace import EXECUTION_LOG

blueprint = Blueprint("socket", __name__)
blueprint.before_request(accept_ticket)


@blueprint.route("/api/ws", websocket=True)
@signed_in
def socket_of_events() -> Response:
    """Upgrade; `?run=` limits the events to one run, `?all=1` is for admins."""
    account: Account = g.account
    _check_page(account)
    if not can_hand_over(request.environ):
        raise Unavailable("WebSockets need the server that app.py starts", retry_after=60)
    subscription = _subscription(account)
    reserved = services().streams.subscribe(subscription)

    def receive(connection: socket.socket, head: bytes) -> None:
        reserved.receive(connection, b"")  # the wire opens with its own head

    return Response(Handover(request.environ, receive, _never), direct_passthrough=True)


@blueprint.get("/api/ws")
@signed_in
def no_socket() -> Response:
    """What a request without an upgrade is told."""
    raise InvalidInput("Not a WebSocket request", "send 'Upgrade: websocket'")


def _never() -> Iterator[bytes]:
    raise RuntimeError("a WebSocket is handed over or refused")


def _check_page(account: Account) -> None:
    origin = request.headers.get("Origin")
    if origin is None or account.via not in (Via.COOKIE, Via.PROXY):
        return
    own = urlsplit(origin).netloc.lower() == request.host.lower()
    if not own and origin not in services().settings.allowed_origins:
        raise Forbidden("Cross-origin request refused", "Send the session as a Bearer token")


def _subscription(account: Account) -> Subscription:
    tails: dict[str, Tail] = {}
    scope, ends_now = _scope(account)
    return Subscription(
        owner_of(account),
        _wire(account, tails),
        scope,
        resume_from(),
        ends_now,
        last=is_last if scope.run_id else _no_last,
        alive=aliveness(account, everything=scope == Scope()),
        tails=tails,
    )


def _no_last(event: Event) -> bool:
    return False


def _scope(account: Account) -> tuple[Scope, bool]:
    run_id = request.args.get("run")
    if run_id:
        run = own_run(run_id)
        return Scope(run_id=run.id), run.final
    if wants("all"):
        if not account.role.includes(Role.ADMIN):
            raise Forbidden("Admin access required", "'all' shows everybody's events")
        return Scope(), False
    return Scope(user_id=account.id), False


def _wire(account: Account, tails: dict[str, Tail]) -> SocketWire:
    db, workspace = services().db, services().workspace

    def find_tail(run_id: str, offset: int) -> Tail | None:
        run = find_run(db.read(), account.id, run_id)
        if run is None:
            return None
        directory = workspace.run_directory(run.username, run.id)
        return Tail(run.id, directory, EXECUTION_LOG, offset)

    headers = [(name.encode(), text.encode("latin-1")) for name, text in request.headers.items()]
    answer = [(HEADER.encode(), request_id().encode())]
    try:
        return SocketWire(headers, request.path, answer, tails, find_tail)
    except RemoteProtocolError as error:
        raise InvalidInput("Not a WebSocket request", str(error)) from None
