"""Serve login, logout and "who am I" (spec/oxo-flow-api.md 1.3)."""

from __future__ import annotations

from flask import Blueprint, Response, g, request
from msgspec.structs import replace

from oxoflow.access.accounts import store_password
from oxoflow.access.peer import is_trusted
from oxoflow.access.sessions import LIFETIME
from oxoflow.errors import Conflict, Unauthorized
from oxoflow.web.deeds import deed, write_deed
from oxoflow.web.guards import COOKIE, check_origin, demand_login, find_account, signed_in
from oxoflow.web.http import json_body, reply, services
from oxoflow.web.limits import address

blueprint = Blueprint("auth", __name__)


@blueprint.post("/api/auth/login")
def log_in() -> Response:
    """Open a session; the token comes as JSON and as a cookie."""
    body = json_body(required={"username": str, "password": str})
    name = body["username"]
    try:
        login = services().access.login(
            name, body["password"], address(), request.headers.get("User-Agent")
        )
    except Unauthorized:
        write_deed(deed("login_failed", name, result="failure"))
        raise
    user = login.user
    write_deed(replace(deed("login", name), user_id=user.id, username=user.username))
    answer = reply({"token": login.token, "username": user.username, "role": user.role})
    set_cookie(answer, login.token, LIFETIME)
    return answer


@blueprint.get("/api/auth/me")
def who_am_i() -> Response:
    """Say whose credentials came with the request, if anybody's; always 200."""
    account = find_account()
    if account is None:
        return reply({"authenticated": False})
    return reply({"authenticated": True, "username": account.username, "role": account.role.value})


@blueprint.post("/api/auth/logout")
def log_out() -> Response:
    """End the session of this request; the same answer when there is none."""
    account = find_account()
    if account is not None:
        check_origin(account)
        if account.session_hash:
            services().access.sessions.end(account.session_hash)
            write_deed(deed("logout", account.username, account))
    answer = reply({"status": "logged_out"})
    set_cookie(answer, "", 0)
    return answer


@blueprint.post("/api/auth/logout/all")
@signed_in
def log_out_everywhere() -> Response:
    """End every session of this account, this one too; keys stay."""
    demand_login()
    account = g.account
    ended = services().access.sessions.end_all(account.id)
    write_deed(deed("logout_all", account.username, account))
    answer = reply({"status": "logged_out", "sessions": ended})
    set_cookie(answer, "", 0)
    return answer


@blueprint.post("/api/auth/password")
@signed_in
def change_password() -> Response:
    """Change one's own stored password; every session ends."""
    demand_login()
    body = json_body(required={"current": str, "new": str})
    access, account = services().access, g.account
    user = access.check_slowly(account.username, body["current"], address())
    if user.password_hash is None or account.username in services().settings.environment_passwords:
        raise Conflict("Password is not stored here", "it is configured where the server starts")
    store_password(services().db, services().settings.home, account.username, body["new"])
    access.sessions.forget_user(account.id)
    write_deed(deed("change_password", account.username, account))
    return reply({"status": "changed"})


def set_cookie(answer: Response, token: str, lifetime: int) -> None:
    """Set or expire the session cookie, with the same attributes either way."""
    answer.set_cookie(
        COOKIE,
        token,
        max_age=lifetime,
        path=services().settings.base_path or "/",
        secure=is_https(),
        httponly=True,
        samesite="Strict",
    )


def is_https() -> bool:
    """Whether the client speaks TLS, to us or to a trusted proxy that says so."""
    settings = services().settings
    if is_trusted(request.remote_addr or "", settings.trusted_proxies):
        return request.headers.get("X-Forwarded-Proto", "").strip().lower() == "https"
    return request.is_secure
