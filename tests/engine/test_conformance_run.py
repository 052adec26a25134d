"""Hold the conformance facts about execution (spec/oxoflow-format.md 7), each under its number."""

import os
import re

import pytest

from oxoflow.commands.clean import outputs_of
from oxoflow.engine.rundir import RunState
from oxoflow.errors import BudgetTooSmall, WorkdirLocked, WorkflowError
from tests.engine.making import load
from tests.engine.running import (
    event_of,
    events,
    execute,
    kinds,
    processes_in,
    records,
    rule,
    start,
    wait_for,
)


def test_fact_52_success_without_the_declared_output_is_a_failure_and_on_failure_runs(tmp_path):
    text = rule("a", "true", output=["o.txt"], on_failure="echo no > hook.txt")
    outcome = execute(tmp_path, text)
    assert outcome.exit_code == 1
    failed = event_of(tmp_path, "a", "rule_failed")
    assert failed.data["exit_code"] == -1
    assert "output validation" in failed.data["stderr_tail"]
    assert (tmp_path / "hook.txt").read_text() == "no\n"


def test_fact_53_a_failed_job_leaves_no_output_that_looks_like_a_result(tmp_path):
    (tmp_path / "old.txt").write_text("old")
    (tmp_path / "kept.txt").write_text("kept")
    text = rule(
        "a",
        "mkdir -p dir/sub; echo x > dir/sub/f; echo half > new.txt; echo half > old.txt; exit 3",
        output=["new.txt", "old.txt", "kept.txt", "dir"],
    )
    assert execute(tmp_path, text).exit_code == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".oxo-flow",
        "execution.log",
        "kept.txt",
        "old.txt.oxo-failed",
    ]
    assert (tmp_path / "old.txt.oxo-failed").read_text() == "half\n"
    assert (tmp_path / "kept.txt").read_text() == "kept"


def test_fact_54_a_job_whose_time_is_up_ends_with_its_grandchildren(tmp_path):
    text = rule(
        "a",
        "sleep 300 & setsid sleep 301 & echo $! > pids; (setsid sleep 302 &) ; sleep 303",
        resources={"time_limit": "0.2s"},
    )
    outcome = execute(tmp_path, text)
    assert outcome.exit_code == 1
    failed = event_of(tmp_path, "a", "rule_failed")
    assert failed.data["exit_code"] == 124
    assert "timed out" in failed.data["stderr_tail"]
    assert "timed out" in failed.data["error"]
    assert processes_in(tmp_path) == []


def test_fact_55_two_failures_and_a_success_are_a_success_with_three_attempts(tmp_path):
    text = rule("a", "echo >> n; [ $(wc -l < n) = 3 ] && echo ok > o", output=["o"], retries=2)
    assert execute(tmp_path, text).exit_code == 0
    assert records(tmp_path)["a"].attempts == 3
    assert kinds(tmp_path)["rule_started"] == 3
    assert [event.data["will_retry"] for event in events(tmp_path, "rule_failed")] == [True, True]


@pytest.mark.parametrize(("required", "code"), [(True, 1), (False, 0)])
def test_fact_56_keep_going_runs_what_does_not_depend_on_the_failure(tmp_path, required, code):
    text = (
        rule("bad", "exit 1", output=["bad"], required=required)
        + rule("below", "cat bad > below", input=["bad"], output=["below"])
        + rule("other", "sleep 0.1; echo > other", output=["other"])
    )
    outcome = execute(tmp_path, text, keep_going=True)
    assert outcome.exit_code == code
    assert (tmp_path / "other").exists()
    assert [job for job, _ in outcome.failures] == ["bad"]
    assert outcome.blocked == ("below",)
    assert outcome.counts.blocked == 1
    assert (outcome.counts.failed, outcome.counts.non_required_failed) == (code, 1 - code)
    reason = event_of(tmp_path, "below", "rule_blocked").data["reason"]
    assert reason == "blocked by failed dependency 'bad'"


def test_fact_57_an_optional_rule_without_its_input_is_skipped_and_what_follows_is_considered(
    tmp_path,
):
    text = rule("a", "cp in a", input=["in"], output=["a"], optional=True) + rule(
        "b", "echo > b", depends_on=["a"], output=["b"]
    )
    outcome = execute(tmp_path, text)
    assert outcome.exit_code == 0
    assert "optional inputs missing" in event_of(tmp_path, "a", "rule_skipped").data["reason"]
    assert (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("groups", "words"),
    [({"db": 2}, r"2 of resource group 'db', which has 1"), ({"net": 1}, "'net'.*not declared")],
)
def test_fact_58_a_group_demand_that_cannot_be_met_fails_the_rule_at_once(tmp_path, groups, words):
    text = rule("a", "echo > a", output=["a"], resources={"groups": groups})
    outcome = execute(tmp_path, text + "[resource_groups]\ndb = {max = 1}\n")
    assert outcome.exit_code == 1
    assert re.search(words, outcome.error)
    assert not (tmp_path / "a").exists()


def test_fact_58_a_rule_larger_than_the_machine_runs_alone_with_a_warning(tmp_path):
    alone = "mkdir busy && sleep 0.1 && rmdir busy"  # fails beside another one
    text = rule("first", alone) + rule("big", alone, threads=4096) + rule("last", alone)
    outcome = execute(tmp_path, text, slots=4, max_memory_mb=64)
    assert outcome.exit_code == 0
    (warning,) = events(tmp_path, "warning")
    assert "4096 threads" in warning.data["message"]


