"""Virtual environments end to end: made once, filled, recorded, remade, never left half-made."""

import json
import os
import zipfile
from pathlib import Path

import pytest

from oxoflow.engine.rundir import RunDirectory
from oxoflow.engine.state import State
from tests.engine.running import event_of, events, execute, rule
from tests.engine.several import run_at_once

UV = Path(__file__).parents[2] / ".venv/bin/uv"
SYSTEM_PATH = "/usr/bin:/bin"


def make_wheel(folder: Path, version: str) -> Path:
    """A wheel of one module that knows its version."""
    path = folder / f"tiny-{version}-py3-none-any.whl"
    about = f"tiny-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("tiny.py", f"VERSION = '{version}'\n")
        wheel.writestr(
            f"{about}/METADATA", f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n"
        )
        tag = "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        wheel.writestr(f"{about}/WHEEL", tag)
        wheel.writestr(f"{about}/RECORD", f"tiny.py,,\n{about}/METADATA,,\n{about}/WHEEL,,\n")
    return path


def environment_of(workdir: Path, job: str) -> dict:
    """What the job's record says about its environment."""
    state = State.view(RunDirectory(workdir).state)
    try:
        return json.loads(state.detail(job).environment)
    finally:
        state.close()


@pytest.fixture
def environ(tmp_path):
    """A home of one's own, no network, and uv where the tests have it."""
    (tmp_path / "home").mkdir()
    (tmp_path / "tools").mkdir()
    path = SYSTEM_PATH
    if UV.exists():
        (tmp_path / "tools/uv").symlink_to(UV)
        path = f"{tmp_path}/tools:{path}"
    return {
        "HOME": str(tmp_path / "home"),
        "PATH": path,
        "UV_OFFLINE": "1",
        "UV_NO_CACHE": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "PIP_NO_INDEX": "1",
    }


@pytest.fixture
def work(tmp_path):
    place = tmp_path / "work"
    place.mkdir()
    return place


ASK = "python -c 'import tiny; print(tiny.VERSION)' > {output}"


def test_a_venv_is_made_filled_recorded_and_remade_when_its_requirements_change(work, environ):
    old, new = make_wheel(work, "1.0"), make_wheel(work, "2.0")
    (work / "requirements.txt").write_text(f"{old}\n")
    text = "".join(
        rule(name, ASK, output=[name], environment={"venv": "envs/py"}) for name in ("a", "b")
    )
    assert execute(work, text, environ=environ).exit_code == 0
    assert (work / "a").read_text() == (work / "b").read_text() == "1.0\n"
    recorded = environment_of(work, "a")
    assert recorded["environment"] == f"venv '{work}/envs/py'"
    assert "tiny 1.0" in recorded["versions"]
    assert any(line.startswith("python 3.") for line in recorded["versions"])
    made_at = (work / "envs/py/pyvenv.cfg").stat().st_mtime_ns
    (work / "a").unlink()
    assert execute(work, text, environ=environ).exit_code == 0
    assert (work / "envs/py/pyvenv.cfg").stat().st_mtime_ns == made_at
    (work / "requirements.txt").write_text(f"{new}\n")
    assert execute(work, text, environ=environ).exit_code == 0
    assert (work / "a").read_text() == "2.0\n"
    assert "tiny 2.0" in environment_of(work, "b")["versions"]


@pytest.mark.real  # pip unpacks itself, for seconds
def test_without_uv_python_and_pip_do_the_same(work, environ):
    (work / "r.txt").write_text(f"{make_wheel(work, '1.0')}\n")
    text = rule("a", ASK, output=["a"], environment={"venv": "v", "venv_requirements": "r.txt"})
    assert execute(work, text, environ=environ | {"PATH": SYSTEM_PATH}).exit_code == 0
    assert (work / "a").read_text() == "1.0\n"


def test_a_venv_that_cannot_be_filled_leaves_nothing_and_fails_the_job(work, environ):
    (work / "requirements.txt").write_text("no-such-package-here==9\n")
    text = rule("a", "echo > a", output=["a"], environment={"venv": "v"}, retries=3)
    text += rule("b", "echo > b", output=["b"], environment={"venv": "v"})
    outcome = execute(work, text, environ=environ, keep_going=True, slots=1)
    assert outcome.exit_code == 1
    assert not (work / "v").exists()
    assert [job for job, _ in outcome.failures] == ["a", "b"]
    assert all("could not be made" in error for _, error in outcome.failures)
    assert "no-such-package-here" in event_of(work, "a", "rule_failed").data["stderr_tail"]
    assert events(work, "rule_started") == []
    assert list((work / ".oxo-flow/logs").glob("*.out"))


