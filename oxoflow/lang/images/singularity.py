"""Spell an image as a Singularity (Apptainer) definition file (spec/oxo-flow-api.md 5.10)."""

from __future__ import annotations

from oxoflow import __version__
from oxoflow.lang.images.image import (
    CONDA_IMAGE,
    GPU_VARIABLES,
    HOME,
    PACKAGE,
    PIXI,
    PYTHON,
    Image,
    comment,
    install_commands,
    notes,
    one_line,
    rules_note,
    setup_commands,
)


def singularity(image: Image) -> str:
    """Return the definition file of an image; sections are separated by an empty line."""
    blocks = [
        _head(image),
        *_stages(image),
        _files(image),
        ["%labels", *_indented(_labels(image))],
        ["%environment", *_indented(_environment(image))],
        ["%post", *_indented(_post(image))],
        ["%runscript", '    exec oxoflow run "$@"'],
        ["%test", "    oxoflow --version"],
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _head(image: Image) -> list[str]:
    lines = [f"Definition written by oxoflow {__version__}", f"Workflow: {_safe(image.name)}"]
    return [comment(_safe(line)) for line in [*lines, *notes(image)]]


def _stages(image: Image) -> list[list[str]]:
    main = ["Bootstrap: docker", f"From: {image.base}"]
    if not image.needs_conda:
        return [main]
    conda = ["Bootstrap: docker", f"From: {CONDA_IMAGE}", "Stage: conda"]
    copied = ["%files from conda", "    /opt/conda /opt/conda"]
    return [conda, [*main, "Stage: main"], copied]


def _files(image: Image) -> list[str]:
    return ["%files", f"    . {HOME}"] if image.has_rules else []


def _labels(image: Image) -> list[str]:
    labels = (
        ("Title", image.name),
        ("Author", image.author),
        ("Version", image.version),
        ("Description", image.description),
    )
    return [f"{name} {_safe(value)}" for name, value in labels if _safe(value)]


def _environment(image: Image) -> list[str]:
    variables = GPU_VARIABLES if image.gpu else ()
    exports = [f"export {name}={value}" for name, value in variables]
    return [*exports, "export PATH=/opt/conda/bin:$PATH:/opt/oxoflow/bin"]


def _post(image: Image) -> list[str]:
    lines = [
        "set -e",
        *install_commands(),
        f"{PYTHON} -m venv /opt/oxoflow",
        f"/opt/oxoflow/bin/pip install --no-cache-dir {PACKAGE}",
        "export PATH=/opt/conda/bin:$PATH:/opt/oxoflow/bin",
    ]
    if any(setup.kind == "pixi" for setup in image.setups):
        lines.append(f"conda install -y -n base -c conda-forge {PIXI}")
    lines += [f"mkdir -p {HOME}", f"cd {HOME}"]
    for setup in image.setups:
        if setup.usable:
            lines += [comment(_safe(rules_note(setup))), *setup_commands(setup)]
    return lines


def _indented(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines]


def _safe(text: str) -> str:
    """Return a text on one line that holds no template mark of the definition language."""
    return one_line(text).rstrip("\\").replace("{{", "{ {").replace("}}", "} }")
