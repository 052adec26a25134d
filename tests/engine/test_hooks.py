"""Run the hooks of whole workflows: when, with what, and without influence on the run."""

import signal

import pytest

from oxoflow.engine.rundir import RunState
from oxoflow.lang.validate import validate
from tests.engine.running import events, execute, rule, start, wait_for
from tests.lang.build import composed
from tests.patience import PATIENCE

BOTH = """
on_complete = "echo '{succeeded} {failed} {skipped} {workdir} {config.tag} {other}' >> done"
on_error = "echo '{succeeded} {failed}' >> broken"
[config]
tag = ["a", "b"]
[defaults]
shell_prelude = "exec 2>&1"
"""


def test_on_complete_runs_once_at_the_end_of_a_run_without_failures(tmp_path):
    text = (
        BOTH
        + rule("a", "echo a > a", output=["a"])
        + rule("b", "cat a > b", input=["a"], output=["b"])
    )
    assert execute(tmp_path, text).state is RunState.SUCCESS
    assert (tmp_path / "done").read_text() == f"2 0 0 {tmp_path} a b {{other}}\n"
    execute(tmp_path, text)
    assert (tmp_path / "done").read_text().splitlines()[1].startswith("0 0 2 ")
    assert not (tmp_path / "broken").exists()


def test_the_hook_runs_although_a_job_left_something_running(tmp_path):
    text = BOTH + rule("a", "setsid sleep 100 & echo a > a", output=["a"])
    assert execute(tmp_path, text).state is RunState.SUCCESS
    (warning,) = events(tmp_path, "warning")
    assert "that jobs left running were ended" in warning.data["message"]  # on its way to sleep
    assert (tmp_path / "done").exists()


@pytest.mark.parametrize("required", [True, False])
def test_on_error_runs_when_a_job_failed_even_one_that_was_not_required(tmp_path, required):
    text = BOTH + rule("a", "echo a > a", output=["a"]) + rule("b", "false", required=required)
    outcome = execute(tmp_path, text, keep_going=True)
    assert outcome.state is (RunState.FAILED if required else RunState.SUCCESS)
    assert (tmp_path / "broken").read_text() == "1 1\n"
    assert not (tmp_path / "done").exists()


@pytest.mark.parametrize(
    ("command", "words"),
    [("echo too bad; exit 3", "exit code 3"), ("rm -rf {config.place}", "RECURSIVE_DELETION")],
)
def test_a_hook_that_fails_or_is_refused_only_warns(tmp_path, command, words):
    text = f"on_complete = '{command}'\n[config]\nplace = '/'\n" + rule(
        "a", "echo a > a", output=["a"]
    )
    assert execute(tmp_path, text).exit_code == 0
    (warning,) = events(tmp_path, "warning")
    assert "workflow hook on_complete" in warning.data["message"]
    assert words in warning.data["message"]
    log = (tmp_path / "execution.log").read_text()
    assert ("[on_complete] too bad" in log) == ("too bad" in command)


def cancel(tmp_path, text: str) -> None:
    """Run a workflow until it has begun, then cancel it and wait for its end."""
    process = start(tmp_path, text)
    try:
        wait_for(tmp_path / "begun", process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 143
    finally:
        process.kill()
        process.communicate()


def test_a_cancel_ends_a_hook_and_the_run_with_it(tmp_path):
    cancel(tmp_path, "on_complete = 'touch begun; sleep 300'\n" + rule("a", "true"))
    assert events(tmp_path)[-1].type == "run_cancelled"


def test_a_cancelled_run_runs_no_hook(tmp_path):
    text = "on_error = 'touch broken'\non_complete = 'touch done'\n"
    cancel(tmp_path, text + rule("a", "touch begun; sleep 300"))
    assert not {"broken", "done"} & {path.name for path in tmp_path.iterdir()}


def test_a_dangerous_hook_is_told_when_the_workflow_is_checked():
    workflow = composed("[workflow]\nname = 'w'\non_error = 'rm -rf /'\n")
    (found,) = validate(workflow)
    assert (found.code, found.key) == ("E011", "workflow.on_error")
