"""The verbs that run, steer and judge, as processes of their own."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import time

import pytest

from oxoflow.engine.events import read_events
from oxoflow.engine.rundir import lock_holder
from tests.cli.conftest import command, environment
from tests.engine.running import processes_in, watchdog_of
from tests.patience import PATIENCE, wait_until

FLOW = """[workflow]
name = "w"
[config]
word = "hello"
[[rules]]
name = "a"
output = ["a.txt"]
shell = "echo {config.word} > {output}; echo told >&2"
[[rules]]
name = "b"
input = ["a.txt"]
output = ["b.txt"]
shell = "cat {input} > {output}"
[[rules]]
name = "c"
output = ["c.txt"]
shell = "test -e ok && touch {output} || { echo no luck >&2; exit 3; }"
"""
SLOW = """[workflow]
name = "slow"
[[rules]]
name = "first"
output = ["first.txt"]
shell = "touch first.txt; while [ ! -e go ]; do sleep 0.05; done"
[[rules]]
name = "second"
input = ["first.txt"]
output = ["second.txt"]
shell = "touch second.txt"
"""


@pytest.fixture
def flow(here):
    (here / "main.oxoflow").write_text(FLOW)
    return here


@pytest.fixture
def started(here):
    """A run under way in this directory; what is left of it is ended."""
    (here / "main.oxoflow").write_text(SLOW)
    runs = []

    def start(*words):
        run = subprocess.Popen(
            command("run", *words),
            cwd=here,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        runs.append(run)
        wait_for_event(here, "rule_started", run)
        return run

    yield start
    for run in runs:
        if run.poll() is None:
            run.send_signal(signal.SIGTERM)
        run.communicate(timeout=PATIENCE)


def wait_for_event(here, type, run=None):
    def told():
        ended = run is not None and run.poll() is not None
        events, _ = read_events(here / ".oxo-flow/events.jsonl")
        if any(event.type == type for event in events):
            return True
        assert not ended, f"the run ended: {run.communicate()[0]}"
        return False

    wait_until(told)


def wait_for_file(path):
    wait_until(path.exists)


def test_a_run_its_failure_and_its_repair(flow, shell):
    told = shell("run", "-k")
    assert told.code == 1
    assert "done     b" in told.out
    assert "FAILED   c" in told.out
    assert "    no luck" in told.out
    assert "w: failed, 2 jobs done, 1 failed" in told.out
    (failure,) = shell("retry", "--json").json["failures"]
    assert (failure["job"], failure["stderr_tail"]) == ("c", "no luck\n")
    assert shell("status").code == 1
    assert shell("logs", "c").out == "no luck\n"
    assert shell("logs", "a", "--json").json == {"job": "a", "stdout": "", "stderr": "told\n"}
    records = {row["job"]: row for row in shell("records", "--json").json["records"]}
    assert (records["c"]["status"], records["c"]["exit_code"]) == ("failed", 3)
    assert records["a"]["cpu_s"] is not None
    (flow / "ok").touch()
    told = shell("retry")
    assert told.code == 0
    assert "w: success, 1 job done" in told.out
    told = shell("run", "--json")
    assert told.json["status"] == "completed"
    assert told.json["results"]["skipped"] == 3
    assert shell("retry").out.startswith("nothing failed")
    assert shell("retry", "--json").json["status"] == "nothing failed"
    lines = shell("records").out.splitlines()
    assert lines[0].startswith("job\trule\tstatus\texit_code")
    assert len(lines) == 4


def test_settings_are_replayed_and_may_be_changed(flow, shell):
    (flow / "ok").touch()
    assert shell("run", "word=bye", "-j", "2").code == 0
    assert (flow / "a.txt").read_text() == "bye\n"
    assert "0 jobs done, 3 skipped" in shell("resume").out
    assert "2 jobs done" in shell("resume", "--word", "again").out
    assert (flow / "b.txt").read_text() == "again\n"
    told = shell("retry", "--from", "a")
    assert "1 job done, 1 skipped" in told.out  # b's input came out the same
    assert "0 jobs done, 3 skipped" in shell("resume").out


def test_sensitive_values_are_not_recorded(flow, shell):
    (flow / "ok").touch()
    (flow / "main.oxoflow").write_text(
        FLOW.replace('word = "hello"', 'word = { default = "x", sensitive = true }')
    )
    assert shell("run", "word=s3cret").code == 0
    for path in (flow / ".oxo-flow").rglob("*"):
        if path.is_file():
            assert b"s3cret" not in path.read_bytes(), path


def test_an_edit_is_accepted_from_the_command_line(flow, shell):
    (flow / "ok").touch()
    assert shell("run").code == 0
    (flow / "main.oxoflow").write_text(FLOW.replace("echo {config.word}", "echo  {config.word}"))
    assert "run      a" in shell("plan").out
    assert shell("accept", "a").out == "a\n1 result accepted\n"
    assert "run " not in shell("plan").out
    told = shell("plan", "--why", "a").out
    assert re.search(r"changed since \S+ accepted them on 20\d\d-", told)
    assert shell("run", "--force", "a").code == 0
    assert "accepted" not in shell("plan", "--why", "a").out
    assert shell("accept", "nope").code == 2


def test_the_short_flags_of_the_original_are_known(flow, shell):
    (flow / "there").mkdir()
    (flow / "there/ok").touch()
    assert shell("run", "main.oxoflow", "-d", "there", "-r", "1", "-j2").code == 0
    assert (flow / "there/c.txt").exists()
    assert shell("status", "-d", "there").out.startswith(f"{flow}/there: ")
    assert shell("retry", "-d", "there").code == 0


def test_clean_lists_and_with_force_deletes(flow, shell):
    (flow / "ok").touch()
    assert shell("run").code == 0
    (flow / "mine.txt").touch()
    told = shell("clean")
    assert told.out.splitlines()[:3] == ["a.txt", "b.txt", "c.txt"]
    assert (flow / "a.txt").exists()
    assert shell("clean", "--force", "--json").json["deleted"] is True
    assert not (flow / "a.txt").exists()
    assert (flow / "mine.txt").exists()


def test_clean_spares_what_is_protected_or_elsewhere(here, shell):
    outside = here.parent / f"{here.name}-outside"
    outside.mkdir()
    (outside / "x.txt").touch()
    (here / "link").symlink_to(outside)
    (here / "kept.txt").touch()
    (here / "d").mkdir()
    (here / "main.oxoflow").write_text(
        '[workflow]\nname = "w"\n[[rules]]\nname = "a"\nshell = "true"\n'
        f'output = ["link/x.txt", "kept.txt", "{outside}/x.txt", "../x", "d/", ".oxo-flow"]\n'
        'protected_output = ["kept.txt"]\n'
    )
    said = shell("clean", "--force")
    assert said.out.splitlines()[0] == "d/"
    assert "protected or outside the working directory: link/x.txt, kept.txt, " in said.err
    assert (outside / "x.txt").exists()
    assert (here / "kept.txt").exists()
    assert not (here / "d").exists()


def test_clean_spares_protected_files_of_a_wildcard_a_glob_and_a_directory(here, shell):
    for name in ("o/x.bam", "g/1.txt", "g/keep.txt", "d/1.txt", "d/keep.txt"):
        (here / name).parent.mkdir(exist_ok=True)
        (here / name).touch()
    (here / "main.oxoflow").write_text(
        '[workflow]\nname = "w"\n[[values]]\nname = "s"\nvalues = ["x"]\n'
        '[[rules]]\nname = "a"\nshell = "true"\noutput = ["o/{s}.bam"]\n'
        'protected_output = ["./o/{s}.bam"]\n'
        '[[rules]]\nname = "b"\nshell = "true"\noutput = ["g/*.txt", "d/"]\n'
        'protected_output = ["g/keep.txt", "d/keep.txt"]\n'
    )
    assert shell("clean", "--force").out.splitlines()[:-1] == ["g/1.txt"]
    assert all((here / name).exists() for name in ("o/x.bam", "g/keep.txt", "d/keep.txt"))


def test_a_workflow_that_cannot_be_planned_leaves_no_trace(flow, shell):
    (flow / "main.oxoflow").write_text(FLOW.replace("{config.word}", "{config.wrod}"))
    told = shell("run")
    assert told.code == 2
    assert "did you mean 'config.word'?" in told.err
    assert not (flow / ".oxo-flow").exists()


def test_logs_tell_of_silence_of_rules_and_of_jobs_that_never_started(here, shell):
    (here / "main.oxoflow").write_text(
        '[workflow]\nname = "w"\n[[values]]\nname = "i"\nvalues = [1, 2]\n'
        "[[rules]]\nname = 'a'\noutput = ['{i}']\nshell = 'touch {output}'\n"
        "[[rules]]\nname = 'b'\ninput = ['none.fq']\nshell = 'cat {input}'\n"
    )
    told = shell("run", "-k")
    assert told.out.count("none.fq") == 2  # as it fails, and in the summary
    assert "oxoflow logs b" not in told.out
    assert "job 'b' has no log: rule 'b': input 'none.fq'" in shell("logs", "b").err
    silent = shell("logs", "a_i_1")
    assert (silent.code, silent.out) == (0, "")
    assert "job 'a_i_1' wrote nothing to stdout or stderr" in silent.err
    assert "'a' is a rule, and 2 jobs of it ran: a_i_1, a_i_2; name one" in shell("logs", "a").err


def test_the_command_for_the_whole_log_can_be_pasted_whatever_the_job_is_called(here, shell):
    (here / "main.oxoflow").write_text(
        "[workflow]\nname = 'w'\n[[sample_groups]]\nname = 'g'\nsamples = ['a $HOME']\n"
        "[[rules]]\nname = 'r'\noutput = ['{sample}']\nshell = 'echo told >&2; exit 3'\n"
    )
    assert "(all of it: oxoflow logs 'r_g_a $HOME')" in shell("run").out
    assert shell("logs", "r_g_a $HOME").out == "told\n"


def test_the_summary_says_an_error_once_and_leaves_the_terminal_alone(here, shell):
    (here / "main.oxoflow").write_text(
        "[workflow]\nname = 'w'\n[[rules]]\nname = 'a'\noutput = ['a.txt']\n"
        'shell = """printf "\\\\033[31mred\\\\033[0m\\\\n" >&2"""\n'
    )
    told = shell("run")
    assert "\n    red\n" in told.out
    assert "\n    oxoflow: output validation" not in told.out
    assert "\x1b" not in told.out
    assert "(all of it: oxoflow logs a)" in told.out


def test_status_tells_stopped_from_failed_and_counts_only_this_run_while_it_lives(
    started, here, shell
):
    run = started()
    wait_for_file(here / "first.txt")
    shell("cancel")
    run.wait(PATIENCE)
    told = shell("status")
    assert (told.code, "1 stopped" in told.out, "  stopped  first" in told.out) == (0, True, True)
    assert "failed" not in told.out
    assert "it failed or was stopped the last time" in shell("plan").out
    run = started()
    wait_for_file(here / "first.txt")
    found = shell("status", "--json").json
    assert (found["jobs"]["started"], found["jobs"]["stopped"]) == (1, 0)
    assert found["running"][0]["finished_at"] is None
    assert found["running"][0]["exit_code"] is None
    (here / "go").touch()
    assert run.wait(PATIENCE) == 0


def test_a_run_is_cancelled_with_a_receipt(started, here, shell):
    run = started()
    assert shell("status", "--json").json["state"] == "running"
    second = shell("run")
    assert second.code == 1
    assert "is in use by a run of process" in second.err
    assert "is in use" in shell("clean", "--force").err
    assert "is at work" in shell("resume").err
    wait_for_file(here / "first.txt")  # an event of a start comes before the process
    told = shell("cancel", "--json")
    assert told.code == 0
    assert told.json["status"] == "cancelled"
    assert told.json["left"] == 0
    assert {"bash"} <= {process["name"] for process in told.json["ended"]}
    assert {"SIGTERM"} == {process["signal"] for process in told.json["ended"]}
    assert run.wait(PATIENCE) == 130 or run.returncode == 143
    assert not (here / "first.txt").exists()
    assert lock_holder(here / ".oxo-flow/lock") is None
    assert shell("status", "--json").json["state"] == "cancelled"


def test_a_cancel_ends_what_a_killed_runner_left(started, here, shell):
    run = started()
    wait_for_file(here / "first.txt")
    os.kill(watchdog_of(run), signal.SIGKILL)  # it would do it at once
    run.kill()
    run.communicate()
    assert any("first.txt" in line for line in processes_in(here))
    assert shell("status", "--json").json["state"] == "lost"
    told = shell("cancel", "--json")
    assert (told.code, told.json["status"], told.json["left"]) == (0, "lost", 0)
    assert "bash" in {process["name"] for process in told.json["ended"]}
    assert not any("first.txt" in line for line in processes_in(here))
    (here / "go").touch()
    assert shell("resume").code == 0


def test_a_paused_run_starts_nothing_until_resumed(started, here, shell):
    run = started()
    assert shell("pause").code == 0
    wait_for_event(here, "run_paused")
    assert shell("status", "--json").json["state"] == "paused"
    (here / "go").touch()
    wait_for_event(here, "rule_completed")
    assert not (here / "second.txt").exists()
    assert shell("resume").out == "resumed\n"
    assert run.wait(PATIENCE) == 0
    assert (here / "second.txt").exists()


def test_a_runner_waits_for_the_servers_word_and_does_nothing_without_it(flow, here):
    reader, writer = os.pipe()
    words = ["run", str(flow / "main.oxoflow"), "--launch", f"n0nce:{reader}:r1"]
    run = subprocess.Popen(command(*words), cwd=here, env=environment(), pass_fds=[reader])
    os.close(reader)
    os.close(writer)
    assert run.wait(PATIENCE) == 0
    assert not (here / ".oxo-flow").exists()


def test_a_launched_runner_records_what_is_wrong_with_the_workflow(flow, here):
    (flow / "main.oxoflow").write_text(FLOW.replace("{config.word}", "{config.wrod}"))
    reader, writer = os.pipe()
    words = ["run", str(flow / "main.oxoflow"), "--launch", f"n0nce:{reader}:r1"]
    run = subprocess.Popen(
        command(*words), cwd=here, env=environment(), pass_fds=[reader], stderr=subprocess.PIPE
    )
    os.close(reader)
    os.write(writer, b"!")
    os.close(writer)
    _, err = run.communicate(timeout=PATIENCE)
    assert run.returncode == 2
    assert b"config.word" in err
    record = json.loads((here / ".oxo-flow/run.json").read_text())
    assert (record["run_id"], record["nonce"], record["state"]) == ("r1", "n0nce", "failed")
    assert record["exit_code"] == run.returncode
    assert "config.wrod" in record["error"]


def test_a_reader_that_goes_away_changes_nothing(flow, here):
    run = subprocess.Popen(
        command("run", "-k"),
        cwd=here,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    run.stdout.close()
    err = run.stderr.read()
    run.stderr.close()
    assert run.wait(PATIENCE) == 1
    assert "Traceback" not in err
    assert "BrokenPipe" not in err
    assert (here / "b.txt").exists()


def test_a_terminal_that_is_closed_under_a_run_that_outlives_it_changes_nothing(here):
    (here / "main.oxoflow").write_text(SLOW)
    screen, terminal = pty.openpty()
    line = "trap '' HUP; exec \"$@\""
    run = subprocess.Popen(
        ["bash", "-c", line, "bash", *command("run")],
        cwd=here,
        env=environment(),
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    wait_for_file(here / "first.txt")
    os.close(screen)
    (here / "go").touch()
    assert run.wait(PATIENCE) == 0
    assert (here / "second.txt").exists()


def test_a_terminal_gets_a_live_block(started, here):
    screen, terminal = pty.openpty()
    (here / "main.oxoflow").write_text(SLOW)
    run = subprocess.Popen(
        command("run"),
        cwd=here,
        env=environment(),
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    seen = read_until(screen, b"  first  ")
    assert b"] 0/2 jobs" in seen
    (here / "go").touch()
    seen = read_until(screen, b"slow: success, 2 jobs done")
    assert run.wait(PATIENCE) == 0
    os.close(screen)


def test_ctrl_c_ends_a_run_cleanly_and_says_how_to_go_on(started, here, shell):
    run = started()
    wait_for_file(here / "first.txt")
    run.send_signal(signal.SIGINT)
    said, _ = run.communicate(timeout=PATIENCE)
    assert run.returncode == 130
    assert "stopping: nothing new starts" in said
    assert "stopped  first" in said
    assert "slow: cancelled, 0 jobs done, 1 stopped" in said
    assert said.endswith("'oxoflow resume' goes on with it\n")
    assert not (here / "first.txt").exists()
    (here / "go").touch()
    assert shell("resume").code == 0
    assert (here / "second.txt").exists()


def test_ctrl_c_twice_kills_what_does_not_end(started, here):
    deaf = SLOW.replace("touch first.txt;", "trap '' TERM; touch first.txt;")
    (here / "main.oxoflow").write_text(deaf)
    run = started()
    wait_for_file(here / "first.txt")
    run.send_signal(signal.SIGINT)
    read_until(run.stdout.fileno(), b"Ctrl-C again kills it at once")
    run.send_signal(signal.SIGINT)
    assert b"1 stopped" in read_until(run.stdout.fileno(), b"goes on with it")
    assert run.wait(PATIENCE) == 130
    record = json.loads((here / ".oxo-flow/run.json").read_text())
    assert ("bash", "SIGKILL") in {(one["name"], one["signal"]) for one in record["ended"]}
    assert record["left"] == 0


def read_until(screen, wanted):
    seen = b""
    deadline = time.monotonic() + PATIENCE
    while wanted not in seen and time.monotonic() < deadline:
        if select.select([screen], [], [], 0.1)[0]:
            try:
                seen += os.read(screen, 65536)
            except OSError:
                break
    assert wanted in seen, seen
    return seen


def test_a_module_runs_with_what_it_needs_and_again_when_resumed(here, ox):
    head = "[workflow]\nname = 'w'\n"
    rule = "[[rules]]\nname = '{0}'\ninput = {1}\noutput = ['{0}.txt']\nshell = 'touch {0}.txt'\n"
    include = "[[include]]\npath = 'm.oxoflow'\nnamespace = 'm'\nname = 'trim'\n"
    host = [("a", []), ("b", []), ("z", ["x.txt"])]
    (here / "main.oxoflow").write_text(head + include + "".join(rule.format(*r) for r in host))
    (here / "m.oxoflow").write_text(head + rule.format("x", ["a.txt"]))
    assert ox("run", "--module", "trim").code == 0
    assert sorted(path.stem for path in here.glob("*.txt")) == ["a", "x"]
    (here / "x.txt").unlink()
    assert ox("resume").code == 0
    assert sorted(path.stem for path in here.glob("*.txt")) == ["a", "x"]
    assert "'trm' is no module" in ox("plan", "--module", "trm").err