def test_what_a_killed_maker_left_is_removed_and_made_anew(work, environ):
    """A first run dies while it makes the environment; the second finds its half and its note."""
    (work / "requirements.txt").write_text("")
    text = rule("a", "command -v python > a", output=["a"], environment={"venv": "v"})
    assert execute(work, text, environ=environ).exit_code == 0
    (lock,) = (work.parent / "home/.oxo-flow/locks").iterdir()
    note = json.loads(lock.read_text())
    lock.write_text(json.dumps(note | {"state": "making"}))
    (work / "v/half").write_text("")
    (work / "a").unlink()
    assert execute(work, text, environ=environ).exit_code == 0
    assert not (work / "v/half").exists()
    assert (work / "a").read_text() == f"{work}/v/bin/python\n"


def test_two_runs_at_once_make_one_environment(tmp_path, environ):
    count = tmp_path / "tools/python3"
    count.write_text(
        f'#!/bin/sh\necho made >> {tmp_path}/count\nexec /usr/bin/python3 "$@" --without-pip\n'
    )
    count.chmod(0o755)
    (tmp_path / "tools/uv").unlink(missing_ok=True)
    environ = environ | {"PATH": f"{tmp_path}/tools:{SYSTEM_PATH}"}
    text = rule("a", "echo > a", output=["a"], environment={"venv": f"{tmp_path}/shared"})
    assert run_at_once([tmp_path / "one", tmp_path / "two"], text, **environ) == [0, 0]
    assert (tmp_path / "count").read_text() == "made\n"


def test_a_tool_that_is_missing_fails_the_job_before_it_starts(work):
    text = rule("a", "echo > a", output=["a"], environment={"conda": "e.yaml"})
    (work / "e.yaml").write_text("name: e\n")
    environ = {"PATH": SYSTEM_PATH, "HOME": str(work)}
    outcome = execute(work, text, environ=environ)
    assert outcome.error == (
        "job 'a' failed: rule 'a': 'conda' is not on PATH; install Miniforge, or use 'mamba' for "
        "an environment that micromamba can run"
    )
    assert events(work, "rule_started") == []


def test_groups_and_defaults_choose_the_environment(work, environ):
    where = "command -v python > {output} || echo none > {output}"
    text = (
        "[defaults]\nenvironment = { venv = 'default' }\n"
        "[env_groups]\ngroup = { venv = 'group' }\n"
        + rule("a", where, output=["a"])
        + rule("b", where, output=["b"], env_group="group", environment={"venv": "own"})
        + rule("c", where, output=["c"], environment={"venv": "own"})
    )
    assert execute(work, text, environ=environ).exit_code == 0
    for name, place in (("a", "default"), ("b", "group"), ("c", "own")):
        assert (work / name).read_text() == f"{work}/{place}/bin/python\n"


def test_one_place_with_two_definitions_is_refused(work, environ):
    (work / "one.txt").write_text("")
    (work / "two.txt").write_text("# other")
    text = "".join(
        rule(
            name,
            "echo > {output}",
            output=[name],
            environment={"venv": "v", "venv_requirements": f"{name}.txt"},
        )
        for name in ("one", "two")
    )
    outcome = execute(work, text, environ=environ, slots=1)
    assert "defined in two ways" in outcome.error


def test_a_failing_creation_stops_with_the_run(work, environ):
    """Cancelling does not wait for a package index that does not answer."""
    tool = work.parent / "tools/python3"
    (work.parent / "tools/uv").unlink(missing_ok=True)
    tool.write_text("#!/bin/sh\necho $$ > making\nexec sleep 300\n")
    tool.chmod(0o755)
    environ = environ | {"PATH": f"{work.parent}/tools:{SYSTEM_PATH}"}
    text = rule("a", "echo > a", output=["a"], environment={"venv": "v"}) + rule(
        "b", "until [ -s making ]; do sleep 0.05; done; exit 1", output=["b"]
    )
    outcome = execute(work, text, environ=environ)
    assert outcome.exit_code == 1
    assert not os.path.exists(f"/proc/{(work / 'making').read_text().strip()}")
