"""Sessions: 24 hours, stored as hashes, twenty a user, gone everywhere when ended."""

import re
import sqlite3

import pytest

from oxoflow.access.account import Role, Via
from oxoflow.access.accounts import Access
from oxoflow.access.sessions import Sessions
from oxoflow.db import Database
from oxoflow.db.accounts import User, delete_user, update_user
from oxoflow.db.sessions import count_sessions

from .conftest import Clock

DAY = 24 * 3600


@pytest.fixture
def sessions(access: Access) -> Sessions:
    return access.sessions


def test_a_token_is_32_hex_and_only_its_hash_is_stored(
    sessions: Sessions, db: Database, ada: User
) -> None:
    token = sessions.open(ada, "1.2.3.4", "curl")
    assert re.fullmatch("[0-9a-f]{32}", token)
    assert token not in "\n".join(sqlite3.connect(db.path).iterdump())
    account = sessions.find(token)
    assert account is not None
    assert (account.id, account.username, account.role) == (ada.id, "ada", Role.USER)
    assert account.via is Via.BEARER
    cookie = sessions.find(token, Via.COOKIE)
    assert cookie is not None
    assert cookie.via is Via.COOKIE


@pytest.mark.parametrize(
    "token", ["", "x", "0" * 32, "A" * 32, "' OR 1=1 --", "0" * 31 + "\n", "é" * 32]
)
def test_what_is_no_token_of_ours_finds_nobody(sessions: Sessions, token: str) -> None:
    assert sessions.find(token) is None


def test_a_session_lives_a_day_whatever_is_done_with_it(
    sessions: Sessions, db: Database, ada: User, clock: Clock
) -> None:
    token = sessions.open(ada, None, None)
    clock.now += DAY - 1
    account = sessions.find(token)
    assert account is not None
    assert account.session_hash is not None
    assert sessions.alive(account.session_hash)
    clock.now += 1
    assert sessions.find(token) is None
    assert not sessions.alive(account.session_hash)
    assert Sessions(db, clock).find(token) is None


def test_a_session_survives_a_restart(
    sessions: Sessions, db: Database, ada: User, clock: Clock
) -> None:
    token = sessions.open(ada, None, None)
    assert Sessions(db, clock).find(token) == sessions.find(token)


def test_the_oldest_of_more_than_twenty_is_ended(
    sessions: Sessions, ada: User, clock: Clock
) -> None:
    tokens = []
    for _ in range(22):
        clock.now += 1
        tokens.append(sessions.open(ada, None, None))
        sessions.find(tokens[-1])
    assert [sessions.find(token) is not None for token in tokens] == [False] * 2 + [True] * 20


def test_ending_one_session_leaves_the_others(sessions: Sessions, ada: User) -> None:
    one, two = sessions.open(ada, None, None), sessions.open(ada, None, None)
    account = sessions.find(one)
    assert account is not None
    assert account.session_hash is not None
    sessions.end(account.session_hash)
    assert sessions.find(one) is None
    assert sessions.find(two) is not None
    assert sessions.end_all(ada.id) == 1
    assert sessions.find(two) is None


def test_sweeping_removes_what_has_expired(
    sessions: Sessions, db: Database, ada: User, clock: Clock
) -> None:
    sessions.open(ada, None, None)
    clock.now += DAY / 2
    young = sessions.open(ada, None, None)
    clock.now += DAY / 2
    assert sessions.sweep() == 1
    assert count_sessions(db.read(), "") == 1
    assert sessions.find(young) is not None


def test_a_change_of_role_or_a_deletion_is_seen_at_once(
    sessions: Sessions, db: Database, ada: User
) -> None:
    token = sessions.open(ada, None, None)
    assert sessions.find(token) is not None
    db.write(lambda connection: update_user(connection, ada.id, "viewer", False, "t"))
    sessions.forget_user(ada.id)
    account = sessions.find(token)
    assert account is not None
    assert account.role is Role.VIEWER
    db.write(lambda connection: delete_user(connection, ada.id))
    sessions.forget_user(ada.id)
    assert sessions.find(token) is None
