"""Run command lines: in this process, or as a person would."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from oxoflow.cli import main
from tests.patience import PATIENCE

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Said:
    """What a command line printed and returned."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty directory to be in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def ox(here, capfd):
    """Call the command line in this process."""

    def call(*words: str) -> Said:
        capfd.readouterr()
        try:
            code = main(list(words))
        except SystemExit as ended:
            code = ended.code
        return Said(code, *capfd.readouterr())

    return call


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "oxoflow", *words]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.fixture
def shell(here):
    """Call the command line as a process of its own."""

    def call(*words: str) -> Said:
        done = subprocess.run(
            command(*words),
            cwd=here,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    return call
