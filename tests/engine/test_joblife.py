"""Carry one job through its life: hooks, clean-up, memory, metering and logs."""

import os
import sys

import pytest

from oxoflow.engine.cages import Cages
from oxoflow.engine.metering import tree_kilobytes
from oxoflow.engine.plan import PlanOptions
from tests.engine.running import event_of, events, execute, records, rule, start, wait_for


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


def test_memory_grows_no_further_than_the_run_may_go(tmp_path):
    text = rule(
        "a",
        "echo {memory} {effective_memory_mb} >> asked; [ $(wc -l < asked) = 4 ] || kill -KILL $$",
        memory="100M",
        retries=4,
        retry_memory_factor=1.2,
    )
    assert execute(tmp_path, text, max_memory_mb=130).exit_code == 0
    assert (tmp_path / "asked").read_text() == "100M 100\n120M 120\n130M 130\n130M 130\n"
    told = [e.data["message"] for e in events(tmp_path) if e.type == "warning" and e.job == "a"]
    assert told == [
        "rule 'a' asks for 144 MB, there are 130; its jobs run alone with what there is"
    ]


def test_a_time_limit_of_nothing_is_none(tmp_path):
    text = rule("a", "sleep 0.2") + rule("b", "sleep 0.2", resources={"time_limit": "0s"})
    assert execute(tmp_path, text, timeout=0.0).exit_code == 0


def test_what_a_job_uses_is_measured(tmp_path, monkeypatch):
    # it stays until there was a sample: the runner of this test is itself nearly as large
    def look(pid):
        found = tree_kilobytes(pid)
        if found > 190 * 1024:
            (tmp_path / "seen").touch()
        return found

    monkeypatch.setattr("oxoflow.engine.metering.tree_kilobytes", look)
    script = "import os, time; x = bytearray(200_000_000); x[::4096] = x[::4096]\n"
    script += "while not os.path.exists('seen'): time.sleep(0.01)\n"
    script += "open('o','w').write('a' * 100_000)"
    text = rule("a", f'{sys.executable} -c "{script}"', output=["o"])
    assert execute(tmp_path, text).exit_code == 0
    record = records(tmp_path)["a"]
    assert record.peak_mb is not None
    assert 190 < record.peak_mb < 400
    assert record.cpu_s is not None
    assert 0 < record.cpu_s < 100
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


def test_a_command_longer_than_an_argument_may_be_goes_through_a_file(tmp_path):
    text = rule("a", f"true {'x' * 200_000}\necho > a", output=["a"])
    assert execute(tmp_path, text).exit_code == 0


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


LONG = "; : " + "x" * 130_000  # more than an argument may have


@pytest.mark.parametrize("enforce_memory", [False, True])
def test_a_command_may_be_longer_than_an_argument_and_leaves_no_file(tmp_path, enforce_memory):
    text = rule("a", f"wc -c < $0 > a{LONG}", output=["a"], memory="200M")
    assert execute(tmp_path, text, enforce_memory=enforce_memory).exit_code == 0
    assert int((tmp_path / "a").read_text()) > 130_000
    assert list((tmp_path / ".oxo-flow/scripts").iterdir()) == []


@pytest.mark.parametrize("place", ["shell", "pre_exec"])
def test_the_file_of_a_long_command_goes_although_its_runner_was_killed(tmp_path, place):
    texts = {"shell": "true", "pre_exec": "true"}
    texts[place] = f"echo > ready; until [ -e go ]; do sleep 0.02; done{LONG}"
    process = start(tmp_path, rule("a", texts["shell"], pre_exec=texts["pre_exec"]))
    wait_for(tmp_path / "ready", process)
    process.kill()
    process.wait()
    process.stderr.close()
    assert list((tmp_path / ".oxo-flow/scripts").iterdir()) != []
    execute(tmp_path, rule("b", "true"))
    assert list((tmp_path / ".oxo-flow/scripts").iterdir()) == []


def test_enforced_memory_grows_until_it_is_enough(tmp_path):
    text = rule("a", HUNGRY, memory="150M", retries=3, retry_memory_factor=2.0)
    assert execute(tmp_path, text, enforce_memory=True).exit_code == 0
    assert 2 <= (records(tmp_path)["a"].attempts or 0) <= 3


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
