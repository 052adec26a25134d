"""Set up engines from PyPI in environments of their own, and have them run the same graph."""

import os
import statistics
import subprocess
import venv
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.bench import engine, shapes
from tests.bench.measure import Contender, Sample, Table, clear, run_once

PACKAGES = ("snakemake", "luigi")
SLOTS = "2"
FEW, MANY = 100, 1000  # jobs; the difference is what a job costs without the start of the engine


def environments() -> Path:
    """Where the engines are kept between calls: they take minutes to install."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "oxoflow-bench"


def install(package: str) -> Path:
    """Give the python of an environment that has the package, made when it is not there."""
    place = environments() / package
    python = place / "bin" / "python"
    if not (place / "done").exists():
        venv.create(place, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "-q", package], check=True)
        subprocess.run([python, "-m", "compileall", "-q", place / "lib"], check=False)
        (place / "done").touch()
    return python


def contenders(steps: Sequence[shapes.Step], directory: Path) -> list[Contender]:
    """The peers with their files, each preparing its round by deleting what the last one made."""
    found = []
    for name, write, words, state in (
        (
            "snakemake",
            shapes.write_snakemake,
            ("-m", "snakemake", "-c", SLOTS, "-q", "all"),
            ".snakemake",
        ),
        ("luigi", shapes.write_luigi, ("tasks.py",), "none"),
    ):
        cwd = directory / name
        (cwd / "out").mkdir(parents=True)
        write(steps, cwd)
        wipe = clear(cwd / "out", cwd / state)

        def prepare(cwd: Path = cwd, wipe: Callable[[], None] = wipe) -> None:
            wipe()
            (cwd / "out").mkdir()

        found.append(Contender(name, [str(install(name)), *words], cwd, prepare))
    return found


def bench(directory: Path, rounds: int) -> None:
    """Print what a job costs in our engine, in doit and in the peers."""
    taken: dict[tuple[str, int], list[Sample]] = {}
    racing = []
    for count in (FEW, MANY):
        steps, place = shapes.independent(count), directory / f"peers{count}"
        ours = engine.contenders(steps, place, again=False)
        mine = [each for each in ours if each.name in ("oxoflow", "doit")]
        racing += [(count, each) for each in (*mine, *contenders(steps, place))]
    for _ in range(rounds):
        for count, contender in racing:
            taken.setdefault((contender.name, count), []).append(run_once(contender))
    table = Table(f"one of {MANY} independent jobs, -j {SLOTS}, engines from PyPI", "ms")
    for name in dict.fromkeys(contender.name for _, contender in racing):
        few, many = (
            statistics.median(sample.wall for sample in taken[name, count]) for count in (FEW, MANY)
        )
        note = f"{FEW} jobs {few:.2f} s, {MANY} jobs {many:.2f} s"
        table.add(name, (many - few) / (MANY - FEW) * 1000, note)
    table.show(baseline="oxoflow")
