"""Run small workflows for real and look at what is left: records, events, files, processes."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from oxoflow.engine.cages import Cages
from oxoflow.engine.identity import read_stat
from oxoflow.engine.plan import PlanOptions
from oxoflow.engine.process import children_of
from oxoflow.engine.recovery import end_abandoned
from oxoflow.engine.rundir import Launch, RunDirectory, RunState, write_control
from oxoflow.errors import DiskTrouble, GraphError, WorkflowError
from tests.engine.running import (
    event_of,
    events,
    execute,
    kinds,
    processes_in,
    records,
    rule,
    start,
)

DIAMOND = (
    rule("top", "echo 1 > top", output=["top"])
    + rule("left", "cat top top > left", input=["top"], output=["left"])
    + rule("right", "cat top > right", input=["top"], output=["right"])
    + rule("merge", "cat left right > merge", input=["left", "right"], output=["merge"])
)


def wait_for(path, process=None):
    """Wait until a file is there; the test's own timeout is the limit."""
    deadline = time.monotonic() + 30
    while not path.exists():
        assert process is None or process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline, f"{path} never came"
        threading.Event().wait(0.01)


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


def test_a_false_condition_skips_and_satisfies(tmp_path):
    text = rule("a", "echo > a", output=["a"], when="false") + rule(
        "b", "echo > b", output=["b"], depends_on=["a"]
    )
    assert execute(tmp_path, text).counts.succeeded == 1
    reason = event_of(tmp_path, "a", "rule_skipped").data["reason"]
    assert reason == "condition evaluated to false"


def test_a_missing_source_fails_its_job_before_the_command_and_names_the_nearest_output(tmp_path):
    text = rule("fetch", "mkdir -p raw; echo > raw/A.fastq", output=["raw/A.fastq"]) + rule(
        "align", "touch ran", input=["raw/A.fq"], output=["a.bam"]
    )
    outcome = execute(tmp_path, text, keep_going=True)
    assert outcome.exit_code == 1
    assert not (tmp_path / "ran").exists()
    assert event_of(tmp_path, "align", "rule_failed").data["error"] == (
        "rule 'align': input 'raw/A.fq' is made by no rule and is not on disk; "
        "nearest output: 'raw/A.fastq' (rule 'fetch')"
    )


SWITCH = """
[config]
trimmer = "one"

[[rules]]
name = "one"
when = "config.trimmer == 'one'"
output = ["trimmed/one.fq"]
shell = "echo 1 > trimmed/one.fq"

[[rules]]
name = "two"
when = "config.trimmer == 'two'"
output = ["trimmed/two.fq", "index/two/a.bin"]
shell = "echo 2 | tee trimmed/two.fq > index/two/a.bin"

[[rules]]
name = "align"
input = ["trimmed/one.fq", "trimmed/two.fq", "index/two"]
output = ["aligned.txt"]
shell = "cat $(ls {input} 2>ls.txt | grep fq) > aligned.txt"
"""


def test_a_job_runs_without_the_files_of_jobs_that_a_condition_switched_off(tmp_path):
    assert execute(tmp_path, SWITCH, keep_going=True).counts.failed == 0
    assert (tmp_path / "aligned.txt").read_text() == "1\n"
    assert execute(tmp_path, SWITCH).counts.succeeded == 0
    (tmp_path / "trimmed/one.fq").unlink()
    other = SWITCH.replace('"one"\n\n[[', '"two"\n\n[[')
    assert execute(tmp_path, other, keep_going=True).counts.failed == 0
    assert (tmp_path / "aligned.txt").read_text() == "2\n"


def test_a_failure_names_the_file_that_a_job_switched_off_did_not_make(tmp_path):
    text = SWITCH.replace("cat $(ls {input} 2>ls.txt | grep fq)", "cat {input}")
    assert execute(tmp_path, text, keep_going=True).counts.failed == 1
    error = event_of(tmp_path, "align", "rule_failed").data["error"]
    assert "(input 'trimmed/two.fq' was not there: the job that makes it was skipped)" in error


