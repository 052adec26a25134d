"""Outputs that stream from one running job into another (spec/oxoflow-format.md 5.8)."""

import contextlib
import os
import signal
import stat
import threading

import pytest

from oxoflow.engine.capacity import Limits, find_capacity
from oxoflow.engine.files import WorkFiles
from oxoflow.engine.history import History
from oxoflow.engine.identity import all_processes
from oxoflow.engine.load import load_text
from oxoflow.engine.pipes import Pipes, find_pipes
from oxoflow.engine.plan import PlanOptions
from oxoflow.engine.provenance import trace
from oxoflow.engine.render import Renderer
from oxoflow.engine.rundir import RunDirectory, write_control
from oxoflow.engine.scheduler import Capacity, Need, Scheduler, Status, Task
from oxoflow.engine.trees import descendants
from tests.engine.running import (
    event_of,
    events,
    execute,
    processes_in,
    records,
    rule,
    start,
    wait_for,
)
from tests.patience import PATIENCE

# Each waits for a sign of the other, so neither can end before both run.
TALK = rule(
    "say",
    "echo one > {output}; until [ -e heard ]; do sleep 0.01; done; echo two > {output}",
    output=["talk/text"],
    pipe=True,
) + rule(
    "hear",
    "{ read first; touch heard; cat; } < {input} > {output}; echo $first >> {output}",
    input=["talk/text"],
    output=["out"],
    temp_output=["heard"],
)


def pipes_left(workdir) -> list[str]:
    return [
        os.path.join(folder, name)
        for folder, _, names in os.walk(workdir)
        for name in names
        if stat.S_ISFIFO(os.lstat(os.path.join(folder, name)).st_mode)
    ]


def warnings(workdir) -> list[str]:
    return [event.data["message"] for event in events(workdir, "warning")]


def pair(write: str, read: str, **fields) -> str:
    """A rule that writes the pipe `p`, and one that reads it into `o`."""
    return rule("w", write, output=["p"], pipe=True, **fields) + rule(
        "r", read, input=["p"], output=["o"]
    )


@pytest.mark.parametrize("marked", ["writer", "reader"])
def test_the_reader_sees_the_first_bytes_while_the_writer_still_runs(tmp_path, marked):
    text = TALK
    if marked == "reader":
        text = TALK.replace("pipe = true\n", "").replace("temp_output", "pipe = true\ntemp_output")
    assert execute(tmp_path, text).exit_code == 0
    assert (tmp_path / "out").read_text() == "two\none\n"
    assert not (tmp_path / "talk/text").exists()
    assert not (tmp_path / "heard").exists()
    for job in ("say", "hear"):
        assert records(tmp_path)[job].status == "done"
        for type in ("rule_started", "rule_completed"):
            assert len([event for event in events(tmp_path, type) if event.job == job]) == 1


def test_a_group_runs_again_as_a_whole_and_only_when_it_must(tmp_path):
    text = rule("a", "cat {input} > {output}", input=["src"], output=["s"]) + pair(
        "cat s > {output}", "sort {input} > {output}", input=["s"]
    )
    (tmp_path / "src").write_text("b\na\n")
    assert execute(tmp_path, text).counts.succeeded == 3
    assert (tmp_path / "o").read_text() == "a\nb\n"
    assert execute(tmp_path, text).counts.skipped == 3
    (tmp_path / "o").unlink()
    assert execute(tmp_path, text).counts.succeeded == 2
    assert execute(tmp_path, text.replace("cat s", "tac s")).counts.succeeded == 2
    (tmp_path / "src").write_text("c\n")
    assert execute(tmp_path, text.replace("cat s", "tac s")).counts.succeeded == 3
    assert (tmp_path / "o").read_text() == "c\n"
    (tmp_path / "src").write_text("c \n")
    text = text.replace("cat {input} > {output}", "cat {input} | tr -d ' ' > {output}")
    assert execute(tmp_path, text.replace("cat s", "tac s")).counts.succeeded == 1


def test_a_failed_reader_ends_its_writer_and_both_say_why(tmp_path):
    text = pair("echo x > {output}; sleep 600", "read x < {input}; exit 7") + rule(
        "after", "cp {input} {output}", input=["o"], output=["z"]
    )
    outcome = execute(tmp_path, text)
    assert outcome.error.startswith("job 'r' failed: exit code 7")
    assert dict(outcome.failures)["w"] == "a pipe joins it to job 'r', which failed"
    assert outcome.counts.failed == 2
    assert outcome.blocked == () or outcome.blocked == ("after",)
    assert {records(tmp_path)[job].status for job in "wr"} == {"failed"}
    assert processes_in(tmp_path) == []
    assert pipes_left(tmp_path) == []


