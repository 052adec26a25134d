"""Start and cancel a workflow of many jobs: what planning costs, and what a job costs to keep."""

import os
import signal
import subprocess
import time
from pathlib import Path

from tests.bench.engine import OXOFLOW
from tests.bench.measure import Table

SIZES = (10_000, 100_000)
_TICKS = os.sysconf("SC_CLK_TCK")


def write(count: int, path: Path) -> None:
    """A fan-out and a step behind each of its jobs: half of the jobs each."""
    values = ", ".join(f'"v{number}"' for number in range(count // 2))
    path.write_text(
        f'[workflow]\nname = "big"\n[[values]]\nname = "item"\nvalues = [{values}]\n'
        '[[rules]]\nname = "make"\noutput = ["out/{item}"]\nshell = "true > {output}"\n'
        '[[rules]]\nname = "use"\ninput = ["out/{item}"]\noutput = ["used/{item}"]\n'
        'shell = "true > {output}"\n'
    )


def used(pid: int) -> tuple[float, float]:
    """CPU seconds and peak memory in MB of a process so far."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    status = Path(f"/proc/{pid}/status").read_text()
    peak = status.partition("VmHWM:")[2].split()[0]
    return (int(words[11]) + int(words[12])) / _TICKS, int(peak) / 1024


def bench(directory: Path) -> None:
    """Print, for each size, what it took until the first job ran, per job and in all."""
    for count in SIZES:
        cwd = directory / f"scale{count}"
        cwd.mkdir()
        write(count, cwd / "big.oxoflow")
        started = time.perf_counter()
        run = subprocess.Popen(
            [*OXOFLOW, "run", "big.oxoflow", "-j", "2"], cwd=cwd, stdout=subprocess.DEVNULL
        )
        while not (cwd / "out").is_dir() and run.poll() is None:
            time.sleep(0.01)
        wall = time.perf_counter() - started
        cpu, peak = used(run.pid)
        run.send_signal(signal.SIGINT)
        started = time.perf_counter()
        run.wait()
        table = Table(f"{count:,} jobs: planned, begun, cancelled", "")
        table.add("seconds to the first jobs", wall, f"cpu {cpu:.2f} s")
        table.add("peak memory, KB a job", peak * 1024 / count, f"{peak:.0f} MB")
        for name in ("events.jsonl", "state.sqlite"):
            size = (cwd / ".oxo-flow" / name).stat().st_size
            table.add(f"{name}, bytes a job", size / count, f"{size / 1e6:.1f} MB")
        table.add("seconds from Ctrl-C to the end", time.perf_counter() - started)
        table.show(baseline="")