def test_an_optional_job_is_skipped_without_the_file_of_a_job_switched_off(tmp_path):
    text = SWITCH.replace('input = ["trimmed/one', 'optional = true\ninput = ["trimmed/one')
    assert execute(tmp_path, text).counts.skipped == 2
    reason = event_of(tmp_path, "align", "rule_skipped").data["reason"]
    assert reason == "optional inputs missing: trimmed/two.fq, index/two"


def test_an_input_that_an_earlier_job_made_unannounced_is_found(tmp_path):
    text = rule("a", "echo > a; echo > extra", output=["a"]) + rule(
        "b", "cp extra b", input=["a", "extra"], output=["b"]
    )
    assert execute(tmp_path, text).exit_code == 0


def test_without_keep_going_the_first_failure_ends_the_jobs_under_way(tmp_path):
    text = rule("slow", "echo half > slow; sleep 305", output=["slow"]) + rule(
        "bad", "until [ -e slow ]; do sleep 0.01; done; echo why >&2; exit 3", output=["bad"]
    )
    outcome = execute(tmp_path, text)
    assert outcome.exit_code == 1
    assert outcome.error == "job 'bad' failed: exit code 3"
    assert event_of(tmp_path, "bad", "rule_failed").data["stderr_tail"] == "why\n"
    slow = event_of(tmp_path, "slow", "rule_failed").data
    assert slow["error"] == "ended because the run was stopped"
    assert [job for job, _ in outcome.failures] == ["bad"]
    assert (outcome.counts.failed, outcome.counts.interrupted) == (1, 1)
    assert not (tmp_path / "slow").exists()
    assert processes_in(tmp_path) == []


@pytest.mark.parametrize(
    ("shell", "code", "words"),
    [
        ("no-such-program-x", 127, "not found"),
        ("kill -SEGV $$", 139, "SIGSEGV"),
        ("kill -KILL $$", 137, "out of memory"),
        ("exit 42", 42, "exit code 42"),
        ("echo no >&2; exit 1", 1, "a general error"),
        ("[ -e nothing ]", 1, "exit code 1: it gave no reason; often a test was false"),
        ("echo x > /dev/full", 1, "exit code 1: the disk is full; free some space"),
        ("echo 'tar: x: Read-only file system' >&2; exit 2", 2, "the file system is read-only"),
        ("echo 'cp: read: Input/output error' >&2; exit 1", 1, "the disk failed"),
        ("echo MemoryError >&2; exit 1", 1, "memory ran out"),
    ],
)
def test_failures_are_told_in_words(tmp_path, shell, code, words):
    execute(tmp_path, rule("a", shell))
    failed = event_of(tmp_path, "a", "rule_failed").data
    assert failed["exit_code"] == code
    assert words in failed["error"]
    assert records(tmp_path)["a"].exit_code == code


def test_hooks_run_around_the_command_with_its_variables(tmp_path):
    text = rule(
        "a",
        "echo command >> log; echo > a",
        output=["a"],
        pre_exec="echo before $WHO >> log",
        on_success="echo after $WHO >> log",
        envvars={"WHO": "me"},
    )
    assert execute(tmp_path, text).exit_code == 0
    assert (tmp_path / "log").read_text() == "before me\ncommand\nafter me\n"


def test_a_failed_pre_exec_hook_fails_the_job_without_retry(tmp_path):
    text = rule("a", "touch ran", pre_exec="exit 5", retries=3, on_failure="touch hooked")
    execute(tmp_path, text)
    failed = event_of(tmp_path, "a", "rule_failed").data
    assert (failed["exit_code"], failed["error"]) == (5, "pre_exec hook failed: exit code 5")
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "hooked").exists()


