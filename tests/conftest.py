"""Share what every test may need: a view of the machine's leftovers, and names of real tools."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.server_process import ServerProcess

ROOT = Path(__file__).parent.parent
# No test depends on how fast the machine is, nor on luck; `--hypothesis-profile=search` tries more.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None)
settings.register_profile("search", unhurried)
settings.register_profile("same-everywhere", unhurried, derandomize=True)
settings.load_profile("same-everywhere")


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests see no setting of the person who runs them."""
    for name in list(os.environ):
        if name.startswith(("OXO_FLOW_", "OXIFY_")):
            monkeypatch.delenv(name)


@pytest.fixture
def need_tools() -> Iterator[object]:
    """Call with tool names: skips, saying which are missing, unless all are installed."""

    def check(*names: str) -> None:
        missing = [name for name in names if shutil.which(name) is None]
        if missing:
            pytest.skip(f"not installed here: {', '.join(missing)}")

    return check


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A real server with a fresh home; the limiter is off."""
    process = ServerProcess(tmp_path / "home")
    try:
        yield process.start()
    finally:
        process.clean_up()
