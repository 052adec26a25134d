"""Run a variant-calling pipeline with real tools over HTTP and compare it with a shell script."""

import gzip
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.server_process import ServerProcess

pytestmark = pytest.mark.real

HERE = Path(__file__).parent
EXAMPLES = Path("/usr/share/doc/bowtie2/examples")
TOOLS = ("fastp", "bwa", "samtools", "bcftools")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lambda-phage reads as two samples: pairs of even and of odd number."""
    if not EXAMPLES.is_dir():
        pytest.skip(f"{EXAMPLES} is missing: install bowtie2-examples")
    directory = tmp_path_factory.mktemp("data")
    shutil.copy(EXAMPLES / "reference/lambda_virus.fa.gz", directory)
    for mate in (1, 2):
        with gzip.open(EXAMPLES / f"reads/reads_{mate}.fq.gz", "rt") as reads:
            lines = reads.readlines()
        for parity, sample in enumerate(("even", "odd")):
            kept = [line for n, line in enumerate(lines) if n // 4 % 2 == parity]
            with gzip.open(directory / f"{sample}_{mate}.fq.gz", "wt") as out:
                out.writelines(kept)
    return directory


def test_variants_equal_those_of_a_script_that_runs_the_same_commands(
    server: ServerProcess, data: Path, tmp_path: Path, need_tools: Callable[..., None]
) -> None:
    need_tools(*TOOLS)
    text = (HERE / "lambda.oxoflow").read_text()
    run_id = server.submit(text.replace('data = "data"', f'data = "{data}"'))
    detail = server.finish(run_id)
    assert detail["status"] == "success", detail["log_tail"]

    status, records = server.call("GET", f"/api/runs/{run_id}/files/calls/all.records", user="user")
    assert status == 200
    by_hand = tmp_path / "by_hand"
    by_hand.mkdir()
    subprocess.run(
        ["bash", HERE / "by_hand.sh", data], cwd=by_hand, check=True, capture_output=True
    )
    expected = (by_hand / "calls/all.records").read_bytes()
    assert expected.count(b"\n") > 100
    assert records == expected

    status, jobs = server.call("GET", f"/api/runs/{run_id}/jobs", user="user")
    assert status == 200
    assert len(jobs) == 11
    assert {job["status"] for job in jobs} == {"success"}
    assert_every_output_has_its_size(server, run_id, detail)
    assert_tools_speak_in_their_own_logs(server, run_id, jobs)


def assert_every_output_has_its_size(server: ServerProcess, run_id: str, detail: dict) -> None:
    listed = {output["path"]: output["size_bytes"] for output in detail["outputs"]}
    directory = next((server.home / "workspace").glob(f"users/*/runs/{run_id}"))
    made = {"ref/lambda.fa", "calls/all.records", "map/even.bam", "map/odd.flagstat"}
    assert made < listed.keys()
    for path, size in listed.items():
        assert size == os.stat(directory / path).st_size, path
    assert not [path for path in listed if path.startswith(".oxo-flow/")]


def assert_tools_speak_in_their_own_logs(
    server: ServerProcess, run_id: str, jobs: list[dict]
) -> None:
    said = {"index": b"[bwa_index]", "trim_phage_even": b"fastp", "map_phage_odd": b"bwa mem"}
    numbers = {job["job"]: job["id"] for job in jobs}
    for job, words in said.items():
        path = f"/api/runs/{run_id}/jobs/{numbers[job]}/log?stream=stderr"
        status, log = server.call("GET", path, user="user")
        assert status == 200
        assert words in (log if isinstance(log, bytes) else log["text"].encode())
