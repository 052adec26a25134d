"""Run whole workflows in this process: what a run does, says and records."""

import json
import os
import subprocess

import pytest

from oxoflow.engine.deciding import Reason, Verdict
from oxoflow.engine.explain import sentence
from oxoflow.engine.plan import PlanOptions
from oxoflow.engine.rundir import Launch, RunDirectory, RunState
from oxoflow.errors import DiskTrouble, GraphError, WorkflowError
from tests.engine.mounting import mount_memory
from tests.engine.running import (
    DIAMOND,
    event_of,
    events,
    execute,
    kinds,
    processes_in,
    records,
    rule,
    start,
)
from tests.patience import PATIENCE


def test_an_empty_command_promises_its_outputs_all_the_same(tmp_path):
    text = rule("a", "", output=["a.txt"]) + rule("b", "touch b.txt", depends_on=["a"])
    assert execute(tmp_path, text).state is RunState.FAILED
    assert "did not make 'a.txt'" in event_of(tmp_path, "a", "rule_failed").data["error"]
    assert not (tmp_path / "b.txt").exists()
    (tmp_path / "a.txt").write_text("given")
    assert execute(tmp_path, text).state is RunState.SUCCESS
    assert (tmp_path / "a.txt").read_text() == "given"


def test_jobs_that_fill_one_directory_together_all_run_and_are_then_up_to_date(tmp_path):
    groups = "[[sample_groups]]\nname = 'g'\nsamples = ['S1', 'S2', 'S3']\n"
    make = rule("make", "echo {sample} > {sample}.fa", output=["{sample}.fa"])
    fill = rule("fill", "mkdir -p bins && cp {input} bins", input=["{sample}.fa"], output=["bins"])
    text = groups + make + fill + rule("list", "ls bins > list", input=["bins"], output=["list"])
    assert execute(tmp_path, text, slots=1).state is RunState.SUCCESS
    assert (tmp_path / "list").read_text().split() == ["S1.fa", "S2.fa", "S3.fa"]
    assert execute(tmp_path, text).counts.succeeded == 0
    assert execute(tmp_path, text.replace("'S3'", "'S3', 'S4'"), slots=1).counts.succeeded == 3
    assert "S4.fa" in (tmp_path / "list").read_text()


def test_a_job_that_fails_leaves_what_others_put_into_the_directory_that_they_fill(tmp_path):
    groups = "[[sample_groups]]\nname = 'g'\nsamples = ['S1', 'S2', 'S3']\n"
    command = (
        "mkdir -p bins && touch bins/{sample}.fa {sample}.log && [ {sample} != S2 -o -e ready ]"
    )
    text = groups + rule("fill", command, output=["bins", "{sample}.log"])
    text += rule("list", "ls bins > list", input=["bins"], output=["list"])
    assert execute(tmp_path, text, slots=1, keep_going=True).counts.failed == 1
    assert not (tmp_path / "S2.log").exists()
    (tmp_path / "ready").touch()
    assert execute(tmp_path, text).counts.succeeded == 2
    assert (tmp_path / "list").read_text().split() == ["S1.fa", "S2.fa", "S3.fa"]


def test_a_job_that_only_waits_for_others_runs_anew_when_these_made_something_else(tmp_path):
    switch = "[config]\nmore = false\nword = 'x'\n"
    text = rule("a", "mkdir -p r && echo {config.word} > r/a", output=["r/a"])
    text += rule("b", "echo b > r/b", output=["r/b"], depends_on=["a"], when="config.more")
    text += rule("sum", "cat r/* > m", output=["m"], depends_on=["a", "b"])
    text += rule("page", "cp m page", output=["page"], depends_on=["sum"])
    assert execute(tmp_path, switch + text).counts.succeeded == 3
    assert execute(tmp_path, switch + text).counts.succeeded == 0
    switch = switch.replace("false", "true")
    assert execute(tmp_path, switch + text).counts.succeeded == 3
    assert (tmp_path / "page").read_text() == "x\nb\n"
    assert execute(tmp_path, switch + text).counts.succeeded == 0
    assert execute(tmp_path, switch.replace("'x'", "'y'") + text).counts.succeeded == 4
    assert (tmp_path / "page").read_text() == "y\nb\n"
    told = [sentence(Reason("depends_on.a", old, "2"), Verdict.RUN) for old in ("1", None)]
    assert told == [f"a, for which it waits, has {word} results" for word in ("new", "now")]
    assert execute(tmp_path, switch.replace("'x'", "'y'") + text).counts.succeeded == 0


