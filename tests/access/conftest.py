"""Give access tests a database with accounts, and a clock they move themselves."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from oxoflow.access.account import Role
from oxoflow.access.accounts import Access, new_user, seed
from oxoflow.access.passwords import hash_password
from oxoflow.db import Database
from oxoflow.db.accounts import User, insert_user
from oxoflow.settings import Settings, resolve


class Clock:
    """Time that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "oxoflow.db")
    yield database
    database.close()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return resolve({"home": str(tmp_path)}, {"OXO_FLOW_ADMIN_PASSWORD": "admin-secret"})


@pytest.fixture
def access(db: Database, settings: Settings, clock: Clock) -> Access:
    seed(db, settings)
    return Access(db, settings, clock, clock)


@pytest.fixture
def ada(db: Database, access: Access) -> User:
    """A user with a stored password."""
    user = new_user("ada", Role.USER, password_hash=hash_password("ada-secret"))
    db.write(lambda connection: insert_user(connection, user))
    return user
