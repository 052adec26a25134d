"""Files that jobs make or read without declaring them are told after the run."""

import os
import subprocess
import sys

from oxoflow.engine.records import Record
from oxoflow.engine.undeclared import at_work
from oxoflow.engine.watching import Watcher
from tests.engine.running import PROGRAM, ROOT, events, execute, rule

LATER = "sleep 0.05"  # times of files lag behind the clock


def told(workdir) -> list[tuple[str, str]]:
    return [(event.rule, event.data["message"]) for event in events(workdir, "warning")]


def test_w032_a_file_that_no_rule_declares_is_told_with_its_rule(tmp_path):
    (tmp_path / "old").write_text("was here before\n")
    text = rule(
        "a", f"echo > {{output}}; mkdir -p side; {LATER}; > side/junk", output=["a"]
    ) + rule("b", "echo > {output}", input=["a"], output=["b"])
    assert execute(tmp_path, text).exit_code == 0
    ((rule_name, message),) = told(tmp_path)
    assert rule_name == "a"
    assert "W032: rule 'a' made 'side/junk' without declaring it" in message
    assert "temp_output" in message


def test_where_the_caller_keeps_what_the_run_prints_is_no_file_of_a_rule(tmp_path):
    made = f"{LATER}; touch tee.log own.log made"
    text = rule("a", f"until [ -s tee.log ]; do sleep 0.02; done; {made} > a", output=["a"])
    (tmp_path / "w.oxoflow").write_text(text)
    (tmp_path / "program.py").write_text(f"print('begun', flush=True)\n{PROGRAM}")
    line = f"{sys.executable} program.py {tmp_path} 1 2> own.log | tee tee.log"
    search = os.environ | {"PYTHONPATH": str(ROOT)}
    assert subprocess.run(["bash", "-c", line], cwd=tmp_path, env=search).returncode == 0
    ((_, message),) = told(tmp_path)
    assert message.startswith("W032: rule 'a' made 'made' without")


def test_what_is_edited_while_a_run_goes_on_was_made_by_no_rule(tmp_path):
    made = "main.oxoflow .x.swp main.oxoflow~ work.sh"
    (tmp_path / "work.sh").write_text(f"echo > a; {LATER}; touch {made}")
    text = rule("a", "", script="work.sh --fast", output=["a"])
    assert execute(tmp_path, text).exit_code == 0
    assert told(tmp_path) == []


def test_a_source_that_is_edited_while_a_job_reads_it_was_made_by_no_rule(tmp_path):
    (tmp_path / "in").write_text("old\n")
    edit = f"{LATER}; echo new > in; {LATER}"  # in the place of a person with an editor
    text = rule("a", f"cat in > a; {edit}", input=["./in"], output=["a"]) + rule(
        "b", f"touch late; {LATER}; cat late > b", output=["b"]
    )
    text += rule("c", "cat {input} > {output}", input=["late"], output=["c"], depends_on=["b"])
    assert execute(tmp_path, text, slots=1).exit_code == 0
    ((rule_name, message),) = told(tmp_path)
    assert (rule_name, "'late'" in message) == ("b", True)


def test_what_is_declared_in_any_way_is_not_told(tmp_path):
    text = "[config]\nd = 'made'\n" + rule(
        "a",
        "mkdir -p made dir; touch made/out dir/x dir/y scrap; echo > {log}",
        output=["{config.d}/out", "dir"],
        temp_output=["scrap"],
        log="logs/a.log",
        benchmark="bench.tsv",
    )
    assert execute(tmp_path, text).exit_code == 0
    assert told(tmp_path) == []


def test_a_declared_file_is_known_however_its_path_is_spelled(tmp_path):
    here = tmp_path / "here"
    here.mkdir()
    text = rule("a", f"{LATER}; touch {{output}}", output=[f"{here}/a", "../here/b", "./c"])
    assert execute(here, text).exit_code == 0
    assert told(here) == []


def test_a_run_that_had_nothing_to_do_tells_nothing(tmp_path):
    text = rule("a", "echo > a", output=["a"])
    execute(tmp_path, text)
    (tmp_path / "mine").write_text("made between the runs\n")
    assert execute(tmp_path, text).exit_code == 0
    assert told(tmp_path) == []


def test_w027_reading_another_rule_s_output_undeclared_is_told_when_it_is_seen(
    tmp_path, monkeypatch
):
    work, opened, seen = tmp_path / "work", tmp_path / "opened", tmp_path / "seen"
    work.mkdir()
    look = Watcher.look

    def look_and_say_so(watcher):
        was_open = opened.exists()
        look(watcher)
        if was_open:
            seen.touch()

    monkeypatch.setattr(Watcher, "look", look_and_say_so)
    text = rule("maker", "echo data > made", output=["made"]) + rule(
        "reader",
        f"until [ -s made ]; do sleep 0.02; done; exec 9< made; touch {opened}; "
        f"until [ -e {seen} ]; do sleep 0.05; done; cat <&9 > got",
        output=["got"],
    )
    assert execute(work, text).exit_code == 0
    ((rule_name, message),) = told(work)
    assert rule_name == "reader"
    assert "W027: rule 'reader' read 'made'" in message


# Both are at work when something is made, which the names of the second and third do not tell.
AT_ONCE = rule(
    "a", f"until [ -e b ]; do sleep 0.02; done; {LATER}; touch nobody a; touch seen", output=["a"]
) + rule("b", "touch b; until [ -e seen ]; do sleep 0.02; done", output=["b"], temp_output=["seen"])


def test_of_two_jobs_at_work_at_once_the_one_that_names_a_file_made_it(tmp_path):
    assert execute(tmp_path, AT_ONCE).exit_code == 0
    ((rule_name, message),) = told(tmp_path)
    assert rule_name == "a"
    assert "W032: rule 'a' made 'nobody' without declaring it" in message


def test_of_two_jobs_at_work_at_once_none_is_blamed_for_what_neither_names(tmp_path):
    text = AT_ONCE.replace("touch nobody", "x=no; touch ${x}body")
    assert execute(tmp_path, text).exit_code == 0
    ((rule_name, message),) = told(tmp_path)
    assert rule_name is None
    assert "W032: one of the rules 'a', 'b' made 'nobody' undeclared" in message


def test_a_file_made_as_a_quick_job_began_is_known_to_be_its_although_files_lag_behind():
    first = Record("a", "a", "done", started_at=100.0, finished_at=100.496)
    second = Record("b", "b", "done", started_at=100.5, finished_at=100.6)
    found = {at: at_work([first, second], at) for at in (99.9, 99.995, 100.495, 100.498, 100.7)}
    assert found == {99.9: set(), 99.995: {"a"}, 100.495: {"a"}, 100.498: {"b"}, 100.7: set()}