def test_a_run_writes_the_agreed_events_and_its_end_record(tmp_path):
    outcome = execute(tmp_path, DIAMOND)
    assert (outcome.state, outcome.exit_code) == (RunState.SUCCESS, 0)
    found = events(tmp_path)
    assert [event.seq for event in found] == list(range(1, len(found) + 1))
    assert [event.type for event in found[:2]] == ["run_started", "jobs_planned"]
    assert found[0].data["workflow_name"] == "w"
    assert found[0].data["jobs_total"] == 4
    assert ["merge", "merge", "run"] in found[1].data["jobs"]
    assert found[-1].type == "run_completed"
    assert found[-1].data["status"] == "success"
    assert kinds(tmp_path)["rule_completed"] == 4
    done = event_of(tmp_path, "merge", "rule_completed").data
    assert set(done) == {
        "exit_code",
        "duration_secs",
        "cpu_secs",
        "peak_mb",
        "read_bytes",
        "written_bytes",
        "attempt",
    }
    record = RunDirectory(tmp_path).read_run()
    assert record is not None
    assert (record.state, record.exit_code, record.error) == (RunState.SUCCESS, 0, None)
    assert (tmp_path / "merge").read_text() == "1\n1\n1\n"


def test_a_second_run_does_nothing_and_says_so(tmp_path):
    execute(tmp_path, DIAMOND)
    outcome = execute(tmp_path, DIAMOND)
    assert (outcome.counts.succeeded, outcome.counts.skipped) == (0, 4)
    assert kinds(tmp_path)["rule_started"] == 4
    assert event_of(tmp_path, "top", "rule_skipped").data == {"reason": "already completed"}


def test_a_job_below_a_change_is_skipped_when_its_input_came_out_the_same(tmp_path):
    execute(tmp_path, DIAMOND)
    outcome = execute(tmp_path, DIAMOND, plan=PlanOptions(force=("top",)))
    assert (outcome.counts.succeeded, outcome.counts.skipped) == (1, 3)


def test_results_of_somebody_else_are_taken_over_and_known_from_then_on(tmp_path):
    (tmp_path / "in").write_text("x")
    os.utime(tmp_path / "in", (1, 1))
    (tmp_path / "out").write_text("y")
    text = rule("a", "cp in out", input=["in"], output=["out"])
    assert execute(tmp_path, text).counts.skipped == 1
    assert event_of(tmp_path, "a", "rule_skipped").data["reason"] == "outputs up-to-date"
    assert records(tmp_path)["a"].exit_code is None
    os.utime(tmp_path / "in")
    assert execute(tmp_path, text).counts.skipped == 1
    (tmp_path / "in").write_text("z")
    assert execute(tmp_path, text).counts.succeeded == 1


def test_a_log_tells_why_a_run_could_not_begin(tmp_path):
    text = rule("a", "x", input=["b"], output=["a"]) + rule("b", "x", input=["a"], output=["b"])
    with pytest.raises(GraphError):
        execute(tmp_path, text)
    assert "cycle" in (tmp_path / "execution.log").read_text()


def test_what_a_process_substitution_writes_is_waited_for(tmp_path):
    shell = "echo told > >(for i in {1..30000}; do :; done; cat > {output}) 2>| >(tee err >&2)"
    assert execute(tmp_path, rule("a", shell, output=["log"])).exit_code == 0
    assert (tmp_path / "log").read_text() == "told\n"


def test_a_time_limit_holds_for_what_a_process_substitution_writes_too(tmp_path):
    text = rule(
        "a",
        "echo half > out; echo x > >(sleep 331; cat > out)",
        output=["out"],
        resources={"time_limit": "1s"},
    )
    outcome = execute(tmp_path, text)
    assert "command timed out after 1 s" in outcome.failures[0][1]
    assert event_of(tmp_path, "a", "rule_failed").data["exit_code"] == 124
    assert not (tmp_path / "out").exists()
    assert not [line for line in processes_in(tmp_path) if "331" in line]


def test_what_a_failed_command_says_through_a_process_substitution_is_heard(tmp_path):
    shell = "echo why > >(for i in {1..30000}; do :; done; cat >&2); exit 3"
    assert execute(tmp_path, rule("a", shell)).exit_code == 1
    assert "why" in str(events(tmp_path, "rule_failed")[0].data)


def test_what_a_successful_job_leaves_running_ends_with_the_run(tmp_path):
    text = rule("a", "setsid sleep 306 > /dev/null 2>&1 &") + rule("b", "echo > b", output=["b"])
    assert execute(tmp_path, text).exit_code == 0
    assert processes_in(tmp_path) == []
    assert "were ended" in events(tmp_path, "warning")[0].data["message"]


