"""The published OxiFY contract against a live server: generated requests, every check on."""

from pathlib import Path

import pytest

from tests.web.fuzzing import fuzz


@pytest.mark.real
def test_the_live_server_keeps_the_oxify_contract(tmp_path: Path) -> None:
    fuzz(tmp_path, "/api-docs/openapi.json", 40, STREAMS_PER_USER="2000")
