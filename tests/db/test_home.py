"""The home directory: one server at a time, and a clear sentence when it cannot be had."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from oxoflow.db.home import Home, open_database
from oxoflow.errors import UsageError
from tests.patience import PATIENCE

HOLD = """
import sys
from oxoflow.db.home import Home
from pathlib import Path
home = Home(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_home_is_made_private_with_its_workspace(tmp_path: Path) -> None:
    home = Home(tmp_path / "a" / "b")
    assert stat.S_IMODE(home.path.stat().st_mode) == 0o700
    assert (home.path / "workspace").is_dir()
    assert (home.path / "server.lock").read_text() == f"{os.getpid()}\n"
    home.release()


def test_a_second_server_on_one_home_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as holder:  # fmt: skip
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UsageError, match=rf"in use by another .* \(process {holder.pid}\)"):
            Home(tmp_path)
        holder.stdin.close()
        holder.wait(PATIENCE)
    Home(tmp_path).release()


def test_a_home_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(UsageError, match=r"cannot be written .*--home"):
        Home(tmp_path / "x")


def test_a_database_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "oxoflow.db").write_text("not a database, and long enough to be looked at " * 9)
    with pytest.raises(UsageError, match=r"oxoflow\.db cannot be opened"):
        open_database(tmp_path)
