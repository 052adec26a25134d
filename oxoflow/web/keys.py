"""Serve one's own API keys: make, list, revoke (spec/oxo-flow-api.md 7)."""

from __future__ import annotations

import sqlite3
import time
from typing import Any

from flask import Blueprint, Response, g

from oxoflow.access.keys import Scope, new_key, store_key
from oxoflow.db.audit import append_deed
from oxoflow.db.instants import instant
from oxoflow.db.keys import ApiKey, list_keys, revoke_key
from oxoflow.errors import NotFound
from oxoflow.web.deeds import deed
from oxoflow.web.guards import demand_login, signed_in
from oxoflow.web.http import Unprocessable, checked_word, json_body, reply, services

LONGEST_NAME = 100
MOST_DAYS = 3650

blueprint = Blueprint("keys", __name__, url_prefix="/api/auth/keys")


def _shown(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "scope": key.scope,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "last_used_at": key.last_used_at,
        "revoked": key.revoked_at is not None,
    }


@blueprint.get("")
@signed_in
def listed() -> Response:
    """One's own keys, newest first; none of them can be read again."""
    keys = list_keys(services().db.read(), g.account.id)
    return reply({"keys": [_shown(key) for key in keys]})


@blueprint.post("")
@signed_in
def make() -> Response:
    """Make a key; this answer is the only time it is shown."""
    demand_login()
    body = json_body(required={"name": str}, optional={"scope": str, "expires_in_days": int})
    name = checked_word("name", body["name"], LONGEST_NAME)
    days = body.get("expires_in_days")
    if days is not None and not 1 <= days <= MOST_DAYS:
        raise Unprocessable(
            "Invalid request body", f"the field 'expires_in_days' must be 1 to {MOST_DAYS}"
        )
    new = new_key(name, _scope(body.get("scope")), days, time.time())
    account, what, now = g.account, deed("create_key", f"{new.key.id} {name}"), instant()

    def work(connection: sqlite3.Connection) -> None:
        store_key(connection, account.id, new)
        append_deed(connection, what, now)

    services().db.write(work)
    return reply({**_shown(new.key), "key": new.text}, 201)


def _scope(text: str | None) -> Scope:
    try:
        return Scope(text or Scope.WRITE.value)
    except ValueError:
        raise Unprocessable(
            "Invalid request body", "the field 'scope' must be read, write or admin"
        ) from None


@blueprint.delete("/<key_id>")
@signed_in
def revoke(key_id: str) -> Response:
    """Make one own key useless for good."""
    demand_login()
    account, what, now = g.account, deed("revoke_key", key_id), instant()

    def work(connection: sqlite3.Connection) -> None:
        if not revoke_key(connection, account.id, key_id, now):
            raise NotFound("API key not found")
        append_deed(connection, what, now)

    services().db.write(work)
    return reply({"status": "revoked"})
