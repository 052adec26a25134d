"""Draw the jobs and the graph of a gallery workflow; as a program, renew the golden files.

python -m tests.gallery.drawing
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from oxoflow import gallery
from oxoflow.engine.draw import to_dot
from oxoflow.engine.load import Loaded, load_file
from oxoflow.engine.render import Renderer
from oxoflow.engine.select import rule_graph
from oxoflow.lang.summary import environment_kind, paths_of

GOLDEN = Path(__file__).parent / "golden"


@dataclass(frozen=True)
class Machine:
    threads: int = 8
    memory_mb: int = 16_000


# Files that a workflow must see to be what it is: discovery looks for them.
NEEDED = {
    "index-once": ("genome.txt", "samples/S1.txt", "samples/S2.txt"),
    "discovery": (
        "raw/ctcf_R1.fastq.gz",
        "raw/input_R1.fastq.gz",
        "raw/rad21_R1.fastq.gz",
        "chip/CTCF.ctcf-input.txt",
        "chip/RAD21.rad21-input.txt",
        "blacklists/encode.bed",
        "blacklists/own.bed",
    ),
}


def load(name: str, directory: Path) -> Loaded:
    """Load a gallery workflow in a directory that holds its modules and sheets."""
    for folder in ("modules", "sheets"):
        shutil.copytree(gallery.DIRECTORY / folder, directory / folder, dirs_exist_ok=True)
    for path in NEEDED.get(name, ()):
        file = directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    main = directory / "main.oxoflow"
    main.write_text(gallery.read(name), encoding="utf-8")
    return load_file(main)


def draw_jobs(loaded: Loaded) -> str:
    """Every job in the order of the DAG, with its files and its command."""
    renderer = Renderer(loaded.workflow, Machine(), has_program=lambda program: True)
    return "\n".join(_job(loaded, renderer, at) for at in loaded.dag.order)


def _job(loaded: Loaded, renderer: Renderer, at: int) -> str:
    job = loaded.dag.jobs[at]
    rendered = renderer.render(job)
    memory = "" if rendered.memory_mb is None else f", {rendered.memory_mb} MB"
    lines = [
        f"{job.name} ({environment_kind(job.rule)}, {rendered.threads} threads{memory})",
        *(f"  after {loaded.dag.jobs[parent].name}" for parent in loaded.dag.parents[at]),
        *(f"  when {job.rule.when}" for _ in range(bool(job.rule.when))),
        *(f"  reads {path}" for path in paths_of(job.input)),
        *(f"  makes {path}" for path in paths_of(job.output)),
        *(f"    {line}".rstrip() for line in (rendered.command or "").splitlines()),
    ]
    return "\n".join([*lines, ""])


def draw_graph(loaded: Loaded) -> str:
    """The rule graph as DOT."""
    return to_dot(rule_graph(loaded.dag))


def main() -> None:
    """Write all golden files anew."""
    GOLDEN.mkdir(exist_ok=True)
    for name in gallery.names():
        with tempfile.TemporaryDirectory() as directory:
            loaded = load(name, Path(directory))
        (GOLDEN / f"{name}.jobs.txt").write_text(draw_jobs(loaded), encoding="utf-8")
        (GOLDEN / f"{name}.dot").write_text(draw_graph(loaded), encoding="utf-8")


if __name__ == "__main__":
    main()
