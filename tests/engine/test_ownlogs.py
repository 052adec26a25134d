"""What a command that failed wrote into a log of its own is told with the failure."""

import os
import time

import pytest

from oxoflow.engine.ownlogs import LogEnd, log_ends
from tests.engine.running import event_of, execute, rule


def failed(tmp_path, name="a"):
    return event_of(tmp_path, name, "rule_failed").data


def test_the_declared_log_of_a_job_that_failed_is_told(tmp_path):
    text = rule("a", "mkdir -p logs; cat nothing 2> {log}", output=["a"], log="logs/{config.n}.log")
    execute(tmp_path, f'[config]\nn = "x"\n{text}')
    assert failed(tmp_path)["error"].endswith("say more; see 'logs/x.log'")
    assert "the end of 'logs/x.log':\ncat: nothing: No such" in failed(tmp_path)["stderr_tail"]
    assert "[a] cat: nothing: No such" in (tmp_path / "execution.log").read_text()


def test_what_a_log_says_decides_what_is_said_of_the_failure(tmp_path):
    execute(tmp_path, rule("a", "echo MemoryError > {log}; exit 1", log="a.log"))
    assert failed(tmp_path)["error"].endswith(
        "memory ran out; give the rule more, or run fewer jobs at once; see 'a.log'"
    )


@pytest.mark.parametrize(
    "shell",
    [
        "cat nothing 2> my.log",
        "cat nothing &> my.log",
        "cat nothing > my.log 2>&1 || exit 1",
        "{{ cat nothing; }} 2>>'my.log'",
    ],
)
def test_a_log_that_only_the_command_names_is_found(tmp_path, shell):
    execute(tmp_path, rule("a", shell.replace("{{", "{").replace("}}", "}")))
    assert failed(tmp_path)["error"].endswith("see 'my.log'")


def test_a_command_that_succeeds_without_its_output_has_its_log_told_too(tmp_path):
    execute(tmp_path, rule("a", "echo no license > {log}", output=["x"], log="a.log"))
    assert failed(tmp_path)["error"].endswith("its command; see 'a.log'")
    assert "no license" in failed(tmp_path)["stderr_tail"]


def test_what_is_in_the_jobs_own_output_is_not_told_twice(tmp_path):
    execute(tmp_path, rule("a", "cat nothing 2>&1 | tee {log} >&2; exit 1", log="a.log"))
    assert "see" not in failed(tmp_path)["error"]
    assert failed(tmp_path)["stderr_tail"].count("nothing") == 1


def test_what_was_only_printed_is_a_reason_too(tmp_path):
    execute(tmp_path, rule("a", "echo 'ERROR: bad index'; exit 1"))
    assert "gave no reason" not in failed(tmp_path)["error"]
    assert failed(tmp_path)["stderr_tail"] == "ERROR: bad index\n"


def test_secrets_in_a_log_are_starred_where_it_is_told(tmp_path):
    config = "[config]\nkey = {default = 'hunter2-hunter2', sensitive = true}\n"
    execute(tmp_path, config + rule("a", "echo {config.key} > {log}; exit 1", log="a.log"))
    assert "hunter2" not in (tmp_path / "execution.log").read_text()
    assert failed(tmp_path)["stderr_tail"] == "oxoflow: the end of 'a.log':\n***\n"


def test_only_what_was_written_in_time_counts_and_only_the_end_of_it(tmp_path):
    now = time.time()
    (tmp_path / "old.log").write_text("old\n")
    os.utime(tmp_path / "old.log", (now - 60, now - 60))
    assert log_ends(str(tmp_path), "", "old.log", now) == ()
    (tmp_path / "new.log").write_text("".join(f"line {at}\n" for at in range(1000)))
    (found,) = log_ends(str(tmp_path), "", "new.log", now)
    assert found.text.splitlines() == [f"line {at}" for at in range(985, 1000)]


def test_files_that_are_no_logs_are_left_alone(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dir").mkdir()
    (tmp_path / "empty").write_text("")
    command = "x 2> pipe; x 2> dir; x 2> empty; x 2>/dev/null; x 2>&1; x 2> gone; x 2> $LOG"
    assert log_ends(str(tmp_path), command, None, 0.0) == ()
    (tmp_path / "log").write_text("why\n")
    assert log_ends(str(tmp_path), "x 2> log; x 2> log", None, 0.0) == (LogEnd("log", "why"),)
