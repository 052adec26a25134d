"""Serve accounts to admins: list, create, change, log out and delete (spec/oxo-flow-api.md 1.8)."""

from __future__ import annotations

import sqlite3
from typing import Any

from flask import Blueprint, Response, g

from oxoflow.access import LOCAL_ACCOUNT, Role
from oxoflow.access.account import valid_username
from oxoflow.access.accounts import check_new_password, new_user
from oxoflow.access.passwords import hash_password
from oxoflow.db.accounts import (
    User,
    delete_user,
    find_user,
    insert_user,
    list_users,
    set_password_hash,
    update_user,
)
from oxoflow.db.audit import append_deed
from oxoflow.db.instants import instant
from oxoflow.db.runs import Status, count_runs
from oxoflow.errors import Conflict, InvalidInput, NotFound
from oxoflow.settings import ENVIRONMENT_ACCOUNTS
from oxoflow.web.deeds import deed
from oxoflow.web.guards import role
from oxoflow.web.http import Unprocessable, created, json_body, reply, services

RESERVED = frozenset({*ENVIRONMENT_ACCOUNTS, LOCAL_ACCOUNT})

blueprint = Blueprint("users", __name__, url_prefix="/api/users")


def _shown(user: User) -> dict[str, Any]:
    return {
        "id": user.id,
        "username": user.username,
        "role": user.role,
        "auth_type": user.auth_type,
        "disabled": user.disabled,
        "created_at": user.created_at,
        "updated_at": user.updated_at,
    }


def _found(user_id: str) -> User:
    user = find_user(services().db.read(), user_id)
    if user is None:
        raise NotFound("User not found")
    return user


def _role(text: str | None, default: Role) -> Role:
    try:
        return default if text is None else Role(text)
    except ValueError:
        raise Unprocessable(
            "Invalid request body", "the field 'role' must be admin, user or viewer"
        ) from None


@blueprint.get("")
@role("admin")
def listed() -> Response:
    """Every account, by name."""
    return reply({"users": [_shown(user) for user in list_users(services().db.read())]})


@blueprint.get("/<user_id>")
@role("admin")
def one(user_id: str) -> Response:
    """One account."""
    return reply(_shown(_found(user_id)))


@blueprint.post("")
@role("admin")
def create() -> Response:
    """Make an account with a stored password."""
    body = json_body(required={"username": str, "password": str}, optional={"role": str})
    name, chosen = body["username"], _role(body.get("role"), Role.USER)
    if not valid_username(name):
        raise Unprocessable(
            "Invalid request body",
            "the field 'username' must be 1 to 64 letters, digits, '.', '_' or '-', "
            "beginning with a letter or digit",
        )
    if name in RESERVED:
        raise Conflict("User name is reserved", f"'{name}' belongs to the server")
    check_new_password(body["password"])
    user = new_user(name, chosen, password_hash=hash_password(body["password"]))
    what, now = deed("create_user", f"{name} as {chosen.value}"), instant()

    def work(connection: sqlite3.Connection) -> None:
        try:
            insert_user(connection, user)
        except sqlite3.IntegrityError:
            raise Conflict("User already exists", f"there is a '{name}'") from None
        append_deed(connection, what, now)

    services().db.write(work)
    told = {"id": user.id, "username": name, "role": chosen.value, "status": "created"}
    return created(told, f"/api/users/{user.id}")


@blueprint.patch("/<user_id>")
@role("admin")
def change(user_id: str) -> Response:
    """Change role, password or whether an account may log in; its sessions end."""
    body = json_body(optional={"role": str, "disabled": bool, "password": str})
    user = _found(user_id)
    _demand_changeable(user)
    if user.id == g.account.id and ("role" in body or "disabled" in body):
        raise InvalidInput("Not your own account", "ask another admin")
    chosen = _role(body.get("role"), Role(user.role))
    disabled = user.disabled if body.get("disabled") is None else body["disabled"]
    hashed = None
    if body.get("password") is not None:
        check_new_password(body["password"])
        hashed = hash_password(body["password"])
    changed = [name for name in ("role", "disabled", "password") if body.get(name) is not None]
    what, now = (
        deed("update_user", f"{user.username}: {', '.join(changed) or 'nothing'}"),
        instant(),
    )

    def work(connection: sqlite3.Connection) -> None:
        update_user(connection, user.id, chosen.value, disabled, now)
        if hashed is not None:
            set_password_hash(connection, user.id, hashed, now)
        append_deed(connection, what, now)

    services().db.write(work)
    services().access.sessions.end_all(user.id)
    return reply(_shown(_found(user_id)))


@blueprint.post("/<user_id>/logout")
@role("admin")
def log_out(user_id: str) -> Response:
    """End every session of an account."""
    user = _found(user_id)
    what, now = deed("logout_user", user.username), instant()
    ended = services().access.sessions.end_all(user.id)
    services().db.write(lambda connection: append_deed(connection, what, now))
    return reply({"status": "logged_out", "sessions": ended})


@blueprint.delete("/<user_id>")
@role("admin")
def delete(user_id: str) -> Response:
    """Remove an account with all it owns; its run directories are set aside."""
    user = _found(user_id)
    if user.id == g.account.id:
        raise InvalidInput("Not your own account", "ask another admin")
    _demand_changeable(user)
    what, now = deed("delete_user", user.username), instant()

    def work(connection: sqlite3.Connection) -> None:
        runs = count_runs(connection, user.id, kind=None)
        if runs.get(Status.PENDING) or runs.get(Status.RUNNING):
            raise Conflict("User has unfinished runs", "cancel them first")
        if not delete_user(connection, user.id):
            raise NotFound("User not found")
        append_deed(connection, what, now)

    services().db.write(work)
    services().access.sessions.forget_user(user.id)
    _set_aside(user)
    return reply({"status": "deleted"})


def _demand_changeable(user: User) -> None:
    if user.auth_type in ("environment", "builtin"):
        raise Conflict("Account belongs to the server", "it is configured where the server starts")


def _set_aside(user: User) -> None:
    """Move the directories away: a later account of the same name must not find them."""
    root = services().workspace.root
    old = root / "users" / user.username
    if old.is_dir():
        (root / "removed").mkdir(mode=0o700, exist_ok=True)
        old.rename(root / "removed" / f"{user.username}-{user.id}")