def test_who_is_below_a_reader_is_blocked_by_it_and_not_by_its_writer(tmp_path):
    text = pair("echo x > {output}", "read x < {input}; exit 7") + rule(
        "after", "cp {input} {output}", input=["o"], output=["z"]
    )
    execute(tmp_path, text, keep_going=True)
    told = event_of(tmp_path, "after", "rule_blocked").data["reason"]
    assert told == "blocked by failed dependency 'r'"


def test_a_reader_that_succeeds_on_half_a_stream_has_no_result(tmp_path):
    text = pair("echo half > {output}; exit 3", "cat {input} > {output}")
    outcome = execute(tmp_path, text)
    assert outcome.error.startswith("job 'w' failed: exit code 3")
    assert not (tmp_path / "o").exists()
    assert records(tmp_path)["r"].status == "failed"


def test_a_writer_that_is_not_required_fails_without_failing_the_run(tmp_path):
    text = pair("exit 3", "cat {input} > {output}", required=False)
    outcome = execute(tmp_path, text)
    assert outcome.exit_code == 0
    assert outcome.counts.non_required_failed == 2


@pytest.mark.parametrize("fields", [{"pre_exec": "exit 4"}, {"time_limit": "1s"}])
def test_whatever_ends_one_ends_and_records_all(tmp_path, fields):
    if "time_limit" in fields:
        fields = {"resources": fields}
    text = pair("echo > {output}; sleep 600", "cat {input} > {output}", **fields)
    outcome = execute(tmp_path, text)
    assert outcome.error.startswith("job 'w' failed: ")
    assert dict(outcome.failures)["r"] == "a pipe joins it to job 'w', which failed"
    assert {records(tmp_path)[job].status for job in "wr"} == {"failed"}
    assert event_of(tmp_path, "r", "rule_failed").data["error"] == dict(outcome.failures)["r"]
    assert processes_in(tmp_path) == []
    assert pipes_left(tmp_path) == []


def test_all_are_tried_again_when_one_may_be(tmp_path):
    text = pair(
        "echo a > {output}; [ -e tried ] || { touch tried; exit 1; }; echo b > {output}",
        "cat {input} > {output}",
        retries=1,
        temp_output=["tried"],
    )
    assert execute(tmp_path, text).exit_code == 0
    assert (tmp_path / "o").read_text() == "a\nb\n"
    assert {job: records(tmp_path)[job].attempts for job in "wr"} == {"w": 2, "r": 2}
    assert event_of(tmp_path, "r", "rule_failed").data["will_retry"] is True


@pytest.mark.parametrize(
    ("write", "words"),
    [
        ("true", "never wrote to it"),
        ("echo x > {output}.t; mv {output}.t {output}", "replaced it by something else"),
    ],
)
def test_a_writer_that_does_not_write_to_its_pipe_fails(tmp_path, write, words):
    outcome = execute(tmp_path, pair(write, "cat {input} > {output}"))
    assert outcome.exit_code == 1
    assert words in outcome.error
    assert not (tmp_path / "o").exists()


def test_an_empty_stream_is_no_failure(tmp_path):
    assert execute(tmp_path, pair(": > {output}", "cat {input} > {output}")).exit_code == 0
    assert (tmp_path / "o").read_text() == ""


@pytest.mark.parametrize(
    ("write", "read", "result"),
    [
        ("yes > {output}", "head -n 1 {input} > {output}", "y\n"),
        ("echo a > {output}; echo b >> {output}", "cat {input} > {output}", "a\nb\n"),
        ("echo a > {output}", "sleep 0.2; cat {input} {input} > {output}", "a\n"),
        ("sleep 0.2; echo a > {output}", "echo nothing > {output}", "nothing\n"),
    ],
    ids=["reader has enough", "written twice", "read late and twice", "not read at all"],
)
def test_no_end_waits_for_one_that_is_gone(tmp_path, write, read, result):
    outcome = execute(tmp_path, pair(write, read), timeout=PATIENCE)
    assert (outcome.error, outcome.exit_code) == (None, 0)
    assert (tmp_path / "o").read_text() == result
    assert pipes_left(tmp_path) == []


