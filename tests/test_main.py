"""A command ends with its own code, and its output is written, whoever listens or does not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
WHO_READS = {"nobody": ">&-", "somebody gone": "| true", "a file": "> file"}


def call(directory: Path, words: str) -> subprocess.CompletedProcess[str]:
    script = f"set -o pipefail; {sys.executable} -m oxoflow {words}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": ""}
    argv = ["bash", "-c", script]
    return subprocess.run(argv, cwd=directory, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("way", WHO_READS.values(), ids=WHO_READS)
def test_help_ends_well_and_silently_whoever_reads_it(tmp_path, way):
    done = call(tmp_path, f"--help {way}")
    assert (done.returncode, done.stderr) == (0, "")


def test_output_is_whole_when_a_command_ends(tmp_path):
    assert call(tmp_path, "--help > file").returncode == 0
    assert (tmp_path / "file").read_text().endswith("OxiFY graphs\n")


def test_output_that_cannot_be_written_is_told(tmp_path):
    done = call(tmp_path, "--help > /dev/full")
    assert done.returncode not in (0, None)
    assert "No space left on device" in done.stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_run_does_its_work_whichever_streams_its_caller_closed(tmp_path, closed):
    (tmp_path / "main.oxoflow").write_text(
        '[workflow]\nname = "w"\n[[rules]]\nname = "a"\noutput = ["a.txt"]\n'
        'shell = "echo said; echo told >&2; echo made > {output}"\n'
    )
    done = call(tmp_path, f"run {closed}")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "a.txt").read_text() == "made\n"
    assert call(tmp_path, "logs a").stdout == "==> stdout <==\nsaid\n==> stderr <==\ntold\n"


def test_a_mistake_ends_with_its_code(tmp_path):
    done = call(tmp_path, "plan")
    assert done.returncode == 2
    assert done.stderr.startswith("oxoflow: ")
