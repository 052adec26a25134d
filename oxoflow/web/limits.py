"""Count every API request against its budget before anything else is done for it.

A request with a live session or key has that one's budget, any other its address's. Owns no
counters: those are in access.limiter.
"""

from __future__ import annotations

import time

from flask import Flask, g, request

from oxoflow.access.limiter import Allowance
from oxoflow.access.peer import client_address, limiter_key
from oxoflow.errors import RateLimited
from oxoflow.web.envelope import MORE
from oxoflow.web.guards import find_account, has_credentials
from oxoflow.web.services import services
from oxoflow.web.wsgi import Environ, Headers

FREE = "/api/health"


def address() -> str:
    """The client's address, as far as trusted proxies tell it; found once per request."""
    if "address" not in g:
        settings = services().settings
        peer = request.remote_addr or ""
        g.address = peer
        if settings.trusted_proxies:
            forwarded = request.headers.get("X-Forwarded-For", "").split(",")
            g.address = client_address(peer, forwarded, settings.trusted_proxies)
    found: str = g.address
    return found


def limit_rate() -> None:
    """Refuse a request above its budget with 429 (spec/oxo-flow-api.md 3.7)."""
    environ = request.environ
    path = environ["PATH_INFO"]
    if not path.startswith("/api/") or path == FREE:
        return
    limiter = services().limiter
    if limiter is None:
        return
    allowance = limiter.check(_budget(environ), time.monotonic())
    environ[MORE] += _told(allowance)
    if not allowance.allowed:
        raise RateLimited(
            "Rate limit exceeded",
            f"{allowance.limit} requests in {limiter.config.window:g} s are allowed",
            allowance.retry_after,
        )


def _budget(environ: Environ) -> str:
    if has_credentials(environ):
        account = find_account()
        if account is not None and account.budget is not None:
            return account.budget
    return limiter_key(address())


def _told(allowance: Allowance) -> Headers:
    """What is left of the budget, for the headers of the answer."""
    return [
        ("X-RateLimit-Limit", str(allowance.limit)),
        ("X-RateLimit-Remaining", str(allowance.remaining)),
        ("X-RateLimit-Reset", str(allowance.reset)),
    ]


def register(app: Flask) -> None:
    """Limit every request of this application."""
    app.before_request(limit_rate)
