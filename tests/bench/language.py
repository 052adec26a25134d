"""Compare reading, planning, linting and formatting workflows with parsing their TOML alone."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import tomli

from oxoflow.engine.checking import check_text
from oxoflow.engine.load import load_text
from oxoflow.lang.format import format_workflow
from oxoflow.lang.lint import lint
from oxoflow.lang.parse import parse_workflow
from tests.bench.measure import Table


def realistic(rules: int) -> str:
    """A file like those of the field: per sample three rules in a row, with comments."""
    parts = ['[workflow]\nname = "bench"\nversion = "1.0.0"\n\n[config]\nref = "ref/genome.fa"\n']
    for i in range(rules):
        before = f"data/s{i}.fq.gz" if i % 3 == 0 else f"out/step{i - 1}/result.bam"
        parts.append(
            f'# step {i}\n[[rules]]\nname = "step{i}"\ndescription = "Do step {i} of the bench"\n'
            f'input = ["{before}", "{{config.ref}}"]\noutput = ["out/step{i}/result.bam"]\n'
            f'log = "logs/step{i}.log"\nshell = """\nmkdir -p tmp && tool --threads {{threads}} '
            f'--in {{input[0]}} --ref {{config.ref}} \\\n    --out {{output}} 2> {{log}}\n"""\n'
            f'[rules.resources]\nthreads = {1 + i % 4}\nmemory = "{1 + i % 8}G"\n'
            f'[rules.params]\nquality = {20 + i % 10}\nlabel = "run-{i}"\n'
        )
    return "\n".join(parts)


def one_rule(samples: int) -> str:
    names = ", ".join(f'"s{i:06}"' for i in range(samples))
    return (
        '[workflow]\nname = "wide"\n\n[[sample_groups]]\nname = "g"\n'
        f'samples = [{names}]\n\n[[rules]]\nname = "a"\ninput = ["raw/{{sample}}.fq"]\n'
        'output = ["out/{sample}.bam"]\nshell = "map {input} > {output}"\n'
    )


def timed(work: Callable[[], object], rounds: int) -> float:
    taken = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def bench_file(rules: int, rounds: int) -> None:
    text = realistic(rules)
    table = Table(f"{rules:,} realistic rules ({len(text) / 1e6:.1f} MB)", "s")
    alone = timed(lambda: tomli.loads(text), rounds)
    table.add("tomli alone", alone)
    load = timed(lambda: load_text(text), rounds)
    table.add("parse to DAG", load, f"{load / rules * 1e6:.1f} µs a rule")
    if rules <= 10_000:
        workflow = parse_workflow(text)
        table.add("lint", timed(lambda: lint(workflow, ()), rounds))
        table.add("validate", timed(lambda: check_text(text), rounds))
    if rules <= 1000:
        table.add("format", timed(lambda: format_workflow(text), rounds))
    table.show(baseline="tomli alone")


def bench(directory: Path, size: str, rounds: int) -> None:
    for rules in (1000, 10_000, 100_000) if size == "long" else (1000, 10_000):
        bench_file(rules, 1 if rules > 10_000 else rounds)
    samples = 100_000 if size == "long" else 10_000
    text = one_rule(samples)
    table = Table(f"one rule over {samples:,} samples", "s")
    table.add("tomli alone", timed(lambda: tomli.loads(text), rounds))
    table.add("parse to DAG", timed(lambda: load_text(text), rounds))
    table.show(baseline="tomli alone")
