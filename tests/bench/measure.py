"""Time whole commands side by side: interleaved rounds, medians, ratios against a baseline."""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PYTHON = sys.executable
ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True, slots=True)
class Sample:
    """One finished run: wall and CPU seconds, peak memory of the largest process in MB."""

    wall: float
    cpu: float
    peak_mb: float


@dataclass(frozen=True, slots=True)
class Contender:
    """Something to time: how to prepare a round (untimed), and the command to run."""

    name: str
    argv: Sequence[str]
    cwd: Path
    prepare: Callable[[], None] = lambda: None


@dataclass(slots=True)
class Table:
    """Rows of one case, printed with the ratio of every row to the first baseline."""

    title: str
    unit: str
    rows: list[tuple[str, float, str]] = field(default_factory=list)

    def add(self, name: str, value: float, note: str = "") -> None:
        self.rows.append((name, value, note))

    def show(self, *, baseline: str) -> None:
        base = next((value for name, value, _ in self.rows if name == baseline), None)
        print(f"\n{self.title}")
        for name, value, note in self.rows:
            ratio = f"{value / base:8.2f} x {baseline}" if base else ""
            print(f"  {name:<34}{value:10.4g} {self.unit:<8}{ratio}  {note}".rstrip())
        sys.stdout.flush()


def run_once(contender: Contender) -> Sample:
    """Run a contender to its end; raises RuntimeError when it does not exit with 0."""
    contender.prepare()
    out = os.open(os.devnull, os.O_RDWR)
    here = os.getcwd()
    started = time.perf_counter()
    os.chdir(contender.cwd)
    try:
        pid = os.posix_spawnp(
            contender.argv[0],
            list(contender.argv),
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, out, fd) for fd in (0, 1)],
        )
    finally:
        os.chdir(here)
        os.close(out)
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - started
    if status:
        code = os.waitstatus_to_exitcode(status)
        raise RuntimeError(f"{contender.name}: exit {code}: {' '.join(contender.argv)[:200]}")
    return Sample(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def race(title: str, contenders: Sequence[Contender], *, baseline: str, rounds: int = 3) -> None:
    """Time all contenders in turn, `rounds` times, and print the medians."""
    samples: dict[str, list[Sample]] = {contender.name: [] for contender in contenders}
    for _ in range(rounds):
        for contender in contenders:
            samples[contender.name].append(run_once(contender))
    table = Table(title, "s")
    for name, taken in samples.items():
        cpu = statistics.median(sample.cpu for sample in taken)
        peak = statistics.median(sample.peak_mb for sample in taken)
        walls = [sample.wall for sample in taken]
        note = f"[{min(walls):.3g}..{max(walls):.3g}] cpu {cpu:.2f} s, {peak:.0f} MB"
        table.add(name, statistics.median(walls), note)
    table.show(baseline=baseline)


def clear(*paths: Path) -> Callable[[], None]:
    """A `prepare` that takes files and directories away, beside the directory that they are in.

    They are not deleted before the end: after a mass deletion ext4 makes new files several times
    slower for a while, and whoever comes next would pay for it.
    """

    def remove() -> None:
        for path in paths:
            if path.exists():
                aside = tempfile.mkdtemp(prefix="old-", dir=path.parent.parent)
                path.rename(Path(aside, path.name))

    return remove
