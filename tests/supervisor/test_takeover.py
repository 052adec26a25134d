"""What a run verified is taken over whole: links, directories, globs and odd names included."""

import os
import sqlite3
from pathlib import Path

import pytest

from oxoflow.supervisor.seed import SEED_FILE, main, order
from oxoflow.supervisor.takeover import take_results
from tests.engine.making import carry_out, verdicts
from tests.engine.running import execute, rule

LINKED = rule(
    "link", "echo a > v1.txt; ln -s v1.txt rel.txt; ln -s $PWD/v1.txt abs.txt",
    output=["rel.txt", "abs.txt"],
)  # fmt: skip
FOLDER = rule(
    "fill",
    "mkdir -p d/sub d/empty; echo a > d/sub/a; cd d; ln -s sub into; ln -s sub/a one;"
    " ln -s no dead; ln -s ../d/sub/a two; ln -s $PWD/sub/a three; ln -s . self",
    output=["d/"],
) + rule("read", "ls -R d > read", input=["d/"], output=["read"])
GLOBBED = rule("many", "mkdir g; touch g/{1..3}.txt g/no.csv", output=["g/*.txt"])
ODD = rule(
    "odd", r"echo 1 > '~t'; echo 2 > b; echo 3 > 'w\x'; mkdir n; echo 4 > n/$'\xff'",
    output=["~t", "./b", r"w\x", "n"],
)  # fmt: skip
BEHIND = rule("behind", "rmdir way; mkdir real; echo 1 > real/x; ln -s real way", output=["way/x"])


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("old", "new"):
        (tmp_path / name / ".oxo-flow").mkdir(parents=True)
    return tmp_path / "old", tmp_path / "new"


@pytest.mark.parametrize("text", [LINKED, FOLDER, GLOBBED, ODD, BEHIND])
def test_what_is_done_needs_not_be_done_again(places: tuple[Path, Path], text: str) -> None:
    old, new = places
    assert execute(old, text).exit_code == 0
    take_results(old, new)
    assert set(verdicts(text, new).values()) == {"skip"}
    for path in new.rglob("*"):
        if path.is_symlink():
            assert not os.readlink(path).startswith(str(old)), "it must stand without the old run"


def test_only_what_was_verified_is_taken(places: tuple[Path, Path]) -> None:
    old, new = places
    assert execute(old, GLOBBED + LINKED).exit_code == 0
    (old / "v1.txt").write_text("changed")
    take_results(old, new)
    assert sorted(path.name for path in new.iterdir()) == [".oxo-flow", "g"]
    assert len(list((new / "g").iterdir())) == 3
    assert carry_out(LINKED, new) == ["link"]


def test_no_link_out_of_the_old_run_is_followed(places: tuple[Path, Path]) -> None:
    old, new = places
    secret = old.parent / "secret"
    secret.mkdir()
    (secret / "s").write_text("s")
    text = rule("out", f"mkdir d; ln -s {secret}/s d/s; ln -s {secret} d/all", output=["d"])
    assert execute(old, text).exit_code == 0
    take_results(old, new)
    assert os.readlink(new / "d/all") == str(secret)
    assert os.readlink(new / "d/s") == f"{secret}/s"


def test_forged_records_end_the_copying_in_one_sentence(
    places: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = places
    assert execute(old, GLOBBED + LINKED).exit_code == 0
    forged = sqlite3.connect(old / ".oxo-flow/state.sqlite")
    for path, size in (("/etc/hostname", 1), ("../../x", -1), (b"\xff", 1), ("d", "much")):
        forged.execute("INSERT INTO outputs VALUES (?, 'many', ?, 1, NULL)", (path, size))
    forged.commit()
    forged.close()
    (new / SEED_FILE).write_bytes(order((), old))
    assert main([str(new), "/bin/true"]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
