"""Seed the accounts, log people in, and find the account behind a token.

Owns the order of proof: an environment password beats a stored hash, an unknown name costs as much
as a wrong password. Knows no HTTP.
"""

from __future__ import annotations

import os
import sqlite3
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from oxoflow.access import passwords
from oxoflow.access.account import LOCAL_ACCOUNT, Account, Role, Via
from oxoflow.access.sessions import Sessions
from oxoflow.access.throttle import MAX_KEYS, REMEMBERED, LoginThrottle
from oxoflow.db import Database
from oxoflow.db.accounts import User, find_user_named, insert_user, set_password_hash
from oxoflow.db.audit import list_logins
from oxoflow.db.instants import instant, seconds_of
from oxoflow.errors import InvalidInput, NotFound, RateLimited, Unauthorized
from oxoflow.settings import Settings

PASSWORD_FILE = "admin-password"
LONGEST_NAME = 64


class Login(Struct, frozen=True):
    """What a successful login gives: the token is shown to its owner and kept nowhere."""

    token: str
    user: User


class Access:
    """Who may come in (spec/oxo-flow-api.md 3.1, 3.2)."""

    def __init__(
        self,
        db: Database,
        settings: Settings,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.sessions = Sessions(db, clock)
        self._db = db
        self._environment = settings.environment_passwords
        self._throttle = LoginThrottle()
        self._monotonic = monotonic
        self._recall(clock())

    def _recall(self, now: float) -> None:
        """Count the logins of the time before this server, so that a restart forgives nothing."""
        rows = list_logins(self._db.read(), instant(now - REMEMBERED), MAX_KEYS)
        for moment, action, given, address in rows:
            name, at = given[: LONGEST_NAME + 1], address or ""
            if action == "login":
                self._throttle.succeeded(name, at)
            else:
                age = max(0.0, now - seconds_of(moment))
                self._throttle.failed(name, at, self._monotonic() - age)

    def login(self, username: str, password: str, address: str, user_agent: str | None) -> Login:
        """Open a session; raises Unauthorized, or RateLimited after too many failures."""
        user = self.check_slowly(username[: LONGEST_NAME + 1], password, address)
        return Login(self.sessions.open(user, address, user_agent), user)

    def check_slowly(self, name: str, password: str, address: str) -> User:
        """The user with this name and password; raises like `login`, guessing is throttled."""
        wait = self._throttle.wait(name, address, self._monotonic())
        if wait:
            raise RateLimited("Too many failed logins", f"Try again in {wait} s", wait)
        user = self.check(name, password)
        if user is None:
            self._throttle.failed(name, address, self._monotonic())
            raise Unauthorized("Invalid credentials", "Unknown user name or wrong password")
        self._throttle.succeeded(name, address)
        return user

    def check(self, username: str, password: str) -> User | None:
        """The user with this name and password; every failure costs one slow hash."""
        user = find_user_named(self._db.read(), username)
        usable = user is not None and not user.disabled and user.auth_type != "builtin"
        configured = self._environment.get(username)
        if user is not None and usable and configured is not None:
            if passwords.matches_plain(password, configured):
                return user
        elif user is not None and usable and user.password_hash:
            return user if passwords.matches_hash(password, user.password_hash) else None
        passwords.waste_time(password)
        return None

    def named(self, username: str) -> Account | None:
        """The account that a trusted proxy names; None when it is unknown or disabled."""
        user = find_user_named(self._db.read(), username)
        if user is None or user.disabled or user.auth_type == "builtin":
            return None
        return Account(user.id, user.username, Role(user.role), None, Via.PROXY)


def new_user(
    username: str, role: Role, auth_type: str = "password", password_hash: str | None = None
) -> User:
    """A user with a fresh id, created now."""
    now = instant()
    return User(
        str(uuid.uuid4()), username, role.value, auth_type, None, password_hash, False, now, now
    )


def seed(db: Database, settings: Settings) -> str | None:
    """Make the accounts that must exist; return a generated admin password, if one was needed.

    `admin` always exists; `user` and `viewer` once their password is configured. With no password
    configured and none stored for admin, one is generated and written to HOME/admin-password.
    """
    configured = settings.environment_passwords
    admin = find_user_named(db.read(), "admin")
    needed = not configured and (admin is None or not admin.password_hash)
    generated = passwords.new_password() if needed else None
    hashed = passwords.hash_password(generated) if generated else None
    if generated:  # first the file: a crash in between must not leave a password nobody knows
        write_password_file(settings.home, generated)

    def work(connection: sqlite3.Connection) -> None:
        if find_user_named(connection, LOCAL_ACCOUNT) is None:
            insert_user(connection, new_user(LOCAL_ACCOUNT, Role.USER, "builtin"))
        for name in dict.fromkeys(("admin", *configured)):
            if find_user_named(connection, name) is None:
                insert_user(connection, new_user(name, Role(name), "environment"))
        admin = find_user_named(connection, "admin")
        if admin is not None and hashed is not None:
            set_password_hash(connection, admin.id, hashed, instant())

    db.write(work)
    return generated


def write_password_file(home: Path, password: str) -> Path:
    """Keep the generated password where only the server's account can read it."""
    path = home / PASSWORD_FILE
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(password + "\n")
    return path


def check_new_password(password: str) -> None:
    """Raise InvalidInput unless a password may be stored."""
    if not passwords.SHORTEST <= len(password) <= passwords.LONGEST:
        raise InvalidInput(
            "Unusable password",
            f"it must have {passwords.SHORTEST} to {passwords.LONGEST} characters",
        )


def store_password(db: Database, home: Path, username: str, password: str) -> None:
    """Give an existing account a new stored password and log it out everywhere."""
    check_new_password(password)
    hashed = passwords.hash_password(password)
    sessions = Sessions(db)
    user = find_user_named(db.read(), username)
    if user is None or user.auth_type == "builtin":
        raise NotFound(f"there is no account '{username}'")
    db.write(lambda connection: set_password_hash(connection, user.id, hashed, instant()))
    sessions.end_all(user.id)
    if username == "admin":
        (home / PASSWORD_FILE).unlink(missing_ok=True)  # what stood there is no longer true
