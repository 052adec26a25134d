"""Conda and Docker environments from creation to record, with scripted stand-ins for the tools."""

import json

import pytest

from oxoflow.engine.rundir import RunDirectory
from oxoflow.engine.state import State
from tests.engine.running import event_of, events, execute, rule

CONDA = r"""
echo "$*" | head -c 60 | tr '\n' ' ' >> "$HOME/calls"; echo >> "$HOME/calls"
case "$1 $2" in
"env create"|"env update")
  name="$4"; [ "$1 $2" = "env update" ] || [ ! -e "$HOME/envs/$name" ] || exit 1
  grep -q broken "$6" && { mkdir -p "$HOME/envs/$name/half"; exit 1; }
  mkdir -p "$HOME/envs/$name/bin"; touch "$HOME/envs/$name/bin/tool"; cp "$6" "$HOME/envs/$name/" ;;
"env remove") rm -rf "$HOME/envs/$5" ;;
"list -n") echo "tool=1.2=0" ;;
"run --no-capture-output")
  export CONDA_PREFIX="$HOME/envs/$4"; [ -d "$CONDA_PREFIX" ] || exit 1
  for word in "$@"; do case "$word" in *"
"*) echo "a line break" >&2; exit 9 ;; esac; done
  shift 4; exec "$@" ;;
*) exit 64 ;;
esac
"""
DOCKER = r"""
echo "$1 $2" >> "$HOME/calls"
case "$1 $2" in
"image inspect") [ -e "$HOME/pulled" ] || exit 1; echo "sha256:abc"; echo "img@sha256:def" ;;
"pull img:1") touch "$HOME/pulled" ;;
"run --rm") while [ "$1" != "img:1" ]; do shift; done; shift; exec "$@" ;;
*) exit 64 ;;
esac
"""


@pytest.fixture
def environ(host, tmp_path):
    (tmp_path / "home").mkdir()
    host.install("conda", text=CONDA)
    host.install("docker", text=DOCKER)
    return {"HOME": str(tmp_path / "home"), "PATH": f"{host.bin}:/usr/bin:/bin"}


@pytest.fixture
def work(tmp_path):
    place = tmp_path / "work"
    place.mkdir()
    (place / "e.yaml").write_text("name: tools\n")
    return place


def recorded(work, job: str) -> dict:
    state = State.view(RunDirectory(work).state)
    try:
        return json.loads(state.detail(job).environment)
    finally:
        state.close()


LINES = 'set -e\necho $CONDA_PREFIX > {output}\necho "it\'s two" >> {output}'


def test_a_conda_environment_is_made_used_recorded_and_updated(work, environ, tmp_path):
    text = rule("a", LINES, output=["a"], environment={"conda": "e.yaml"}, envvars={"K": "v"})
    assert execute(work, text, environ=environ).exit_code == 0
    assert (work / "a").read_text() == f"{tmp_path}/home/envs/tools\nit's two\n"
    assert recorded(work, "a") == {
        "environment": "conda environment 'tools'",
        "versions": ["tool=1.2=0"],
    }
    (work / "a").unlink()
    assert execute(work, text, environ=environ).exit_code == 0
    (work / "e.yaml").write_text("name: tools\n# changed\n")
    assert execute(work, text, environ=environ).exit_code == 0
    calls = [line.split() for line in (tmp_path / "home/calls").read_text().splitlines()]
    kinds = [" ".join(words[:2]) for words in calls if words[0] == "env"]
    assert kinds == ["env create", "env create", "env update"]
    assert (tmp_path / "home/envs/tools/e.yaml").read_text() == "name: tools\n# changed\n"


def test_a_conda_environment_that_fails_is_removed(work, environ, tmp_path):
    (work / "e.yaml").write_text("name: tools\n# broken\n")
    text = rule("a", LINES, output=["a"], environment={"conda": "e.yaml"})
    outcome = execute(work, text, environ=environ)
    assert "conda environment 'tools' could not be made" in outcome.error
    assert not (tmp_path / "home/envs/tools").exists()
    assert events(work, "rule_started") == []


def test_a_failed_job_has_the_environment_on_record_in_which_it_failed(work, environ):
    text = rule("a", "exit 3", output=["a"], environment={"conda": "e.yaml"})
    text += rule("b", "exit 3", output=["b"])
    assert execute(work, text, environ=environ, keep_going=True).exit_code == 1
    assert recorded(work, "a")["versions"] == ["tool=1.2=0"]
    state = State.view(RunDirectory(work).state)
    assert state.detail("b").environment is None
    state.close()


def test_a_job_whose_environment_cannot_be_made_has_none_on_record(work, environ):
    text = rule("a", LINES, output=["a"], environment={"conda": "e.yaml"})
    assert execute(work, text, environ=environ).exit_code == 0
    changed = text.replace("set -e", "set -u").replace("e.yaml", "gone.yaml")
    assert execute(work, changed, environ=environ).exit_code != 0
    state = State.view(RunDirectory(work).state)
    assert state.records()["a"].status == "failed"
    assert state.detail("a").environment is None
    state.close()


def test_an_environment_that_is_there_needs_no_file(work, environ, tmp_path):
    (tmp_path / "home/envs/mine/bin").mkdir(parents=True)
    (tmp_path / "home/envs/mine/bin/x").touch()
    text = rule("a", LINES, output=["a"], environment={"conda": "mine"})
    assert execute(work, text, environ=environ).exit_code == 0
    missing = rule("b", LINES, output=["b"], environment={"conda": "other"})
    assert "is not there" in execute(work, missing, environ=environ).error


def test_fact_65_a_name_that_is_none_fails_the_rule_and_runs_nothing_on_the_host(work, environ):
    (work / "e.yaml").write_text("name: a;b\n")
    text = rule("a", "touch a", output=["a"], environment={"conda": "e.yaml"})
    outcome = execute(work, text, environ=environ)
    assert "'a;b' is no environment name" in outcome.error
    assert not (work / "a").exists()


def test_an_image_is_pulled_once_and_its_digest_recorded(work, environ, tmp_path):
    text = "".join(
        rule(name, f"echo {name} > {{output}}", output=[name], environment={"docker": "img:1"})
        for name in ("a", "b")
    )
    assert execute(work, text, environ=environ).exit_code == 0
    assert (work / "b").read_text() == "b\n"
    assert recorded(work, "b")["versions"] == ["sha256:abc", "img@sha256:def"]
    assert (tmp_path / "home/calls").read_text().splitlines().count("pull img:1") == 1


def test_what_making_an_environment_prints_stands_in_the_job_s_log(work, environ):
    (work / "e.yaml").write_text("name: tools\n# broken\n")
    text = rule("a", LINES, output=["a"], environment={"conda": "e.yaml"})
    execute(work, text, environ=environ)
    assert "could not be made" in event_of(work, "a", "rule_failed").data["stderr_tail"]