@pytest.mark.parametrize("private", [{"scratch": True}, {"shadow": "minimal"}, {"shadow": "full"}])
def test_pipes_reach_into_private_directories(tmp_path, private):
    text = rule(
        "w", "seq 3 > {output[0]}; echo more > w.txt", output=["d/p", "w.txt"], pipe=True, **private
    ) + rule("r", "wc -l < {input} > {output}", input=["d/p"], output=["o"], **private)
    outcome = execute(tmp_path, text, timeout=PATIENCE)
    assert outcome.error is None
    assert (tmp_path / "o").read_text() == "3\n"
    assert (tmp_path / "w.txt").read_text() == "more\n"
    assert pipes_left(tmp_path) == []


def test_one_slot_is_enough_and_said_to_be_little(tmp_path):
    assert execute(tmp_path, TALK, slots=1).exit_code == 0
    assert "ask for 2 jobs at once, there are 1" in warnings(tmp_path)[0]


def test_a_resource_that_is_too_small_for_all_together_fails_them(tmp_path):
    text = "[resource_groups.gpu]\nmax = 1\n" + pair(
        "seq 3 > {output}", "cat {input} > {output}", resources={"groups": "{gpu = 1}"}
    ).replace("'{gpu = 1}'", "{gpu = 1}").replace(
        'name = "r"', 'name = "r"\nresources = {groups = {gpu = 1}}'
    )
    outcome = execute(tmp_path, text)
    assert "need 2 of resource group 'gpu', which has 1" in outcome.error


FALLBACKS = {
    "more than one job reads it": pair("seq 3 > {output}", "cat {input} > {output}")
    + rule("r2", "cat {input} > {output}", input=["p"], output=["o2"]),
    "read by a glob": rule("w", "seq 3 > {output}", output=["d/p.txt"], pipe=True)
    + rule("r", "cat d/*.txt > {output}", input=["d/*.txt"], output=["o"]),
    "wait for each other's files": rule(
        "w", "seq 3 > p; echo > f.t", output=["p", "f.t"], pipe=True
    )
    + rule("r", "cat p *.t > {output}", input=["p", "*.t"], output=["o"]),
    "protected": pair("seq 3 > {output}", "cat {input} > {output}", protected_output=["p"]),
    "optional": pair("seq 3 > {output}", "cat {input} > {output}", optional=True),
}


@pytest.mark.parametrize("reason", FALLBACKS)
def test_what_cannot_stream_becomes_a_file_with_a_warning(tmp_path, reason):
    assert execute(tmp_path, FALLBACKS[reason]).exit_code == 0
    assert (tmp_path / "p").exists() or (tmp_path / "d/p.txt").exists()
    assert any(reason in words for words in warnings(tmp_path))
    assert execute(tmp_path, FALLBACKS[reason]).counts.succeeded == 0


def test_an_output_whose_reader_is_not_asked_for_is_a_file(tmp_path):
    text = pair("seq 3 > {output}", "cat {input} > {output}")
    assert execute(tmp_path, text, plan=PlanOptions(targets=("w",))).exit_code == 0
    assert (tmp_path / "p").read_text() == "1\n2\n3\n"
    assert execute(tmp_path, text).counts.succeeded == 2
    assert not (tmp_path / "p").exists()


def found(text: str) -> tuple[Pipes, list[list[str]]]:
    loaded = load_text(f"[workflow]\nname = 'w'\n{text}", view=WorkFiles("/nowhere"))
    renderer = Renderer(loaded.workflow, find_capacity(loaded.workflow, Limits()))
    pipes = find_pipes(loaded.dag, renderer, loaded.dag.order, lambda when: when != "false")
    groups = dict.fromkeys(pipes.group_of.values())
    return pipes, [[loaded.dag.jobs[at].name for at in group] for group in groups]


def test_groups_that_wait_for_each_other_do_not_stream():
    """a streams to c and b to d; d needs a file of a, and c one of b: none could start."""
    text = (
        rule("a", "x", output=["p", "a.t"], pipe=True)
        + rule("b", "x", output=["q", "b.t"], pipe=True)
        + rule("c", "x", input=["p", "b*.t"], output=["oc"])
        + rule("d", "x", input=["q", "a*.t"], output=["od"])
    )
    pipes, groups = found(text)
    assert groups == []
    assert len([words for words in pipes.warnings if "wait for each other" in words]) == 2
    _, groups = found(text.replace("'q', 'a*.t'", "'q'"))
    assert groups == [["a", "c"], ["b", "d"]]