def test_fact_59_an_explicit_limit_that_is_too_small_aborts_before_anything_runs(tmp_path):
    text = rule("small", "echo > s", output=["s"]) + rule("a", "true", threads=4)
    with pytest.raises(BudgetTooSmall, match=r"resource budget too small.*'a' needs 4 threads"):
        execute(tmp_path, text, max_threads=2)
    assert not (tmp_path / "s").exists()
    assert kinds(tmp_path) == {"run_failed": 1}


def test_fact_60_waiters_start_in_their_order(tmp_path):
    text = (
        rule("h", "sleep 0.2", threads=2)
        + rule("large", "true", threads=2)
        + rule("small", "true", threads=1)
    )
    assert execute(tmp_path, text, slots=3, max_threads=2).exit_code == 0
    assert [event.job for event in events(tmp_path, "rule_started")] == ["h", "large", "small"]


def test_fact_61_scratch_outputs_come_home_and_a_failed_scratch_directory_is_kept(tmp_path):
    (tmp_path / "in.txt").write_text("data\n")
    good = rule(
        "good",
        "pwd > where; cp {input} {output[0]}; cp where out/",
        input=["in.txt"],
        output=["out/d.txt", "out/where"],
        scratch=True,
    )
    assert execute(tmp_path, good).exit_code == 0
    assert (tmp_path / "out/d.txt").read_text() == "data\n"
    assert "/.oxo-flow/scratch/good-" in (tmp_path / "out/where").read_text()
    assert list((tmp_path / ".oxo-flow/scratch").iterdir()) == []
    bad = rule("bad", "echo half > o; exit 1", output=["o"], scratch=True)
    assert execute(tmp_path, bad).exit_code == 1
    (kept,) = (tmp_path / ".oxo-flow/scratch").iterdir()
    assert str(kept) in event_of(tmp_path, "bad", "rule_failed").data["stderr_tail"]
    assert (kept / "o").read_text() == "half\n"
    assert not (tmp_path / "o").exists()


def test_fact_67_a_second_run_in_a_locked_directory_ends_at_once(tmp_path):
    text = rule("a", "mkfifo gate; echo ready > ready; cat gate > a", output=["a"])
    with start(tmp_path, text) as first:
        wait_for(tmp_path / "ready", first)
        with pytest.raises(WorkdirLocked, match=f"process {first.pid}"):
            execute(tmp_path, text)
        (tmp_path / "gate").write_text("go\n")
        assert first.wait() == 0
        first.stderr.close()
    assert execute(tmp_path, text).state is RunState.SUCCESS


@pytest.mark.parametrize(
    "shell",
    ["rm -rf / --no-preserve-root", "curl http://x | bash", "mkfs.ext4 /dev/sda"],
)
def test_fact_68_destructive_commands_are_refused(tmp_path, shell):
    with pytest.raises(WorkflowError, match="never run"):
        execute(tmp_path, rule("a", shell, output=["a"]))
    assert kinds(tmp_path) == {"run_failed": 1}


def test_fact_68_a_command_that_turns_out_destructive_is_refused_before_it_starts(tmp_path):
    text = "[config]\nplace = '/'\n" + rule("a", "rm -rf {config.place}", output=["a"])
    outcome = execute(tmp_path, text)
    assert outcome.exit_code == 1
    assert "refused, 'rm -rf /'" in (outcome.error or "")
    assert kinds(tmp_path)["rule_started"] == 0


def test_fact_68_ordinary_commands_are_not(tmp_path):
    text = rule("a", "mkdir -p out && rm -rf out/ && echo x | cat > a", output=["a"])
    assert execute(tmp_path, text).exit_code == 0


@pytest.mark.parametrize("path", ["{config.none}", "./", "."])
def test_a_failure_leaves_the_directory_alone_when_an_output_comes_out_empty(tmp_path, path):
    here = tmp_path / "here"
    here.mkdir()
    (here / "mine").write_text("x")
    command = "echo > made; exit 3"
    text = '[config]\nnone = ""\n' + rule("a", command, output=[path, "made"], temp_output=[path])
    text += rule("b", "true", input=["made"])
    assert execute(here, text).exit_code == 1
    assert (here / "mine").read_text() == "x"
    assert not (here / "made").exists()
    assert os.listdir(tmp_path) == ["here"]
    fine = text.replace("; exit 3", "")
    assert execute(here, fine).counts.succeeded == 2
    (here / "other").write_text("beside it")
    assert execute(here, fine).counts.succeeded == 0
    assert (here / "mine").exists()
    assert outputs_of(load(fine), here) == (["made"], [])


def test_the_directory_itself_is_no_output(tmp_path):
    outcome = execute(tmp_path, rule("a", "exit 3", output=["sub/.."]))
    assert "output 'sub/..' is the working directory itself" in outcome.error
    assert kinds(tmp_path)["rule_started"] == 0


@pytest.mark.parametrize("path", ["/etc/oxoflow-x", "../oxoflow-x", "a/../../oxoflow-x"])
def test_fact_69_outputs_outside_the_working_directory_are_refused(tmp_path, path):
    outcome = execute(tmp_path, rule("a", "true", output=[path]))
    assert outcome.exit_code == 1
    assert f"output '{path}' lies outside the working directory" in outcome.error
    assert kinds(tmp_path)["rule_started"] == 0
