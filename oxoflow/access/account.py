"""Say who is asking: roles in their order, and the account behind a request."""

from __future__ import annotations

import re
from enum import Enum

from msgspec import Struct

USERNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
LOCAL_ACCOUNT = "local"  # owns what is done anonymously in OxiFY's open mode; nobody logs in as it


class Role(Enum):
    """What an account may do (spec/oxo-flow-api.md 3.3); each includes the one before it."""

    VIEWER = "viewer"  # reads own runs and workflows
    USER = "user"  # launches, cancels, saves and deletes own things
    ADMIN = "admin"  # manages accounts, reads the audit log

    def includes(self, needed: Role) -> bool:
        """Whether this role may do what `needed` may."""
        return _RANK[self] >= _RANK[needed]


_RANK = {role: rank for rank, role in enumerate(Role)}


class Via(Enum):
    """How a request proved who sent it."""

    BEARER = "bearer"  # a session token in the Authorization header
    COOKIE = "cookie"  # a session token in the cookie: a browser may send it unasked
    KEY = "key"  # an API key
    PROXY = "proxy"  # a header set by a trusted proxy
    NONE = "none"  # open mode: the built-in local account


class Account(Struct, frozen=True):
    """The account behind a request; `role` is already cut down to the scope of an API key."""

    id: str
    username: str
    role: Role
    session_hash: str | None = None  # set for session logins; names the session, opens nothing
    via: Via = Via.BEARER
    key_id: str | None = None

    @property
    def budget(self) -> str | None:
        """The name of this account's own request budget, if it has one."""
        if self.session_hash:
            return f"session {self.session_hash}"
        return f"key {self.key_id}" if self.key_id else None


def valid_username(name: str) -> bool:
    """Whether a name may be an account, and so a directory below the workspace."""
    return USERNAME.fullmatch(name) is not None