def test_a_cycle_is_recorded_as_the_end_of_the_run_and_raised(tmp_path):
    text = rule("a", "x", input=["b"], output=["a"]) + rule("b", "x", input=["a"], output=["b"])
    with pytest.raises(GraphError, match="cycle"):
        execute(tmp_path, text)
    record = RunDirectory(tmp_path).read_run()
    assert record is not None
    assert (record.state, record.exit_code) == (RunState.FAILED, 2)
    assert "cycle" in (record.error or "")
    assert events(tmp_path)[-1].type == "run_failed"


def test_an_undefined_config_key_fails_before_anything_runs(tmp_path):
    text = rule("a", "touch ran") + rule("b", "echo {config.typo}")
    with pytest.raises(WorkflowError, match="typo"):
        execute(tmp_path, text)
    assert not (tmp_path / "ran").exists()


def test_the_server_s_launch_is_recorded(tmp_path):
    execute(tmp_path, DIAMOND, launch=Launch("nonce", "run-1"), settings={"jobs": 2})
    record = RunDirectory(tmp_path).read_run()
    assert record is not None
    assert (record.run_id, record.nonce, record.settings) == ("run-1", "nonce", {"jobs": 2})


def test_below_the_disk_reserve_nothing_starts_and_the_run_goes_on_when_there_is_room(
    tmp_path, monkeypatch
):
    free = iter([10, 10])
    monkeypatch.setattr("oxoflow.engine.rulerun.free_megabytes", lambda path: next(free, 5000))
    monkeypatch.setattr("oxoflow.engine.rulerun._DISK_LOOK_SECONDS", 0.01)
    assert execute(tmp_path, DIAMOND, disk_reserve_mb=100).exit_code == 0
    words = [event.data["message"] for event in events(tmp_path, "warning")]
    assert len(words) == 2
    assert "only 10 MB free" in words[0]
    assert "goes on" in words[1]


def test_settings_and_identity_stand_in_run_json_while_the_run_lasts(tmp_path):
    process = start(tmp_path, rule("a", "cat .oxo-flow/run.json > seen", output=["seen"]))
    assert process.wait(PATIENCE) == 0
    process.stderr.close()
    seen = json.loads((tmp_path / "seen").read_text())
    assert seen["state"] == "running"
    assert seen["pid"] == process.pid


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MiB, where we may mount one."""
    place = tmp_path / "small"
    place.mkdir()
    if not mount_memory(place, "1m"):
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_is_named_and_the_run_goes_on_once_there_is_room(small_disk):
    full = "until [ -e room ] || [ $(df --output=avail . | tail -n 1) = 0 ]; do sleep 0.01; done"
    text = rule("a", "echo > a", output=["a"]) + rule(
        "fill",
        "[ -e room ] || { head -c 9000000 /dev/zero > fill; sleep 60; }; echo > fill",
        input=["a"],
        output=["fill"],
    )
    text += "".join(rule(f"record{at}", full, depends_on=["a"]) for at in range(60))
    with pytest.raises(DiskTrouble, match=r"(full|No space).*run again: finished jobs are kept"):
        execute(small_disk, text)
    record = RunDirectory(small_disk).read_run()
    assert record is not None
    assert record.state is RunState.FAILED
    assert not (small_disk / "fill").exists()
    (small_disk / "room").touch()
    outcome = execute(small_disk, text)
    assert outcome.exit_code == 0
    assert records(small_disk)["a"].attempts == 1
    assert len([event for event in events(small_disk, "rule_completed") if event.job == "a"]) == 1


def test_a_wildcard_that_nothing_fills_is_warned_of_when_its_rule_runs(tmp_path):
    text = rule("a", "echo {sample} {tumor} > '{output}'", output=["{sample}.txt"])
    text += rule("b", "echo {pair_id}", depends_on=["a"])
    assert execute(tmp_path, text).exit_code == 0
    assert [event.data["message"] for event in events(tmp_path, "warning")] == [
        "rule 'a': nothing gives {sample} a value, so '{sample}.txt' is used as written; "
        "add [[sample_groups]], or samples to a group"
    ]


def test_a_removed_working_directory_is_named(tmp_path):
    place = tmp_path / "work"
    place.mkdir()
    text = rule("a", f"rm -rf {place}", output=["a"]) + rule("b", "true", depends_on=["a"])
    with pytest.raises(DiskTrouble, match="was removed while in use"):
        execute(place, text)
