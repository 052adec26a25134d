"""Let a view run only for those who may call it: find the account, check role and origin.

Sets `g.account`. Looks nothing up for requests without credentials. Decides no ownership: that is
inside each query.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar
from urllib.parse import urlsplit

from flask import g, request

from oxoflow.access import Account, Role, Via
from oxoflow.access.keys import PREFIX, find_key_account
from oxoflow.access.peer import is_trusted
from oxoflow.errors import Forbidden, Unauthorized
from oxoflow.web.services import services
from oxoflow.web.wsgi import Environ

COOKIE = "oxo_session"
UNKNOWN: Any = object()  # not looked up yet
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
AMBIENT = frozenset({Via.COOKIE, Via.PROXY})  # credentials that a browser sends by itself

View = TypeVar("View", bound=Callable[..., Any])


def find_account() -> Account | None:
    """The account behind this request, looked up once; None without valid credentials.

    A header that is present but wrong does not fall back to the cookie.
    """
    account: Account | None = g.get("account", UNKNOWN)
    if account is UNKNOWN:
        g.account = account = _look_up(request.environ)
    return account


def has_credentials(environ: Environ) -> bool:
    """Whether a request shows a session or a key of its own, valid or not."""
    return (
        "HTTP_AUTHORIZATION" in environ
        or "HTTP_X_API_KEY" in environ
        or (COOKIE in environ.get("HTTP_COOKIE", "") and COOKIE in request.cookies)
    )


def _look_up(environ: Environ) -> Account | None:
    access = services().access
    header = environ.get("HTTP_AUTHORIZATION")
    if header is not None:
        scheme, _, credentials = header.partition(" ")
        credentials = credentials.strip()
        if scheme.lower() != "bearer":
            return None
        if credentials.startswith(PREFIX):
            return find_key_account(services().db, credentials)
        return access.sessions.find(credentials)
    key = environ.get("HTTP_X_API_KEY")
    if key is not None:
        return find_key_account(services().db, key.strip())
    cookie = request.cookies.get(COOKIE) if "HTTP_COOKIE" in environ else None
    if cookie:
        return access.sessions.find(cookie, Via.COOKIE)
    return _named_by_proxy()


def _named_by_proxy() -> Account | None:
    """The user a trusted proxy names, when the setting says in which header."""
    settings = services().settings
    if not settings.user_header:
        return None
    name = request.headers.get(settings.user_header)
    if not name or not is_trusted(request.remote_addr or "", settings.trusted_proxies):
        return None
    return services().access.named(name)


def check_origin(account: Account) -> None:
    """Refuse an unsafe request that a foreign page made the browser send with its credentials.

    Browsers name the page in `Origin`, or its relation to us in `Sec-Fetch-Site`; a request with
    neither does not come from one.
    """
    if account.via not in AMBIENT or request.method in SAFE:
        return
    origin = request.headers.get("Origin")
    if origin is not None:
        own = urlsplit(origin).netloc.lower() == request.host.lower()
        allowed = own or origin in services().settings.allowed_origins
    else:
        allowed = request.headers.get("Sec-Fetch-Site", "none") in ("same-origin", "none")
    if not allowed:
        raise Forbidden("Cross-origin request refused", "Send the session as a Bearer token")


def demand(needed: Role) -> Account:
    """The account of this request; raises Unauthorized or Forbidden when it may not go on."""
    account = find_account()
    if account is None:
        raise Unauthorized("Authentication required")
    check_origin(account)
    if not account.role.includes(needed):
        raise Forbidden(
            "Admin access required" if needed is Role.ADMIN else "Not allowed for this role",
            f"'{account.username}' acts as {account.role.value}, needed is {needed.value}",
        )
    return account


def demand_login() -> None:
    """Keys, sessions and passwords are for people: what a leaked key can do ends with the key."""
    if g.account.via is Via.KEY:
        raise Forbidden("Not allowed with an API key", "log in to manage keys, sessions, passwords")


def signed_in(view: View) -> View:
    """Only for accounts of any role."""
    return role(Role.VIEWER)(view)


def role(needed: Role | str) -> Callable[[View], View]:
    """Only for accounts whose role includes `needed`."""
    least = Role(needed)

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            demand(least)
            return view(*args, **kwargs)

        guarded.least_role = least  # type: ignore[attr-defined]
        return guarded  # type: ignore[return-value]

    return decorate
