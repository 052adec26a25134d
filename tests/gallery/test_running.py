"""Run for real the gallery workflows that need nothing but a shell, and look at their results."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from oxoflow import gallery
from tests.gallery.recording import STORIES
from tests.patience import PATIENCE

ROOT = Path(__file__).parents[2]


def run(name: str, directory: Path) -> Path:
    """Run a workflow in an empty directory and return its results."""
    (directory / "main.oxoflow").write_text(gallery.read(name), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "oxoflow", "run", str(directory / "main.oxoflow"), "-j", "2"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return directory / "results"


def test_the_runnable_workflows_say_so():
    said = {name for name in gallery.names() if "Runs anywhere" in gallery.read(name)}
    tested = {"file-pipeline", "parallel-samples"}
    assert said == tested | STORIES.keys() - {"venv", "index-once"}


def test_hello_world_greets(tmp_path):
    run("hello-world", tmp_path)
    assert (tmp_path / "greeting.txt").read_text() == "Hello, world!\n"


def test_the_file_pipeline_keeps_what_is_good_enough(tmp_path):
    results = run("file-pipeline", tmp_path)
    header, *rows = (results / "filtered.tsv").read_text().splitlines()
    assert header == "position\tquality"
    assert int((results / "count.txt").read_text()) == len(rows) > 0
    assert all(int(row.split("\t")[1]) >= 30 for row in rows)


def test_parallel_samples_leaves_out_what_breaks_the_constraint(tmp_path):
    results = run("parallel-samples", tmp_path)
    rows = [line.split() for line in (results / "counts.tsv").read_text().splitlines()]
    assert {sample for sample, _, _ in rows} == {"S1", "S2", "S3", "S4"}
    totals = {sample: 0 for sample, _, _ in rows}
    for sample, _, count in rows:
        totals[sample] += int(count)
    assert set(totals.values()) == {100 * 50}


def test_scatter_and_gather_count_every_motif(tmp_path):
    results = run("scatter-gather", tmp_path)
    counts = dict(line.split() for line in (results / "motifs.txt").read_text().splitlines())
    for motif in ("GATTACA", "TATAAA"):
        genome = [(tmp_path / f"genome/chr{n}.txt").read_text() for n in (1, 2, 3)]
        assert int(counts[motif]) == sum(text.count(motif) for text in genome)


def test_transform_splits_and_combines_in_every_way(tmp_path):
    if shutil.which("jq") is None:
        pytest.skip("jq is not installed; json_merge needs it")
    results = run("transform", tmp_path)
    words = ["apple", "avocado", "banana", "blueberry", "cherry"]
    assert (results / "by_letter.txt").read_text().split() == words
    assert (results / "by_config.tsv").read_text().splitlines()[0] == "letter word"
    merged = json.loads((results / "by_number.json").read_text())
    assert sorted(word for part in merged.values() for word in part) == words
    assert (results / "part_1.txt").read_text().split() == ["apple", "avocado", "cherry"]


def test_the_checkpoint_lists_what_it_found(tmp_path):
    results = run("checkpoint-reentry", tmp_path)
    assert 'sample = ["BC1", "BC2", "BC3"]' in (tmp_path / "run/barcodes.toml").read_text()
    assert (results / "BC1.gc.txt").read_text() == "2\n"


def test_the_careful_steps_leave_only_what_is_to_stay(tmp_path):
    results = run("careful", tmp_path)
    assert (results / "kept.txt").read_text().strip() == "2"
    assert (tmp_path / "data/fetched.txt").read_text() == "example.org C\n"
    assert not (tmp_path / "here.tmp").exists()
