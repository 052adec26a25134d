"""Spell an image as a Dockerfile (spec/oxo-flow-api.md 5.10)."""

from __future__ import annotations

import json

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


def dockerfile(image: Image) -> str:
    """Return the Dockerfile of an image; blocks are separated by an empty line."""
    blocks = [
        _head(image),
        [f"FROM {image.base}"],
        _labels(image),
        _run(install_commands()),
        _engine(),
        _conda(image),
        [f"WORKDIR {HOME}", "COPY . ."],
        *_environments(image),
        _start(),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _head(image: Image) -> list[str]:
    lines = [f"Dockerfile written by oxoflow {__version__}", f"Workflow: {one_line(image.name)}"]
    return [comment(line) for line in [*lines, *notes(image)]]


def _labels(image: Image) -> list[str]:
    lines = [
        f"LABEL org.opencontainers.image.title={quoted(image.name)}",
        f"LABEL org.opencontainers.image.version={quoted(image.version)}",
    ]
    for name, value in (("description", image.description), ("authors", image.author)):
        if value:
            lines.append(f"LABEL org.opencontainers.image.{name}={quoted(value)}")
    if image.gpu:
        lines += [f"ENV {name}={value}" for name, value in GPU_VARIABLES]
    return lines


def _engine() -> list[str]:
    return [
        "# The engine; --build-arg OXOFLOW_PACKAGE=… takes another version or a local file",
        f"ARG OXOFLOW_PACKAGE={PACKAGE}",
        *_run(
            [
                f"{PYTHON} -m venv /opt/oxoflow",
                '/opt/oxoflow/bin/pip install --no-cache-dir "$OXOFLOW_PACKAGE"',
            ]
        ),
        "ENV PATH=/opt/conda/bin:$PATH:/opt/oxoflow/bin",
    ]


def _conda(image: Image) -> list[str]:
    if not image.needs_conda:
        return []
    lines = [f"COPY --from={CONDA_IMAGE} /opt/conda /opt/conda"]
    if any(setup.kind == "pixi" for setup in image.setups):
        lines.append(f"RUN conda install -y -n base -c conda-forge {PIXI}")
    return lines


def _environments(image: Image) -> list[list[str]]:
    return [
        [comment(rules_note(setup)), *_run(setup_commands(setup))]
        for setup in image.setups
        if setup.usable
    ]


def _start() -> list[str]:
    return [
        f"RUN useradd --create-home oxoflow && chown -R oxoflow {HOME}",
        "USER oxoflow",
        'HEALTHCHECK CMD ["oxoflow", "--version"]',
        'ENTRYPOINT ["oxoflow", "run"]',
        'CMD ["--help"]',
    ]


def _run(commands: list[str]) -> list[str]:
    first, *others = commands
    lines = [f"RUN {first}", *(f"    && {command}" for command in others)]
    return [*(f"{line} \\" for line in lines[:-1]), lines[-1]]


def quoted(text: str) -> str:
    """Return a text as one double-quoted word of a Dockerfile, variables switched off."""
    return json.dumps(one_line(text), ensure_ascii=False).replace("$", "\\$")
