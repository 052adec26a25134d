"""Write the same graph of no-op jobs for every engine that is compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Step:
    """One job: makes `out/<name>` after the steps in `after` made theirs.

    It does so by a program, for which nobody needs a shell, or by what only a shell understands.
    """

    name: str
    after: tuple[str, ...] = ()
    program: bool = False

    @property
    def command(self) -> str:
        return f"touch out/{self.name}" if self.program else f"true > out/{self.name}"


def independent(count: int, *, program: bool = False) -> list[Step]:
    return [Step(f"j{i}", program=program) for i in range(count)]


def chain(count: int) -> list[Step]:
    return [Step(f"j{i}", (f"j{i - 1}",) if i else ()) for i in range(count)]


def diamonds(count: int, width: int = 10) -> list[Step]:
    steps = []
    for d in range(count):
        middle = [Step(f"d{d}m{i}", (f"d{d}top",)) for i in range(width)]
        steps += [Step(f"d{d}top"), *middle, Step(f"d{d}end", tuple(s.name for s in middle))]
    return steps


def write_oxoflow(steps: Sequence[Step], path: Path) -> None:
    lines = ['[workflow]\nname = "bench"\n']
    for step in steps:
        inputs = ", ".join(f'"out/{name}"' for name in step.after)
        lines.append(
            f'[[rules]]\nname = "{step.name}"\ninput = [{inputs}]\n'
            f'output = ["out/{step.name}"]\nshell = "{step.command}"\n'
        )
    path.write_text("\n".join(lines))


def write_ninja(steps: Sequence[Step], path: Path, shell: str = "") -> None:
    """`shell` empty: the command as it is, through ninja's own `/bin/sh`."""
    command = f"{shell} -c '$c'" if shell else "$c"
    lines = [f"rule r\n  command = {command}\n"]
    for step in steps:
        inputs = " ".join(f"out/{name}" for name in step.after)
        lines.append(f"build out/{step.name}: r {inputs}\n  c = {step.command}\n")
    path.write_text("\n".join(lines))


def write_make(steps: Sequence[Step], path: Path) -> None:
    lines = ["SHELL = bash", "all: " + " ".join(f"out/{step.name}" for step in steps)]
    for step in steps:
        inputs = " ".join(f"out/{name}" for name in step.after)
        lines.append(f"out/{step.name}: {inputs}\n\t@{step.command}")
    path.write_text("\n".join(lines) + "\n")


def write_doit(steps: Sequence[Step], path: Path) -> None:
    lines = ["def task_all():"]
    for step in steps:
        task = {
            "name": step.name,
            "actions": [f"bash -c '{step.command}'"],
            "targets": [f"out/{step.name}"],
            "file_dep": [f"out/{name}" for name in step.after],
            # without inputs doit would run a task again each time
            "uptodate": [True],
        }
        lines.append(f"    yield {task!r}")
    path.write_text("\n".join(lines) + "\n")


def write_snakemake(steps: Sequence[Step], directory: Path) -> None:
    targets = ", ".join(f'"out/{step.name}"' for step in steps)
    lines = [f"rule all:\n    input: {targets}\n"]
    for step in steps:
        inputs = ", ".join(f'"out/{name}"' for name in step.after)
        given = f"    input: {inputs}\n" if inputs else ""
        made = f'    output: "out/{step.name}"\n    shell: "{step.command}"\n'
        lines.append(f"rule {step.name}:\n{given}{made}")
    (directory / "Snakefile").write_text("\n".join(lines))


_LUIGI = """
import logging, subprocess, luigi

STEPS = {steps!r}

class Step(luigi.Task):
    name = luigi.Parameter()
    def requires(self):
        return [Step(name) for name in STEPS[self.name]]
    def output(self):
        return luigi.LocalTarget("out/" + self.name)
    def run(self):
        subprocess.run(["bash", "-c", "true > out/" + self.name], check=True)

class All(luigi.WrapperTask):
    def requires(self):
        return [Step(name) for name in STEPS]

logging.disable()
# one worker: with two, luigi forks for every task and takes twice as long
luigi.build([All()], local_scheduler=True, workers=1, log_level="ERROR")
"""


def write_luigi(steps: Sequence[Step], directory: Path) -> None:
    text = _LUIGI.format(steps={step.name: step.after for step in steps})
    (directory / "tasks.py").write_text(text)


def write_loop(steps: Sequence[Step], path: Path) -> None:
    """The commands in an order that respects `after`, one a line, for the bare spawn loop."""
    path.write_text("".join(step.command + "\n" for step in steps))