def test_temporary_outputs_of_a_failed_job_are_removed_and_protected_ones_stay(tmp_path):
    (tmp_path / "safe").write_text("old")
    text = rule(
        "a",
        "echo x > tmp; echo new > safe; exit 1",
        output=["safe"],
        temp_output=["tmp"],
        protected_output=["safe"],
    )
    execute(tmp_path, text, plan=PlanOptions(rerun=True))
    assert not (tmp_path / "tmp").exists()
    assert (tmp_path / "safe").read_text() == "new\n"


def test_memory_grows_after_an_out_of_memory_end_when_the_rule_asks_for_it(tmp_path):
    text = rule(
        "a",
        "echo {memory} {effective_memory_mb} >> asked; [ $(wc -l < asked) = 3 ] || kill -KILL $$",
        memory="100M",
        retries=4,
        retry_memory_factor=2.0,
    )
    outcome = execute(tmp_path, text, max_memory_mb=1000)
    assert outcome.exit_code == 0
    assert (tmp_path / "asked").read_text() == "100M 100\n200M 200\n400M 400\n"
    assert records(tmp_path)["a"].attempts == 3


def test_what_a_job_uses_is_measured(tmp_path):
    # it stays long enough for a sample: the runner of this test is itself nearly as large
    script = "import time; x = bytearray(200_000_000); x[::4096] = x[::4096]; time.sleep(0.4); "
    script += "open('o','w').write('a' * 100_000)"
    text = rule("a", f'{sys.executable} -c "{script}"', output=["o"])
    assert execute(tmp_path, text).exit_code == 0
    record = records(tmp_path)["a"]
    assert record.peak_mb is not None
    assert 190 < record.peak_mb < 400
    assert record.cpu_s is not None
    assert 0 < record.cpu_s < 10
    assert record.written_bytes is not None
    assert 100_000 <= record.written_bytes < 1_000_000


def test_the_memory_of_a_small_job_is_not_that_of_the_runner(tmp_path):
    ballast = bytearray(300_000_000)
    ballast[::4096] = ballast[::4096]
    execute(tmp_path, rule("a", "true"))
    assert event_of(tmp_path, "a", "rule_completed").data["peak_mb"] < 50
    assert len(ballast) > 0


def test_no_oxoflow_variable_reaches_a_rule_and_the_marker_does(tmp_path):
    environ = {
        "PATH": os.environ["PATH"],
        "OXO_FLOW_ADMIN_PASSWORD": "secret",
        "OXIFY_PORT": "1",
        "KEPT": "yes",
    }
    text = rule("a", "env > env; command -v oxoflow > launcher || true", output=["env"])
    outcome = execute(tmp_path, text, environ=environ)
    lines = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines())
    assert lines["OXORUN_ID"] == outcome.run_id
    assert lines["KEPT"] == "yes"
    assert lines["PWD"] == str(tmp_path)
    assert not any(name.startswith(("OXO_FLOW_", "OXIFY_")) for name in lines)
    assert os.path.join(sys.prefix, "bin") not in lines["PATH"].split(":")
    assert lines["PATH"].endswith("/.oxo-flow/bin")


def test_logs_are_kept_per_job_and_copied_line_by_line(tmp_path):
    text = rule("qc::a", "echo one; echo two >&2; printf three")
    execute(tmp_path, text)
    logs = tmp_path / ".oxo-flow/logs"
    assert (logs / "qc%3A%3Aa.out").read_text() == "one\nthree"
    assert (logs / "qc%3A%3Aa.err").read_text() == "two\n"
    copied = (tmp_path / "execution.log").read_text().splitlines()
    printed, told = copied[:3], copied[3:]
    assert sorted(printed) == ["[qc::a] one", "[qc::a] three", "[qc::a] two"]
    assert [line.rpartition("  ")[0] for line in told[:-1]] == ["oxoflow: [1/1] done     qc::a"]
    assert told[-1].startswith("oxoflow: w: success, 1 job done in ")