def test_a_chain_of_pipes_is_one_group_that_stands_together_in_the_order():
    text = (
        rule("a", "x", output=["p"], pipe=True)
        + rule("z", "x", output=["f"])
        + rule("b", "x", input=["p", "f"], output=["q"], pipe=True)
        + rule("c", "x", input=["q"], output=["o"])
        + rule("off", "x", input=["p"], output=["n"], when="false")
    )
    pipes, groups = found(text)
    assert groups == [["a", "b", "c"]]
    assert pipes.order.index(0) == pipes.order.index(2) - 1 == pipes.order.index(3) - 2
    assert pipes.order.index(1) < pipes.order.index(0)


def test_a_pipe_that_a_dead_run_left_is_never_taken_for_an_output(tmp_path):
    text = rule("a", "seq 3 > {output}", output=["p"]) + rule(
        "b", "cat {input} > {output}", input=["p"], output=["o"]
    )
    os.mkfifo(tmp_path / "p")
    (tmp_path / "o").write_text("old\n")
    assert execute(tmp_path, text, timeout=PATIENCE).exit_code == 0
    assert (tmp_path / "o").read_text() == "1\n2\n3\n"
    (tmp_path / "p").unlink()
    os.mkfifo(tmp_path / "p")
    assert execute(tmp_path, text, timeout=PATIENCE).exit_code == 0
    assert (tmp_path / "p").read_text() == "1\n2\n3\n"


def test_a_command_that_makes_a_pipe_has_made_no_output(tmp_path):
    outcome = execute(tmp_path, rule("a", "mkfifo {output}", output=["p"]))
    assert "did not make 'p'" in outcome.error


@pytest.mark.parametrize("victims", ["runner", "all"])
def test_after_a_crash_the_whole_group_runs_again_and_no_pipe_is_left(tmp_path, victims):
    work = tmp_path / "work"
    work.mkdir()
    text = pair(
        "echo 1 > {output}; touch begun; [ -e second ] || sleep 600; echo 2 > {output}",
        "cat {input} > {output}",
    )
    runner = start(work, text)
    wait_for(work / "begun", runner)
    assert pipes_left(work) == [str(work / "p")]
    runner.send_signal(signal.SIGSTOP)
    for pid in descendants([runner.pid], all_processes()) if victims == "all" else ():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    runner.kill()
    runner.wait()
    runner.stderr.close()
    (work / "second").touch()
    assert execute(work, text).exit_code == 0
    assert (work / "o").read_text() == "1\n2\n"
    assert pipes_left(work) == []
    assert processes_in(work) == []


def test_a_cancel_ends_both_ends_and_takes_the_pipe_along(tmp_path):
    text = pair("echo 1 > {output}; touch begun; sleep 600", "touch heard; cat {input} > {output}")

    def cancel() -> None:
        for name in ("begun", "heard"):
            wait_for(tmp_path / name)
        write_control(RunDirectory(tmp_path).control, {"type": "cancel"})

    thread = threading.Thread(target=cancel)
    thread.start()
    outcome = execute(tmp_path, text)
    thread.join()
    assert outcome.exit_code == 143
    assert outcome.counts.interrupted == 2
    assert pipes_left(tmp_path) == []
    assert not (tmp_path / "o").exists()
    assert processes_in(tmp_path) == []


def test_a_task_of_two_jobs_takes_two_slots():
    tasks = [Task(Need(slots=2)), Task(), Task()]
    scheduler = Scheduler(tasks, [(), (), ()], Capacity(slots=2, threads=8, memory_mb=0))
    assert scheduler.start(0) == [0]
    scheduler.finish(0, Status.SUCCESS, 0)
    assert scheduler.start(0) == [1, 2]


def test_provenance_goes_on_through_a_pipe(tmp_path):
    text = pair("cat {input} > {output}", "cat {input} > {output}", input=["src"])
    (tmp_path / "src").write_text("x\n")
    assert execute(tmp_path, text).exit_code == 0
    history = History(tmp_path)
    try:
        steps = trace(tmp_path / "o", [history]).steps
    finally:
        history.close()
    assert [step.made.job for step in steps] == ["r", "w"]
    assert [(item.path, item.maker, item.note) for item in steps[0].inputs] == [("p", 1, "a pipe")]


def test_a_temporary_input_of_a_pipe_is_not_made_again_for_nothing(tmp_path):
    text = rule("t", "seq 3 > {output}", output=["t"], temporary=True) + pair(
        "cat {input} > {output}", "cat {input} > {output}", input=["t"]
    )
    assert execute(tmp_path, text).counts.succeeded == 3
    assert not (tmp_path / "t").exists()
    assert execute(tmp_path, text).counts.succeeded == 0
    (tmp_path / "o").unlink()
    assert execute(tmp_path, text).counts.succeeded == 3
    assert (tmp_path / "o").read_text() == "1\n2\n3\n"
