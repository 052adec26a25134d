"""Describe for the audit log what a request does: who, from where, under which request id."""

from __future__ import annotations

from flask import g

from oxoflow.access import Account
from oxoflow.db.audit import Deed, append_deed
from oxoflow.db.instants import instant
from oxoflow.web.limits import address
from oxoflow.web.services import services
from oxoflow.web.tracing import request_id


def deed(
    action: str,
    target: str,
    account: Account | None = None,
    result: str = "success",
    detail: str | None = None,
) -> Deed:
    """A deed of this request; write it with `append_deed` inside the write that does it."""
    who = account or g.get("account")
    return Deed(
        action=action,
        target=target,
        user_id=who.id if who else None,
        username=who.username if who else None,
        result=result,
        address=address(),
        request_id=request_id(),
        detail=detail,
    )


def write_deed(what: Deed) -> None:
    """Write a deed that no other write goes with."""
    now = instant()
    services().db.write(lambda connection: append_deed(connection, what, now))
