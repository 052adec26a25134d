"""Log in and register in the words of OxiFY (spec/oxify-api.md 1.5): our accounts, our sessions.

`access_token` is a session token as every other login gives. An account's e-mail address is its
user name with `_at_` for the `@`, which no directory name may hold.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from flask import Response, g, request
from msgspec.structs import replace

from oxoflow.access import Role
from oxoflow.access.account import valid_username
from oxoflow.access.accounts import check_new_password, new_user
from oxoflow.access.passwords import hash_password
from oxoflow.access.sessions import LIFETIME
from oxoflow.db.accounts import User, insert_user
from oxoflow.db.audit import append_deed
from oxoflow.db.instants import instant
from oxoflow.errors import InvalidInput, Unauthorized
from oxoflow.web.deeds import deed, write_deed
from oxoflow.web.guards import role, signed_in
from oxoflow.web.http import reply, services
from oxoflow.web.limits import address
from oxoflow.web.oxify import Refusal, body, make_blueprint

AT = "_at_"

blueprint = make_blueprint(__name__, public=True)


def email_of(username: str) -> str:
    """The e-mail address of an account; its user name when it has none."""
    return username.replace(AT, "@", 1)


def _shown(user_id: str, username: str, role: str) -> dict[str, Any]:
    return {"id": user_id, "email": email_of(username), "name": username, "roles": [role]}


def _answer(user: User, token: str, status: int) -> Response:
    return reply(
        {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": LIFETIME,
            "user": _shown(user.id, user.username, user.role),
        },
        status,
    )


@blueprint.post("/api/v1/auth/register")
@role("admin")
def register() -> Response:
    """Make an account; only an admin may."""
    given = body()
    email, password = given["email"], given["password"]
    username = email.replace("@", AT, 1)
    if "@" not in email or not valid_username(username):
        raise InvalidInput("'email' must be an address such as ann@lab.example")
    check_new_password(password)
    user = new_user(username, Role.USER, password_hash=hash_password(password))
    what = deed("create_user", username)

    def work(connection: sqlite3.Connection) -> None:
        insert_user(connection, user)
        append_deed(connection, what, instant())

    try:
        services().db.write(work)
    except sqlite3.IntegrityError:
        raise Refusal(409, "ConflictError", f"'{email}' has an account already") from None
    token = services().access.sessions.open(user, address(), request.headers.get("User-Agent"))
    return _answer(user, token, 201)


@blueprint.post("/api/v1/auth/login")
def log_in() -> Response:
    """Open a session with an e-mail address, or a user name in its place."""
    given = body()
    name, password = given["email"].replace("@", AT, 1), given["password"]
    try:
        agent = request.headers.get("User-Agent")
        login = services().access.login(name, password, address(), agent)
    except Unauthorized:
        write_deed(deed("login_failed", name, result="failure"))
        raise
    who = login.user
    write_deed(replace(deed("login", name), user_id=who.id, username=who.username))
    return _answer(login.user, login.token, 200)


@blueprint.get("/api/v1/auth/me")
@signed_in
def who_am_i() -> Response:
    """The account behind the token."""
    account = g.account
    return reply(_shown(account.id, account.username, account.role.value))