def test_a_log_tells_of_failures_after_what_the_job_said_itself(tmp_path):
    execute(tmp_path, rule("a", "echo why >&2; exit 3", output=["a"]))
    said, failed, end = (tmp_path / "execution.log").read_text().splitlines()
    assert said == "[a] why"
    assert failed.startswith("oxoflow: [1/1] FAILED   a  exit code 3")
    assert end.startswith("oxoflow: w: failed, 0 jobs done, 1 failed in ")


def test_a_log_tells_why_a_run_could_not_begin(tmp_path):
    text = rule("a", "x", input=["b"], output=["a"]) + rule("b", "x", input=["a"], output=["b"])
    with pytest.raises(GraphError):
        execute(tmp_path, text)
    assert "cycle" in (tmp_path / "execution.log").read_text()


def test_a_command_longer_than_an_argument_may_be_goes_through_a_file(tmp_path):
    text = rule("a", f"true {'x' * 200_000}\necho > a", output=["a"])
    assert execute(tmp_path, text).exit_code == 0


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


def test_pause_starts_nothing_new_until_resume(tmp_path):
    control = RunDirectory(tmp_path).control
    text = rule("a", "echo > started; until [ -e go ]; do sleep 0.01; done") + rule(
        "b", "echo > b", depends_on=["a"]
    )
    done = threading.Event()
    outcomes = []

    def work():
        outcomes.append(execute(tmp_path, text, launch=Launch("n", "r")))
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    wait_for(tmp_path / "started")
    write_control(control, {"type": "pause"})
    wait_until(lambda: kinds(tmp_path)["run_paused"] == 1)
    (tmp_path / "go").touch()
    wait_until(lambda: kinds(tmp_path)["rule_completed"] == 1)
    assert not done.wait(0.3)
    assert not (tmp_path / "b").exists()
    write_control(control, {"type": "resume"})
    thread.join()
    assert outcomes[0].exit_code == 0
    assert kinds(tmp_path)["run_resumed"] == 1


def test_a_message_to_an_earlier_run_is_dropped(tmp_path):
    RunDirectory(tmp_path).create()
    write_control(RunDirectory(tmp_path).control, {"type": "cancel", "run_id": "old"})
    assert execute(tmp_path, DIAMOND).exit_code == 0
    assert os.listdir(RunDirectory(tmp_path).control) == []


def wait_until(holds):
    """Wait until something is true; the deadline only ends a test that would hang."""
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)


ESCAPES = """
setsid sleep 307 &
trap '' TERM
mark=$PWD/escape-marker
env -i setsid sleep 308 & (setsid sleep 309 &) ; (env -i setsid sleep 310 &)
bash -c "trap '' TERM; exec -a '$mark' sleep 311" &
echo half > out
sleep 0.2
echo > ready
while true; do sleep 312; done
"""


@pytest.mark.parametrize("how", ["message", "signal"])
def test_cancel_ends_traps_detached_children_and_double_forks(tmp_path, how):
    process = start(tmp_path, rule("a", ESCAPES, output=["out"]))
    wait_for(tmp_path / "ready", process)
    if how == "message":
        write_control(
            RunDirectory(tmp_path).control,
            {"type": "cancel", "run_id": RunDirectory(tmp_path).read_run().run_id},
        )
    else:
        process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    assert process.wait(30) == 143
    process.stderr.close()
    assert time.monotonic() - began < 20
    record = RunDirectory(tmp_path).read_run()
    assert record is not None
    assert (record.state, record.left) == (RunState.CANCELLED, 0)
    names = {ended["name"] for ended in record.ended}
    assert {"sleep", "bash"} <= names
    assert {ended["signal"] for ended in record.ended} == {"SIGTERM", "SIGKILL"}
    last = events(tmp_path)[-1]
    assert last.type == "run_cancelled"
    assert last.data["ended"] == [dict(ended) for ended in record.ended]
    assert processes_in(tmp_path) == []
    assert not (tmp_path / "out").exists()


