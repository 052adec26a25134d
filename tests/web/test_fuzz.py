"""The contract against the live server: thousands of generated requests, every check on."""

import re
from pathlib import Path

import pytest

from tests.web.fuzzing import fuzz


@pytest.mark.real
def test_the_live_server_keeps_its_contract(tmp_path: Path) -> None:
    said = fuzz(
        tmp_path,
        "/api/openapi.json",
        30,
        STREAMS_PER_USER="0",  # a stream would not end: whoever may have one is told 429
        TRUSTED_PROXIES="192.0.2.1",  # else a loopback server lets anybody use graphs
    )
    generated = re.search(r"([\d,]+) generated", said)
    assert generated, said[-2000:]
    assert int(generated[1].replace(",", "")) > 3000
