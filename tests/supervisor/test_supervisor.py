"""The life of runs with real processes: queued, started, followed, ended."""

import json
import sys

import pytest

from oxoflow.db.runs import Status
from oxoflow.errors import RateLimited
from oxoflow.supervisor import Kind, launch
from tests.supervisor.conftest import PATIENT, SIMPLE, Desk, Until, over, started


def test_a_run_goes_from_queue_to_success_with_its_events_in_order(
    desk: Desk, until: Until
) -> None:
    desk.supervisor()
    run = desk.submit(SIMPLE)
    done = until(lambda: over(desk, run))
    assert (done.status, done.exit_code, done.error) == (Status.SUCCESS, 0, None)
    assert done.started_at <= done.finished_at
    assert desk.types(run.id)[-4:] == [
        "run_started", "rule_started", "rule_completed", "run_completed",
    ]  # fmt: skip
    first, last = (json.loads(desk.events(run.id)[place].data) for place in (-4, -1))
    assert (first["username"], first["status"]) == ("ann", "running")
    assert last["status"] == "success"
    assert last["duration_secs"] >= 0


def test_the_runner_gets_what_was_submitted(desk: Desk, until: Until) -> None:
    desk.supervisor()
    run = desk.submit(
        SIMPLE, max_jobs=1, keep_going=True, targets=("x", "y"), samples=("s1", "s2"),
        config={"k": "a b"},
    )  # fmt: skip
    until(lambda: over(desk, run))
    argv = (desk.directory(run) / "argv").read_text().split("\n")
    directory = desk.directory(run)
    expected = [
        "run",
        f"{directory}/workflow.oxoflow",
        "--workdir",
        str(directory),
        "-j",
        "1",
        "-k",
    ]
    expected += ["--config-file=-", "--target=x", "--target=y", "--samples=s1", "--samples=s2"]
    cache = desk.home / "workspace/users/ann/cache"
    expected += [f"--cache={cache}", f"--cache-size={50 * 1024**3}", "--launch"]
    assert argv[:-1] == expected
    assert json.loads((directory / "config").read_text()) == {"k": "a b"}


def test_a_failing_run_tells_its_reason(desk: Desk, until: Until) -> None:
    desk.supervisor()
    run = desk.submit("begin(); end('failed', 1, error=\"rule 'a' failed\")")
    done = until(lambda: over(desk, run))
    assert (done.status, done.exit_code, done.error) == (Status.FAILED, 1, "rule 'a' failed")
    assert json.loads(desk.events(run.id)[-1].data)["error"] == "rule 'a' failed"


def test_a_runner_that_cannot_begin_fails_the_run_with_its_own_words(
    desk: Desk, until: Until
) -> None:
    desk.supervisor()
    run = desk.submit("sys.exit('oxoflow: no such rule')")
    done = until(lambda: over(desk, run))
    assert (done.status, done.error) == (Status.FAILED, "oxoflow: no such rule")


def test_a_runner_that_is_killed_fails_the_run_and_says_how(desk: Desk, until: Until) -> None:
    desk.supervisor()
    run = desk.submit("begin(); os.kill(os.getpid(), signal.SIGKILL)")
    done = until(lambda: over(desk, run))
    assert done.status is Status.FAILED
    assert "killed by signal 9" in done.error


def test_a_program_that_cannot_be_started_fails_the_run(
    desk: Desk, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "PROGRAM", ("/nowhere/oxoflow",))
    desk.supervisor()
    run = desk.submit(SIMPLE)
    done = until(lambda: over(desk, run))
    assert done.status is Status.FAILED
    assert "could not be started" in done.error
    assert done.started_at is None


def test_a_run_that_waits_says_so_and_starts_when_there_is_room(desk: Desk, until: Until) -> None:
    desk.variables["OXO_FLOW_MAX_RUNS"] = "1"
    desk.supervisor()
    first = desk.submit(PATIENT)
    until(lambda: started(desk, first))
    second = desk.submit(SIMPLE)
    until(lambda: desk.types(second.id) == ["run_queued"])
    queued = json.loads(desk.events(second.id)[0].data)
    assert queued["position"] == 1
    assert "limit of this server" in queued["reason"]
    assert desk.now(second.id).status is Status.PENDING
    (desk.directory(first) / "go").touch()
    assert until(lambda: over(desk, second)).status is Status.SUCCESS


def test_a_run_that_only_waits_leaves_its_slot_to_others(desk: Desk, until: Until) -> None:
    desk.variables["OXO_FLOW_MAX_RUNS"] = "1"
    desk.kinds["workflow"] = Kind(launch.workflow_command, may_wait=True)
    desk.supervisor()
    first = desk.submit("begin(); emit('run_waiting'); wait('go'); emit('run_working'); end()")
    until(lambda: desk.now(first.id).idle)
    second = desk.submit(SIMPLE)
    assert until(lambda: over(desk, second)).status is Status.SUCCESS
    (desk.directory(first) / "go").touch()
    assert until(lambda: over(desk, first)).status is Status.SUCCESS
    assert "run_waiting" not in desk.types(first.id)


def test_too_many_waiting_runs_of_one_user_are_refused(desk: Desk) -> None:
    desk.variables |= {"OXO_FLOW_MAX_RUNS": "0", "OXO_FLOW_MAX_PENDING_PER_USER": "2"}
    desk.supervisor()
    desk.submit(SIMPLE)
    desk.submit(SIMPLE)
    with pytest.raises(RateLimited):
        desk.submit(SIMPLE)
    desk.submit(SIMPLE, user="bob")


def test_the_environment_of_a_runner_is_an_allow_list(
    desk: Desk, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.variables["OXO_FLOW_PASS_ENV"] = "LICENCE"
    environ = {
        "PATH": "/usr/bin:/bin", "HOME": "/h", "LC_ALL": "C", "CONDA_PREFIX": "/c",
        "LICENCE": "l", "SECRET": "s", "OXO_FLOW_ADMIN_PASSWORD": "p", "PYTHONPATH": "/x",
        "VIRTUAL_ENV": sys.prefix,
    }  # fmt: skip
    desk.supervisor(environ)
    run = desk.submit("Path('env').write_text(repr(dict(os.environ))); begin(); end()")
    until(lambda: over(desk, run))
    seen = eval((desk.directory(run) / "env").read_text())
    kept = {"HOME": "/h", "LC_ALL": "C", "CONDA_PREFIX": "/c", "LICENCE": "l"}
    assert seen.pop("PATH") == "/usr/bin:/bin"
    assert {name: text for name, text in seen.items() if name != "LC_CTYPE"} == kept