def test_interrupting_twice_does_not_wait_for_the_grace(tmp_path):
    text = rule("a", "trap '' TERM; echo > ready; while true; do sleep 313; done")
    process = start(tmp_path, text)
    wait_for(tmp_path / "ready", process)
    process.send_signal(signal.SIGINT)
    threading.Event().wait(0.3)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    process.stderr.close()
    assert time.monotonic() - began < 4.5
    assert processes_in(tmp_path) == []


def test_what_a_killed_runner_leaves_is_ended_at_once_by_its_watchdog(tmp_path):
    text = rule(
        "a",
        "trap '' TERM; setsid sleep 333 & env -i setsid sleep 334 & "
        "(setsid env -i bash -c 'sleep 335 & sleep 336' &); echo > ready; sleep 337",
    )
    process = start(tmp_path, text)
    wait_for(tmp_path / "ready", process)
    (dog,) = watchdogs(process)
    process.kill()
    process.wait()
    process.stderr.close()
    wait_until(lambda: processes_in(tmp_path) == [])
    wait_until(lambda: has_ended(dog))
    record = RunDirectory(tmp_path).read_run()
    assert record is not None
    assert record.state is RunState.RUNNING, "what is recorded is for the next run to say"


def test_a_watchdog_leaves_alone_what_is_not_of_its_run(tmp_path):
    text = rule("a", "echo > ready; until [ -e go ]; do sleep 0.02; done; echo > a", output=["a"])
    process = start(tmp_path, text)
    wait_for(tmp_path / "ready", process)
    (dog,) = watchdogs(process)
    record = RunDirectory(tmp_path).read_run()
    assert record is not None
    end_abandoned(RunDirectory(tmp_path), "another run")
    end_abandoned(RunDirectory(tmp_path), record.run_id)  # its runner lives and holds the lock
    (tmp_path / "go").touch()
    assert process.wait(30) == 0
    process.stderr.close()
    assert has_ended(dog)


def has_ended(pid):
    stat = read_stat(pid)
    return stat is None or stat.state in "ZX"


def watchdogs(process):
    """The pids of the watchdogs that a runner has."""
    found = []
    for pid in children_of(process.pid):
        with open(f"/proc/{pid}/cmdline") as handle:
            if "oxoflow.engine.watchdog" in handle.read():
                found.append(pid)
    return found


def test_a_dead_runner_s_jobs_are_ended_and_their_outputs_removed_by_the_next_run(tmp_path):
    text = rule("done", "echo > done", output=["done"]) + rule(
        "a",
        "[ -e again ] && { echo whole > out; exit; }; echo half > out; "
        "setsid sleep 314 & env -i setsid sleep 315 & echo > ready; sleep 316",
        output=["out"],
        depends_on=["done"],
    )
    process = start(tmp_path, text)
    wait_for(tmp_path / "ready", process)
    wait_until(lambda: kinds(tmp_path)["rule_started"] == 2)
    (dog,) = watchdogs(process)
    os.kill(dog, signal.SIGKILL)
    process.kill()
    process.wait()
    process.stderr.close()
    assert processes_in(tmp_path) != []
    assert (tmp_path / "out").read_text() == "half\n"
    (tmp_path / "again").touch()
    outcome = execute(tmp_path, text)
    assert outcome.exit_code == 0
    assert processes_in(tmp_path) == []
    assert (tmp_path / "out").read_text() == "whole\n"
    assert outcome.counts.skipped == 1, "what was done is not done again"
    assert not (tmp_path / "out.oxo-failed").exists()


