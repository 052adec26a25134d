"""Passwords: salted, slow, and never wrong about equality."""

import pytest

from oxoflow.access.passwords import hash_password, matches_hash, matches_plain, new_password


def test_a_hash_matches_its_password_only() -> None:
    stored = hash_password("Zürich 8001")
    assert stored.startswith("scrypt$16384$8$1$")
    assert "Zürich" not in stored
    assert matches_hash("Zürich 8001", stored)
    assert not matches_hash("Zürich 8002", stored)


def test_equal_passwords_have_different_hashes() -> None:
    assert hash_password("same") != hash_password("same")


@pytest.mark.parametrize(
    "stored", ["", "x", "scrypt$a$8$1$AA==$AA==", "md5$2$8$1$AA==$AA==", "$" * 5]
)
def test_a_malformed_hash_matches_nothing(stored: str) -> None:
    assert not matches_hash("", stored)


def test_plain_comparison_is_exact() -> None:
    assert matches_plain("é\udcff", "é\udcff")
    assert not matches_plain("a", "a ")
    assert not matches_plain("", "a")


def test_generated_passwords_differ() -> None:
    assert len({new_password() for _ in range(100)}) == 100
