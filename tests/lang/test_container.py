from __future__ import annotations

import re
from pathlib import Path

import pytest

from oxoflow.errors import UsageError
from oxoflow.lang.container import export
from oxoflow.lang.model import Environment, EnvironmentKind, Resources, Rule, Workflow
from oxoflow.lang.parse import parse_workflow

GOLDEN = Path(__file__).parent / "golden"
TEXT = """
[workflow]
name = "variant calling"
version = "1.2.0"
description = "From reads to variants"
author = "A. Nother"

[defaults]
environment = { conda = "envs/base.yaml" }

[env_groups.stats]
venv = ".venv/stats"
venv_requirements = "requirements/stats.txt"

[[rules]]
name = "trim"
shell = "fastp"

[[rules]]
name = "map"
shell = "bwa"

[[rules]]
name = "plot"
env_group = "stats"
shell = "plot"

[[rules]]
name = "dock"
environment = { docker = "tool:1.0" }
shell = "x"

[[rules]]
name = "pix"
environment = { pixi = "pixi.toml" }
shell = "x"

[[rules]]
name = "pref"
environment = { mamba = "envs/m.yaml", mamba_prefix = "/opt/envs/m" }
shell = "x"
"""
HOSTILE = (
    "x\nRUN evil",
    "x\r\nFROM evil",
    'x" y="1',
    "x\\",
    "escape=`",
    "$(evil) ${evil} `evil`",
    "{{ evil }}",
    "x\u2028RUN evil",
    "x'; evil; '",
    "%post",
    "\x00\x1b[31m",
    "<<EOF",
)


@pytest.mark.parametrize(
    ("format", "name"), [("docker", "Dockerfile"), ("singularity", "image.def")]
)
def test_the_recipes_are_those_agreed(format, name):
    assert export(parse_workflow(TEXT), format) == (GOLDEN / name).read_text(encoding="utf-8")


def test_an_unknown_format_is_refused_with_the_choices():
    with pytest.raises(UsageError, match="Unsupported export format 'vm'; choose docker or singul"):
        export(parse_workflow(TEXT), "vm")


def hostile(text: str) -> Workflow:
    """A workflow that carries a text in every place that an export shows."""
    kinds = (EnvironmentKind.CONDA, EnvironmentKind.DOCKER, EnvironmentKind.VENV)
    rules = tuple(
        Rule(
            f"{text}{number}",
            shell="x",
            environment=Environment(kind, text, prefix=text, requirements=text),
        )
        for number, kind in enumerate(kinds)
    )
    return Workflow(text, text, text, text, rules=rules)


DOCKER_LINES = re.compile(
    r"(?:# |(?:FROM|LABEL|RUN|ENV|ARG|COPY|WORKDIR|USER|HEALTHCHECK|ENTRYPOINT|CMD|    &&) ).*|"
)
LABEL = re.compile(r'LABEL [a-z.]+="(?:[^"\\$`\n]|\\["\\$]|`)*"')


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_a_workflow_leaves_its_place_in_a_dockerfile(text):
    plain = export(hostile("plain"), "docker")
    recipe = export(hostile(text), "docker")
    assert "RUN evil" not in [line[:8] for line in recipe.splitlines()]
    for line in recipe.split("\n"):
        assert DOCKER_LINES.fullmatch(line), line
        assert not line.startswith("LABEL") or LABEL.fullmatch(line), line
        assert not line.startswith("#") or not line.endswith("\\")
    froms = [line for line in recipe.splitlines() if line.startswith("FROM")]
    assert froms == [line for line in plain.splitlines() if line.startswith("FROM")]
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u2028]", recipe)
    assert recipe.startswith("# Dockerfile written by oxoflow")


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_a_workflow_leaves_its_place_in_a_definition_file(text):
    recipe = export(hostile(text), "singularity")
    sections = [line.split()[0] for line in recipe.split("\n") if line.startswith("%")]
    rest = ["%labels", "%environment", "%post", "%runscript", "%test"]
    assert sections in (["%files", "%files", *rest], ["%files", *rest])
    assert "{{" not in recipe
    body = recipe.split("%post")[1].split("%runscript")[0]
    code = [line.strip() for line in body.splitlines() if not line.lstrip().startswith("#")]
    assert not any("evil" in line for line in code)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u2028]", recipe)


@pytest.mark.parametrize(
    ("resources", "base"),
    [
        (Resources(), "ubuntu:22.04"),
        (Resources(gpu=0), "ubuntu:22.04"),
        (Resources(gpu=1), "nvidia/cuda:12.0.0-runtime-ubuntu22.04"),
    ],
)
@pytest.mark.parametrize(("format", "word"), [("docker", "FROM "), ("singularity", "From: ")])
def test_a_gpu_rule_changes_the_base_image(resources, base, format, word):
    workflow = Workflow("w", rules=(Rule("a", shell="x", resources=resources),))
    recipe = export(workflow, format)
    assert f"\n{word}{base}\n" in recipe
    assert ("NVIDIA_VISIBLE_DEVICES" in recipe) == (base != "ubuntu:22.04")


def test_an_old_gpu_gets_an_old_runtime():
    text = """
[workflow]
name = "w"
[[rules]]
name = "a"
shell = "x"
resources = { gpu_spec = { count = 1, compute_capability = "7.5" } }
"""
    assert "FROM nvidia/cuda:11.8.0-runtime-ubuntu22.04" in export(parse_workflow(text))


def test_a_definition_without_rules_copies_nothing():
    assert "%files" not in export(Workflow("w"), "singularity")