def test_a_result_that_was_being_overwritten_when_the_power_went_is_set_aside(tmp_path):
    execute(tmp_path, rule("a", "echo one > out", output=["out"]))
    text = rule("a", "echo two-half > out; echo > ready; sleep 317", output=["out"])
    process = start(tmp_path, text)
    wait_for(tmp_path / "ready", process)
    process.kill()
    process.wait()
    process.stderr.close()
    outcome = execute(tmp_path, rule("a", "echo one > out", output=["out"]))
    assert outcome.counts.succeeded == 1
    assert (tmp_path / "out").read_text() == "one\n"
    assert (tmp_path / "out.oxo-failed").read_text() == "two-half\n"
    assert processes_in(tmp_path) == []


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
    assert process.wait(30) == 0
    process.stderr.close()
    seen = json.loads((tmp_path / "seen").read_text())
    assert seen["state"] == "running"
    assert seen["pid"] == process.pid


HUNGRY = f"{sys.executable} -c 'x = bytearray(300_000_000); x[::4096] = x[::4096]'"


@pytest.mark.parametrize("kind", ["cgroup", "rlimit"])
def test_enforced_memory_ends_who_takes_more_and_lets_others_be(tmp_path, monkeypatch, kind):
    if kind == "rlimit":
        monkeypatch.setattr("oxoflow.engine.cages._make_top", lambda top: False)
    else:
        probe = Cages("probe")
        probe.close()
        if probe.kind != "cgroup":
            pytest.skip("control groups cannot be made here")
    text = rule("greedy", HUNGRY, memory="100M") + rule("modest", "true", memory="100M")
    outcome = execute(tmp_path, text, enforce_memory=True, keep_going=True)
    assert outcome.counts.succeeded == 1
    failed = event_of(tmp_path, "greedy", "rule_failed").data
    if kind == "cgroup":
        assert "used more than the 100 MB" in failed["error"]
    else:
        assert "MemoryError" in failed["stderr_tail"]


def test_enforced_memory_grows_until_it_is_enough(tmp_path):
    text = rule("a", HUNGRY, memory="150M", retries=3, retry_memory_factor=2.0)
    assert execute(tmp_path, text, enforce_memory=True).exit_code == 0
    assert 2 <= (records(tmp_path)["a"].attempts or 0) <= 3


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MiB, where we may mount one."""
    place = tmp_path / "small"
    place.mkdir()
    options = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if subprocess.run(options, stderr=subprocess.DEVNULL).returncode != 0:
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


def test_stopping_a_run_gives_up_a_job_that_waits_for_more_memory(tmp_path):
    text = rule(
        "hungry",
        "echo half > out; until [ -e busy ]; do sleep 0.01; done; kill -KILL $$",
        output=["out"],
        memory="600M",
        retries=1,
        retry_memory_factor=1.5,
    ) + rule("holder", "touch busy; sleep 0.6; exit 3", memory="300M")
    outcome = execute(tmp_path, text, max_memory_mb=1000)
    assert [job for job, _ in outcome.failures] == ["holder"]
    assert outcome.counts.interrupted == 1
    assert not (tmp_path / "out").exists()
    assert records(tmp_path)["hungry"].status == "failed"


def test_fact_70_sensitive_values_are_starred_in_logs_records_and_events(tmp_path):
    text = (
        "[config]\nkey = {default = 'hunter2-hunter2', sensitive = true}\n"
        + rule("good", "echo {config.key}; echo {config.key} >&2; printf hunter2-; printf hunter2")
        + rule("bad", "echo {config.key} >&2; exit 1")
    )
    execute(tmp_path, text, keep_going=True)
    assert (tmp_path / ".oxo-flow/logs/good.out").read_text() == "***\n***"
    assert event_of(tmp_path, "bad", "rule_failed").data["stderr_tail"] == "***\n"
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert b"hunter2-hunter2" not in path.read_bytes(), path


def test_jobs_that_never_began_are_not_counted_as_stopped(tmp_path):
    shells = ["false" if i == 90 else f"touch {i}" for i in range(150)]
    rules = [rule(f"r{i}", shell, output=[f"{i}"]) for i, shell in enumerate(shells)]
    counts = execute(tmp_path, "".join(rules)).counts
    assert counts.failed == 1
    assert counts.interrupted <= 1  # of two slots, the other one
