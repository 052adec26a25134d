"""Pixi, mamba, Apptainer and modules from creation to record, with scripted stand-ins."""

import json

import pytest

from oxoflow.engine.rundir import RunDirectory
from oxoflow.engine.state import State
from tests.engine.running import execute, rule

PIXI = r"""
echo "$1" >> "$HOME/calls"
case "$1 $2" in
"install --manifest-path")
  place="$(dirname "$3")"; mkdir -p "$place/.pixi/envs"
  [ -e "$place/pixi.lock" ] || echo 1 > "$place/pixi.lock" ;;
"list --manifest-path") echo "tool 1.2" ;;
"run --manifest-path") shift 3; exec "$@" ;;
*) exit 64 ;;
esac
"""
MAMBA = r"""
echo "$1 $2" >> "$HOME/calls"
case "$1 $2" in
"env create") mkdir -p "$HOME/envs/tools/bin"; touch "$HOME/envs/tools/bin/tool" ;;
"list -n") echo "tool 1.2" ;;
"run -n")
  export CONDA_PREFIX="$HOME/envs/$3"; [ -d "$CONDA_PREFIX" ] || exit 1
  shift 3; exec "$@" ;;
*) exit 64 ;;
esac
"""
APPTAINER = r"""
echo "$*" | head -c 40 | tr '\n' ' ' >> "$HOME/calls"; echo >> "$HOME/calls"
case "$1 $2" in
"pull --force") echo image > "$3" ;;
"exec --bind")
  place="${PWD%/.oxo-flow/scratch/*}"; [ "$3" = "$place:$place" ] || exit 65; shift 3
  if [ "$1" = --pwd ]; then cd "$2"; shift 2; fi
  [ "$1" = "$place/busybox_1.sif" ] && [ -e "$1" ] || exit 66; shift; exec "$@" ;;
*) exit 64 ;;
esac
"""
# bash passes functions on under such names; the site's own would come from a file
MODULE = """() { case "$1 $2" in
"load tool/1.2") export TOOL=loaded ;;
"-t list") echo tool/1.2 ;;
*) echo "no module $2" >&2; return 1 ;;
esac; }"""
LINES = "set -e\necho \"it's $TOOL\" > {output}\necho 'two  words' >> {output}"


@pytest.fixture
def environ(host, tmp_path):
    (tmp_path / "home").mkdir()
    for name, text in (("pixi", PIXI), ("micromamba", MAMBA), ("apptainer", APPTAINER)):
        host.install(name, text=text)
    return {
        "HOME": str(tmp_path / "home"),
        "PATH": f"{host.bin}:/usr/bin:/bin",
        "BASH_FUNC_module%%": MODULE,
    }


@pytest.fixture
def work(tmp_path):
    place = tmp_path / "it's work"
    place.mkdir()
    for name in ("e.yaml", "pixi.toml"):
        (place / name).write_text("name: tools\n")
    return place


def versions(work, job: str) -> list[str]:
    state = State.view(RunDirectory(work).state)
    try:
        return json.loads(state.detail(job).environment)["versions"]
    finally:
        state.close()


def calls(tmp_path) -> list[str]:
    path = tmp_path / "home/calls"
    return path.read_text().split("\n") if path.exists() else []


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"pixi": "pixi.toml"}, "it's "),
        ({"mamba": "e.yaml"}, "it's "),
        ({"singularity": "docker://busybox:1"}, "it's "),
        ({"modules": ["tool/1.2"]}, "it's loaded"),
    ],
    ids=["pixi", "mamba", "singularity", "modules"],
)
def test_it_is_made_once_used_and_recorded(work, environ, environment, said):
    text = rule("a", LINES, output=["a"], environment=environment) + rule(
        "b", LINES, output=["d/b"], environment=environment, scratch=True
    )
    outcome = execute(work, text, environ=environ)
    assert outcome.error is None
    assert (work / "a").read_text() == (work / "d/b").read_text() == f"{said}\ntwo  words\n"
    assert versions(work, "a") == versions(work, "b") != []
    assert execute(work, text, environ=environ).counts.succeeded == 0


def test_a_missing_module_fails_the_job_and_not_quietly(work, environ):
    text = rule("a", LINES, output=["a"], environment={"modules": ["other"]})
    outcome = execute(work, text, environ=environ)
    assert outcome.exit_code == 1
    assert not (work / "a").exists()
    assert "no module other" in (work / ".oxo-flow/logs/a.err").read_text()


def test_a_lock_file_of_pixi_decides_and_one_that_pixi_writes_repeats_nothing(
    work, environ, tmp_path
):
    text = rule("a", LINES, output=["a"], environment={"pixi": "pixi.toml"})
    assert execute(work, text, environ=environ).counts.succeeded == 1
    assert (work / "pixi.lock").exists()
    assert execute(work, text, environ=environ).counts.succeeded == 0
    (work / "pixi.lock").write_text("2\n")
    assert execute(work, text, environ=environ).counts.succeeded == 1
    assert calls(tmp_path).count("install") == 2


def test_without_set_up_nothing_is_looked_for_or_made(work, environ, tmp_path):
    text = rule("a", LINES, output=["a"], environment={"mamba": "e.yaml"})
    outcome = execute(work, text, environ=environ, skip_environments=True)
    assert outcome.exit_code == 1  # what is not there fails, and never runs on the host instead
    assert calls(tmp_path) == ["run -n", ""]
    (tmp_path / "home/envs/tools").mkdir(parents=True)
    assert execute(work, text, environ=environ, skip_environments=True).exit_code == 0
    (work / "e.yaml").write_text("name: a;b\n")
    outcome = execute(work, text, environ=environ, skip_environments=True)
    assert "'a;b' is no environment name" in outcome.error
