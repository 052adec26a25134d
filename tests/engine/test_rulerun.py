"""Carry jobs out or not: conditions, missing files, failures, and what is counted."""

import pytest

from tests.engine.running import event_of, execute, processes_in, records, rule


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
    assert "(input 'trimmed/two.fq' was not there: the job that makes it was skipped, or " in error


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


def test_stopping_a_run_gives_up_a_job_that_waits_for_more_memory(tmp_path):
    text = rule(
        "hungry",
        "echo half > out; until [ -e busy ]; do sleep 0.01; done; kill -KILL $$",
        output=["out"],
        memory="600M",
        retries=1,
        retry_memory_factor=1.5,
    ) + rule(
        "holder",
        "touch busy; until grep -q will_retry .oxo-flow/events.jsonl; do sleep 0.02; done; exit 3",
        memory="300M",
    )
    outcome = execute(tmp_path, text, max_memory_mb=1000)
    assert [job for job, _ in outcome.failures] == ["holder"]
    assert outcome.counts.interrupted == 1
    assert not (tmp_path / "out").exists()
    assert records(tmp_path)["hungry"].status == "failed"


def test_jobs_that_never_began_are_not_counted_as_stopped(tmp_path):
    shells = ["false" if i == 90 else f"touch {i}" for i in range(150)]
    rules = [rule(f"r{i}", shell, output=[f"{i}"]) for i, shell in enumerate(shells)]
    counts = execute(tmp_path, "".join(rules)).counts
    assert counts.failed == 1
    assert counts.interrupted <= 2  # no more than there are slots


def test_only_some_of_many_jobs_without_inputs_are_told_what_may_be_meant(tmp_path):
    samples = [f"S{number}" for number in range(30)]
    (tmp_path / "raw").mkdir()
    for sample in samples:
        (tmp_path / f"raw/{sample}.fastq").write_text("")
    group = f"[[sample_groups]]\nname = 'g'\nsamples = {samples}\n"
    text = group + rule("a", "cp {input} {output}", input=["raw/{sample}.fq"], output=["{sample}"])
    outcome = execute(tmp_path, text, keep_going=True)
    told = [error for _, error in outcome.failures]
    assert all("is made by no rule and is not on disk; " in error for error in told)
    assert 20 <= sum("did you mean" in error for error in told) < 30
