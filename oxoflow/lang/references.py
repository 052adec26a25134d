"""Turn `reference_dir` and `[[references]]` into config values and build commands.

Owns spec/oxoflow-format.md 1.18 up to the text of each build; whether one must be built is decided
where files are seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from oxoflow.errors import Diagnostic
from oxoflow.lang.configrefs import fill, settle
from oxoflow.lang.faults import UNUSABLE, error
from oxoflow.lang.latepattern import late
from oxoflow.lang.model import Reference, Workflow
from oxoflow.lang.paths import parent
from oxoflow.lang.values import config_text
from oxoflow.lang.wildcards import substitute

_TEMPLATE_NAME = late(r"[A-Za-z0-9_-]+", re.ASCII)
_BWA_SUFFIX = late(r"\.(amb|ann|bwt|pac|sa)$")
_IN_PARENT = "mkdir -p {parent} && "
TEMPLATES: Mapping[str, str] = {
    "samtools_faidx": _IN_PARENT + "samtools faidx {input}",
    "picard_dict": _IN_PARENT + "picard CreateSequenceDictionary R={input} O={output}",
    "bwa_index": _IN_PARENT + "bwa index -p {prefix} {input}",
    "star_index": "mkdir -p {output} && STAR --runMode genomeGenerate --genomeDir {output} "
    "--genomeFastaFiles {input} --runThreadN {threads}",
    "bismark_index": _IN_PARENT
    + "bismark_genome_preparation --parallel {threads} --verbose {input}",
}
_DERIVED_PATHS: Mapping[str, str] = {
    "reference_fasta": "genome.fa",
    "gene_annotation": "genes.gtf",
    "bwa_index": "bwa/genome.fa",
    "bwamem2_index": "bwamem2/genome.fa",
    "bowtie2_index": "bowtie2/genome.fa",
    "star_index": "star",
    "hisat2_index": "hisat2/genome.fa",
    "minimap2_index": "genome.fa.mmi",
    "gatk_dict": "genome.dict",
    "samtools_faidx": "genome.fa.fai",
}
DERIVED_KEYS = frozenset(_DERIVED_PATHS)
# Name, output below the directory, threads, memory, build; {dir} is that directory.
_DEFAULTS: tuple[tuple[str, str, int, str, str], ...] = (
    ("samtools_faidx", "genome.fa.fai", 1, "2G", "samtools faidx {input}"),
    ("bwa_index", "bwa/genome.fa.bwt", 8, "8G", "bwa index -p {dir}/bwa/genome.fa {input}"),
    (
        "bwamem2_index",
        "bwamem2/genome.fa.0123",
        8,
        "16G",
        "bwa-mem2 index -p {dir}/bwamem2/genome.fa {input}",
    ),
    (
        "bowtie2_index",
        "bowtie2/genome.fa.1.bt2",
        8,
        "8G",
        "bowtie2-build --threads {threads} {input} {dir}/bowtie2/genome.fa",
    ),
    ("minimap2_index", "genome.fa.mmi", 4, "8G", "minimap2 -t {threads} -d {output} {input}"),
    (
        "star_index",
        "star/SAindex",
        16,
        "64G",
        "STAR --runMode genomeGenerate --genomeDir {dir}/star --genomeFastaFiles {input} "
        "--runThreadN {threads}",
    ),
    (
        "hisat2_index",
        "hisat2/genome.fa.1.ht2",
        8,
        "8G",
        "hisat2-build -p {threads} {input} {dir}/hisat2/genome.fa",
    ),
    ("gatk_dict", "genome.dict", 1, "4G", "samtools dict -o {output} {input}"),
)


def check_references(workflow: Workflow) -> list[Diagnostic]:
    """Find entries that cannot be built: no output, unknown template, no source, same name."""
    problems: list[Diagnostic] = []
    seen: set[str] = set()
    for index, reference in enumerate(workflow.references):
        for key, complaint, cure in _complaints(reference, seen):
            message = f"reference '{reference.name}' {complaint}"
            key = f"references.{index}.{key}"
            problems.append(error(UNUSABLE, message, key=key, suggestion=cure))
        seen.add(reference.name)
    return problems


def _complaints(reference: Reference, seen: set[str]) -> Iterable[tuple[str, str, str]]:
    """Give the key that is meant, what is wrong, and the cure."""
    if not reference.name.strip():
        yield "name", "has an empty name", 'write name = "…"'
    if reference.name in seen:
        yield "name", "is defined twice", "rename one of the two"
    if not reference.output.strip():
        yield "output", "has an empty output", 'write output = "…"'
    build = reference.build.strip()
    if not build:
        yield "build", "has an empty build", f"write a command or one of: {', '.join(TEMPLATES)}"
    elif _TEMPLATE_NAME.fullmatch(build):
        if build not in TEMPLATES:
            yield (
                "build",
                f"names the unknown template '{build}'",
                f"use one of: {', '.join(TEMPLATES)}",
            )
        elif not reference.source:
            yield "build", f"uses the template '{build}' without a source", 'write source = "…"'


def derive_references(workflow: Workflow) -> Workflow:
    """Add the paths and builds that follow from `reference_dir`, and one config key a reference.

    Keys that exist already stay. Builds become commands in which only `{config.x}` is left.
    """
    directory = _directory(workflow)
    config: dict[str, Any] = dict(workflow.config)
    references = workflow.references
    if directory:
        for key, path in _DERIVED_PATHS.items():
            config.setdefault(key, f"{directory}/{path}")
        references = references or _default_references(directory)
    if not references:
        return replace(workflow, config=config) if directory else workflow
    named = {r.name: r.output for r in references if r.name and r.name not in config}
    if named:
        texts = {key: config_text(value) for key, value in config.items()}
        settled = settle({**texts, **named})
        config.update({name: settled[name] for name in named})
    built = tuple([replace(reference, build=_command(reference)) for reference in references])
    return replace(workflow, config=config, references=built)


def _directory(workflow: Workflow) -> str:
    written = workflow.reference_dir or workflow.config.get("reference_dir")
    if not isinstance(written, str) or not written.strip():
        return ""
    texts = {key: config_text(value) for key, value in workflow.config.items()}
    return fill(written.strip(), settle(texts)).rstrip("/") or "/"


def _default_references(directory: str) -> tuple[Reference, ...]:
    return tuple(
        [
            Reference(
                name,
                f"{directory}/{output}",
                _IN_PARENT + build.replace("{dir}", directory),
                f"{directory}/genome.fa",
                threads,
                memory,
            )
            for name, output, threads, memory, build in _DEFAULTS
        ]
    )


def _command(reference: Reference) -> str:
    """Compose the build: a template's text or the written one, its own placeholders filled."""
    source, output = reference.source or "", reference.output
    return substitute(
        TEMPLATES.get(reference.build.strip(), reference.build),
        {
            "input": source,
            "output": output,
            "threads": str(reference.threads or 1),
            "parent": parent(output) or ".",
            "prefix": _BWA_SUFFIX.sub("", output),
            "source": "'" + source.replace("'", "'\\''") + "'",
        },
    )
