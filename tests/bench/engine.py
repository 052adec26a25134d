"""Compare what a job costs here with bare spawns and with other engines running the same jobs."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.bench import shapes
from tests.bench.measure import PYTHON, ROOT, Contender, clear, race

SLOTS = "2"
OXOFLOW = (PYTHON, "-m", "oxoflow")


def compile_spawner(directory: Path) -> tuple[str, ...]:
    """The bare loop: in C where there is a compiler, else in Python."""
    compiler = shutil.which("cc")
    here = Path(__file__).parent
    if compiler is None:
        return (PYTHON, str(here / "spawn.py"))
    target = directory / "spawn"
    subprocess.run([compiler, "-O2", "-o", str(target), str(here / "spawn.c")], check=True)
    return (str(target),)


def contenders(steps: Sequence[shapes.Step], directory: Path, *, again: bool) -> list[Contender]:
    """Every engine with the files it needs; `again` keeps the results of the round before."""
    directory.mkdir()
    spawner = compile_spawner(directory)
    plain = all(not step.after for step in steps)
    found: list[Contender] = []

    def add(name: str, argv: Sequence[str], *state: str) -> Path:
        cwd = directory / re.sub(r"\W+", "-", name)
        (cwd / "out").mkdir(parents=True)
        wipe = clear(cwd / "out", *(cwd / part for part in state))

        def prepare() -> None:
            if not again:
                wipe()
                (cwd / "out").mkdir()

        found.append(Contender(name, argv, cwd, prepare))
        return cwd

    cwd = add(
        "oxoflow",
        [*OXOFLOW, "run", "bench.oxoflow", "-j", SLOTS],
        ".oxo-flow",
        "execution.log",
    )
    shapes.write_oxoflow(steps, cwd / "bench.oxoflow")
    if plain and not again:
        cwd = add("spawn loop", [*spawner, "commands", SLOTS])
        shapes.write_loop(steps, cwd / "commands")
    if shutil.which("ninja"):
        cwd = add("ninja (bash)", ["ninja", "-j", SLOTS, "--quiet"], ".ninja_log", ".ninja_deps")
        shapes.write_ninja(steps, cwd / "build.ninja", shell="bash")
        cwd = add("ninja (sh)", ["ninja", "-j", SLOTS, "--quiet"], ".ninja_log", ".ninja_deps")
        shapes.write_ninja(steps, cwd / "build.ninja")
    if shutil.which("make"):
        cwd = add("make", ["make", "-s", "-j", SLOTS])
        shapes.write_make(steps, cwd / "Makefile")
    if not again or len(steps) <= 3000:
        cwd = add(
            "doit", [PYTHON, "-m", "doit", "-n", SLOTS, "-P", "thread", "-v", "0"], ".doit.db"
        )
        shapes.write_doit(steps, cwd / "dodo.py")
    return found


def cases(size: str) -> list[tuple[str, list[shapes.Step]]]:
    short = [("1,000 independent jobs", shapes.independent(1000))]
    if size == "short":
        return short
    return [
        *short,
        ("3,000 independent jobs", shapes.independent(3000)),
        ("3,000 independent programs", shapes.independent(3000, program=True)),
        ("10,000 independent jobs", shapes.independent(10_000)),
        ("a chain of 300 jobs", shapes.chain(300)),
        ("30 diamonds (360 jobs)", shapes.diamonds(30)),
    ]


def bench(directory: Path, size: str, rounds: int) -> None:
    subprocess.run([PYTHON, "-m", "compileall", "-q", str(ROOT / "oxoflow")], check=False)
    for number, (title, steps) in enumerate(cases(size)):
        place = directory / f"engine{number}"
        baseline = "ninja (bash)" if shutil.which("ninja") else "doit"
        few = 1 if len(steps) >= 10_000 else rounds
        race(
            f"{title}, -j {SLOTS}",
            contenders(steps, place, again=False),
            baseline=baseline,
            rounds=few,
        )
        ran = contenders(steps, directory / f"engine{number}again", again=True)
        for contender in ran:
            subprocess.run(contender.argv, cwd=contender.cwd, check=True, stdout=subprocess.DEVNULL)
        race(f"{title}: nothing to do", ran, baseline=baseline, rounds=rounds)
        shutil.rmtree(place)
        shutil.rmtree(directory / f"engine{number}again")
