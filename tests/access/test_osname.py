"""Names of machine accounts: everything that is not surely harmless is refused."""

import pytest

from oxoflow.access import valid_os_name

UIDS = {
    "ada": 1000, "_svc": 1500, "a-b_c9": 2000, "x" * 32: 1001, "box$": 1002,
    "root": 0, "root2": 0, "www": 33, "low": 999, "nobody": 65534,
    "A": 1003, "a b": 1004, "x" * 33: 1005, "ada\n": 1000,
}  # fmt: skip


@pytest.mark.parametrize("name", ["ada", "_svc", "a-b_c9", "x" * 32, "box$"])
def test_an_ordinary_existing_account_is_accepted(name: str) -> None:
    assert valid_os_name(name, UIDS.get)


@pytest.mark.parametrize(
    "name",
    [
        "x; id", "a b", "A", "", "x\n", "ada\n", "x" * 33, "root", "www", "nobody", "low",
        "root2", "stranger", "-u", "$ada", "a$b", "ada$$", "ada\0", "../ada", "#1000", "1000",
        "ädä", "ada:x", "ada/x", "$(id)", "`id`", "ada,", "ada@host", " ada", "ada ", "-", "--",
    ],
)  # fmt: skip
def test_anything_else_is_refused(name: str) -> None:
    assert not valid_os_name(name, lambda asked: UIDS.get(asked))


def test_the_machine_is_asked_by_default() -> None:
    assert not valid_os_name("root")
    assert not valid_os_name("surely_nobody_is_called_so")
