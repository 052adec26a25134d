"""Kill the server at random moments, many times: no run is lost, started twice or told wrong."""

import random
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.server_process import ServerProcess
from tests.web.test_server_runs import directory, rows

TEXT = """
[workflow]
name = "counted"
[[rules]]
name = "a"
output = ["a.txt"]
shell = "echo once >> a.log; sleep 0.0{}; touch a.txt"
[[rules]]
name = "b"
input = ["a.txt"]
output = ["b.txt"]
shell = "echo once >> b.log; touch b.txt"
"""
STORY = ["rule_started", "rule_completed", "rule_started", "rule_completed", "run_completed"]


@pytest.mark.torture
def test_a_server_killed_at_any_moment_tells_every_run_exactly_once(tmp_path: Path) -> None:
    chance = random.Random(7)
    server = ServerProcess(
        tmp_path / "home",
        MAX_RUNS="6",
        MAX_RUNS_PER_USER="6",
        MAX_PENDING_PER_USER="1000",
        CACHE_SIZE="0",  # every run shall compute all of its own
    )
    submitted: list[str] = []
    try:
        for _ in range(25):
            server.start()
            for _ in range(chance.randrange(1, 6)):
                text = TEXT.format(chance.randrange(10))
                submitted.append(server.submit(text, config={"max_jobs": 1}))
            time.sleep(chance.choice((0, 0.5)) * chance.random())
            server.kill()
        server.start()
        for run_id in submitted:
            assert server.finish(run_id)["status"] == "success"
        for run_id in submitted:
            told = rows(
                server, f"SELECT type, seq FROM events WHERE run_id = '{run_id}' ORDER BY id"
            )
            # the rules keep logs beside their declared outputs, which is warned of
            besides = ("run_queued", "jobs_planned", "warning")
            types = [kind for kind, _ in told if kind not in besides]
            assert types == ["run_started", *STORY]
            numbers = [seq for _, seq in told if seq is not None]
            assert numbers == list(range(1, len(numbers) + 1))
            for name in ("a.log", "b.log"):
                assert (directory(server, run_id) / name).read_text() == "once\n"
        assert len(submitted) == len(set(submitted)) > 25
        ended = Counter(kind for (kind,) in rows(server, "SELECT type FROM events"))
        assert ended["run_completed"] == len(rows(server, "SELECT id FROM runs"))
    finally:
        server.clean_up()
