"""Accounts: what is seeded, which password counts, and how guessing is slowed down."""

import sqlite3
import stat
from pathlib import Path

import pytest

from oxoflow.access.account import Role, valid_username
from oxoflow.access.accounts import Access, seed, store_password
from oxoflow.db import Database
from oxoflow.db.accounts import User, find_user_named, list_users, update_user
from oxoflow.errors import InvalidInput, NotFound, RateLimited, Unauthorized
from oxoflow.settings import Settings, resolve

from .conftest import Clock


def made(db: Database, **passwords: str) -> dict[str, tuple[str, str]]:
    environ = {f"OXO_FLOW_{name.upper()}_PASSWORD": text for name, text in passwords.items()}
    seed(db, resolve({"home": str(db.path.parent)}, environ))
    return {user.username: (user.role, user.auth_type) for user in list_users(db.read())}


def test_admin_and_the_configured_accounts_are_seeded_once(db: Database) -> None:
    first = made(db, admin="a")
    assert first == {"admin": ("admin", "environment"), "local": ("user", "builtin")}
    assert made(db, admin="a", viewer="v") == first | {"viewer": ("viewer", "environment")}
    assert made(db, user="u") == first | {
        "viewer": ("viewer", "environment"),
        "user": ("user", "environment"),
    }


def test_without_any_password_one_is_generated_for_admin_once(tmp_path: Path, db: Database) -> None:
    bare = resolve({"home": str(tmp_path)}, {})
    password = seed(db, bare)
    assert password
    file = tmp_path / "admin-password"
    assert file.read_text() == f"{password}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert Access(db, bare).check("admin", password)
    assert seed(db, bare) is None
    assert Access(db, bare).check("admin", password)


def test_an_environment_password_is_not_stored_and_beats_a_stored_one(
    tmp_path: Path, db: Database
) -> None:
    bare = resolve({"home": str(tmp_path)}, {})
    stored = seed(db, bare) or ""
    configured = resolve({"home": str(tmp_path)}, {"OXO_FLOW_ADMIN_PASSWORD": "from-outside"})
    assert seed(db, configured) is None
    access = Access(db, configured)
    assert access.check("admin", "from-outside")
    assert access.check("admin", stored) is None
    access.login("admin", "from-outside", "1.2.3.4", None)
    dump = "\n".join(sqlite3.connect(db.path).iterdump())
    assert "from-outside" not in dump
    assert stored not in dump


def test_no_password_opens_an_account_it_was_not_configured_for(
    db: Database, settings: Settings
) -> None:
    both = resolve(
        {"home": str(settings.home)},
        {"OXO_FLOW_USER_PASSWORD": "u-secret", "OXO_FLOW_VIEWER_PASSWORD": "v-secret"},
    )
    seed(db, both)
    access = Access(db, both)
    assert access.check("user", "u-secret")
    for name, password in [
        ("admin", "u-secret"), ("viewer", "u-secret"), ("user", "v-secret"), ("admin", ""),
        ("local", ""), ("local", "u-secret"), ("nobody", "u-secret"), ("user", ""),
    ]:  # fmt: skip
        assert access.check(name, password) is None, name


def test_a_disabled_user_cannot_log_in(access: Access, db: Database, ada: User) -> None:
    assert access.check("ada", "ada-secret") == ada
    token = access.login("ada", "ada-secret", "1.2.3.4", None).token
    db.write(lambda connection: update_user(connection, ada.id, "user", True, "t"))
    access.sessions.forget_user(ada.id)
    assert access.check("ada", "ada-secret") is None
    assert access.sessions.find(token) is None


def test_a_changed_password_ends_the_sessions(
    access: Access, db: Database, ada: User, tmp_path: Path
) -> None:
    token = access.login("ada", "ada-secret", "1.2.3.4", None).token
    store_password(db, tmp_path, "ada", "another secret")
    access.sessions.forget_user(ada.id)  # another process did it: a restart empties the cache
    assert access.sessions.find(token) is None
    assert access.check("ada", "another secret")
    assert access.check("ada", "ada-secret") is None


@pytest.mark.parametrize(
    ("name", "password", "error"),
    [
        ("ada", "short", InvalidInput),
        ("ada", "x" * 1025, InvalidInput),
        ("bob", "long enough", NotFound),
        ("local", "long enough", NotFound),
    ],
)
def test_an_unusable_password_or_name_is_refused(
    db: Database, ada: User, tmp_path: Path, name: str, password: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        store_password(db, tmp_path, name, password)


def test_setting_admins_password_removes_the_generated_one(tmp_path: Path, db: Database) -> None:
    seed(db, resolve({"home": str(tmp_path)}, {}))
    store_password(db, tmp_path, "admin", "my own choice")
    assert not (tmp_path / "admin-password").exists()
    assert find_user_named(db.read(), "admin")


class Guesser:
    """Tries passwords at one address and reports what came back."""

    def __init__(self, access: Access, address: str = "1.2.3.4") -> None:
        self.access, self.address = access, address

    def attempt(self, password: str, name: str = "admin") -> str | int:
        try:
            self.access.login(name, password, self.address, None)
        except Unauthorized:
            return "wrong"
        except RateLimited as error:
            return error.retry_after
        return "in"


def test_after_five_failures_a_name_waits_ever_longer(access: Access, clock: Clock) -> None:
    guesser = Guesser(access)
    assert [guesser.attempt("x") for _ in range(5)] == ["wrong"] * 5
    waits = []
    for _ in range(7):
        wait = guesser.attempt("admin-secret")
        assert isinstance(wait, int)
        waits.append(wait)
        clock.now += wait
        assert guesser.attempt("x") == "wrong"
    assert waits == [30, 60, 120, 240, 480, 900, 900]


def test_one_who_waits_may_try_again_and_success_forgets(access: Access, clock: Clock) -> None:
    guesser = Guesser(access)
    for _ in range(5):
        guesser.attempt("x")
    clock.now += 30
    assert guesser.attempt("admin-secret") == "in"
    assert [guesser.attempt("x") for _ in range(5)] == ["wrong"] * 5


def test_another_address_and_another_name_are_not_held_up(access: Access, ada: User) -> None:
    guesser = Guesser(access)
    for _ in range(5):
        guesser.attempt("x")
    assert isinstance(guesser.attempt("admin-secret"), int)
    assert Guesser(access, "5.6.7.8").attempt("admin-secret") == "in"
    assert guesser.attempt("ada-secret", "ada") == "in"


@pytest.mark.parametrize(
    ("name", "fine"),
    [
        ("ada", True), ("A.b-c_9", True), ("9", True), ("x" * 64, True), ("x" * 65, False),
        ("", False), (".", False), ("..", False), (".hidden", False), ("a/b", False),
        ("a\\b", False), ("~a", False), ("a b", False), ("a\n", False), ("a\0", False),
        ("ä", False), ("-a", False),
    ],
)  # fmt: skip
def test_a_username_is_a_safe_directory_name(name: str, fine: bool) -> None:
    assert valid_username(name) is fine


def test_each_role_includes_the_ones_below() -> None:
    order = [Role.VIEWER, Role.USER, Role.ADMIN]
    for have, role in enumerate(order):
        assert [role.includes(needed) for needed in order] == [need <= have for need in range(3)]
