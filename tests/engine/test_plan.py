"""The decision table of design 5, row by row, with reasons as data."""

import json
import os
import re

import pytest
from msgspec.structs import replace

from oxoflow.engine.accept import accept
from oxoflow.engine.deciding import Decision, Reason, Verdict
from oxoflow.engine.explain import explain, sentence, verdict_words
from oxoflow.engine.files import WorkFiles
from oxoflow.engine.load import DirectoryView
from oxoflow.engine.records import Failed, Planned, Started
from oxoflow.engine.state import State
from oxoflow.errors import UsageError
from tests.engine.making import carry_out, decisions, load, planner, verdicts

ONE = """
[[rules]]
name = "a"
input = ["in.txt"]
output = ["a.txt"]
shell = "cat in.txt > a.txt"
"""
TWO = (
    ONE
    + """
[[rules]]
name = "b"
input = ["a.txt"]
output = ["b.txt"]
shell = "cat a.txt > b.txt"
"""
)


@pytest.fixture
def here(tmp_path):
    (tmp_path / "in.txt").write_text("x")
    return tmp_path


def opened(here) -> State:
    return State(here / ".oxo-flow/state.sqlite")


def reasons(text, here, name="a", **options):
    return [
        (each.part, each.old, each.new) for each in decisions(text, here, **options)[name].reasons
    ]


def test_everything_runs_the_first_time_and_nothing_the_second(here):
    assert verdicts(TWO, here) == {"a": "run", "b": "run"}
    assert reasons(TWO, here) == [("record", None, None)]
    assert carry_out(TWO, here) == ["a", "b"]
    assert verdicts(TWO, here) == {"a": "skip", "b": "skip"}
    assert reasons(TWO, here) == []
    assert carry_out(TWO, here) == []


def test_planning_writes_nothing(here):
    before = sorted(os.listdir(here))
    verdicts(TWO, here)
    assert sorted(os.listdir(here)) == before


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (Planned("a", "a"), "planned"),
        (Started("a", "a", 1.0), "started"),
        (Failed("a", "a", exit_code=1), "failed"),
    ],
)
def test_what_was_not_finished_is_never_taken_for_a_result(here, change, expected):
    (here / "a.txt").write_text("half")
    (here / ".oxo-flow").mkdir()
    state = opened(here)
    state.apply([change])
    state.close()
    assert verdicts(ONE, here) == {"a": "run"}
    assert reasons(ONE, here) == [("record", expected, None)]


def test_a_missing_or_cut_output_is_made_again(here):
    carry_out(TWO, here)
    (here / "a.txt").write_text("")
    assert reasons(TWO, here) == [("output.a.txt", "1 bytes", "0 bytes")]
    (here / "a.txt").unlink()
    assert reasons(TWO, here) == [("output.a.txt", "present", "missing")]
    assert verdicts(TWO, here) == {"a": "run", "b": "check"}
    assert reasons(TWO, here, "b") == [("upstream", None, "a")]
    assert carry_out(TWO, here) == ["a"]


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("cat in.txt > a.txt", "cat < in.txt > a.txt", "command"),
        ('shell = "cat', 'when = "true"\nshell = "cat', "when"),
        ('shell = "cat', 'envvars = { K = "v" }\nshell = "cat', "envvars.K"),
        ('output = ["a.txt"]', 'output = ["a.txt", "in.txt"]', "output"),
        ('shell = "cat', 'environment = { docker = "img:1" }\nshell = "cat', "environment"),
    ],
)
def test_a_changed_part_is_named(here, old, new, part):
    carry_out(ONE, here)
    changed = ONE.replace(old, new)
    assert changed != ONE
    found = reasons(changed, here)
    assert [each[0] for each in found] == [part]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('shell = "cat', 'threads = 7\nshell = "cat'),
        ('shell = "cat', 'resources = { memory = "3G", disk = "1G" }\nshell = "cat'),
        ('shell = "cat', 'log = "logs/a.log"\nshell = "cat'),
        ('shell = "cat', 'retries = 3\nretry_delay = "1s"\nshell = "cat'),
        ('shell = "cat', 'description = "words"\npriority = 4\nshell = "cat'),
        ('shell = "cat', 'on_success = "echo"\non_failure = "echo"\nshell = "cat'),
        ("cat in.txt > a.txt", "cat {input} > {output}"),
    ],
)
def test_what_does_not_decide_about_a_result_re_runs_nothing(here, old, new):
    carry_out(ONE, here)
    changed = ONE.replace(old, new)
    assert changed != ONE
    assert verdicts(changed, here) == {"a": "skip"}


def test_another_input_is_named_as_the_cause_while_it_is_to_be_made(here):
    def text(*samples):
        named = ", ".join(f'"{sample}"' for sample in samples)
        return f"""
[[sample_groups]]
name = "g"
samples = [{named}]
[[rules]]
name = "each"
input = ["in.txt"]
output = ["{{sample}}.txt"]
shell = "cp in.txt {{output}}"
[[rules]]
name = "all"
expand_inputs = [{{ pattern = "{{s}}.txt", variables = {{ s = "config.samples_list" }} }}]
output = ["all"]
shell = "cat {{input}} > all"
"""

    carry_out(text("A", "B"), here)
    found = decisions(text("A", "C"), here)["all"]
    assert [each.part for each in found.reasons] == ["input.B.txt", "input.C.txt", "command"]
    words = explain(found, load(text("A", "C")).dag)
    assert "  - input 'B.txt' is no longer read\n  - input 'C.txt' is new\n" in words


def test_an_input_that_cannot_be_read_is_called_so():
    reason = Reason("input.a", "1" * 64, "unreadable:13")
    assert sentence(reason, Verdict.RUN) == "input 'a' cannot be read: Permission denied"


def test_params_are_named_as_the_cause(here):
    text = ONE.replace("cat in.txt", "echo {params.n}").replace(
        "shell", "params = { n = 1 }\nshell"
    )
    carry_out(text, here)
    found = reasons(text.replace("n = 1", "n = 2"), here)
    assert ("params.n", "1", "2") in found


def test_a_script_counts_with_its_content(here):
    text = ONE.replace('shell = "cat in.txt > a.txt"', 'script = "s.sh {output}"')
    (here / "s.sh").write_text("echo 1 > $1")
    assert carry_out(text, here) == ["a"]
    (here / "s.sh").touch()
    assert carry_out(text, here) == []
    (here / "s.sh").write_text("echo 2 > $1")
    assert [each[0] for each in reasons(text, here)] == ["script"]


def test_an_environment_counts_with_the_content_of_its_file(here):
    text = ONE.replace("shell", 'environment = { conda = "env.yaml" }\nshell')
    (here / "env.yaml").write_text("name: x")
    carry_out(text, here)
    (here / "env.yaml").write_text("name: y")
    assert [each[0] for each in reasons(text, here)] == ["environment"]


def test_ancient_inputs_count_by_presence_only(here):
    text = ONE.replace("shell", 'ancient = ["in.txt"]\nshell')
    carry_out(text, here)
    (here / "in.txt").write_text("other")
    assert verdicts(text, here) == {"a": "skip"}


@pytest.mark.parametrize("given", ['["{config.own}"]', '["{config.own}", "in.txt"]', '[""]'])
def test_an_input_without_a_name_is_none(here, given):
    text = (
        '[config]\nown = ""\n'
        + ONE.replace('["in.txt"]', given)
        + '[[rules]]\nname = "walk"\ninput = { path = "{config.own}", pattern = "*.txt" }\n'
        'output = ["w.txt"]\nshell = "echo {input[0]}+ > w.txt"\n'
    )
    assert carry_out(text, here) == ["a", "walk"]
    (here / "other.txt").write_text("a new file beside them")
    assert verdicts(text, here) == {"a": "skip", "walk": "skip"}
    assert (here / "w.txt").read_text() == "+\n"


def test_a_missing_source_blocks_what_needs_it(here):
    (here / "in.txt").unlink()
    assert verdicts(TWO, here) == {"a": "blocked", "b": "blocked"}
    assert reasons(TWO, here) == [("input.in.txt", None, "missing")]
    assert reasons(TWO, here, "b") == [("upstream", None, "a")]


def test_an_optional_rule_below_a_blocked_one_is_blocked_as_the_run_will_say(tmp_path):
    text = TWO.replace('shell = "cat a.txt', 'optional = true\nshell = "cat a.txt')
    assert verdicts(text, tmp_path) == {"a": "blocked", "b": "blocked"}


def test_only_what_no_blocked_job_is_above_waits_for_jobs_that_files_have_yet_to_call_for(tmp_path):
    finder = """
[[rules]]
name = "find"
output_pattern = "found/{part}.txt"
shell = "touch found/1.txt"

[[rules]]
name = "use"
input = ["found/{part}.txt", "b.txt"]
output = ["used/{part}.txt"]
shell = "cat {input} > {output}"
"""
    assert verdicts(finder + TWO, tmp_path) == {"find": "run", "a": "blocked", "b": "blocked"}
    gather = """
[[rules]]
name = "gather"
input = ["used/*.txt"]
output = ["all.txt"]
shell = "cat {input} > {output}"
"""
    awaited = decisions(finder + gather, tmp_path)["gather"]
    assert verdict_words(awaited, None).startswith("it waits for jobs that files have yet to call")


def test_a_missing_optional_input_skips(here):
    text = ONE.replace("shell", "optional = true\nshell").replace("in.txt", "no.txt")
    assert verdicts(text, here) == {"a": "skip"}
    assert reasons(text, here) == [("input.no.txt", None, "missing")]


def test_a_glob_without_any_file_is_missing(here):
    text = ONE.replace('["in.txt"]', '["none/*.txt"]')
    assert reasons(text, here) == [("input.none/*.txt", None, "missing")]


def test_a_result_among_its_own_inputs_does_not_re_run_it(here):
    text = """
[[rules]]
name = "sum"
input = ["d/*.txt"]
output = ["d/sum.txt"]
shell = "ls d > d/sum.txt"
[[rules]]
name = "all"
input = ["e"]
output = ["e/all.txt"]
shell = "ls e > e/all.txt"
"""
    for folder in ("d", "e"):
        (here / folder).mkdir()
        (here / folder / "1.txt").write_text("1")
    assert carry_out(text, here) == ["sum", "all"]
    assert carry_out(text, here) == []


def test_an_output_may_be_a_glob(here):
    text = ONE.replace('["a.txt"]', '["parts/*.txt"]').replace("> a.txt", "> parts/1.txt")
    assert carry_out(text, here) == ["a"]
    assert carry_out(text, here) == []
    (here / "parts/1.txt").unlink()
    assert verdicts(text, here) == {"a": "run"}


EITHER = """
[config]
mode = "x"
[[rules]]
name = "x"
output = ["o.txt"]
when = 'config.mode == "x"'
shell = "echo x > o.txt"
[[rules]]
name = "y"
output = ["o.txt"]
when = 'config.mode == "y"'
shell = "echo y > o.txt"
"""


def test_rules_that_exclude_each_other_do_not_take_each_others_result(here):
    assert carry_out(EITHER, here) == ["x"]
    assert carry_out(EITHER, here) == []
    found = decisions(EITHER, here, overrides={"mode": "y"})
    assert found["y"].reasons == (Reason("output.o.txt", "made by x"),)
    assert carry_out(EITHER, here, overrides={"mode": "y"}) == ["y"]
    assert carry_out(EITHER, here) == ["x"]
    assert (here / "o.txt").read_text() == "x\n"


def test_a_renamed_rule_takes_its_result_over(here):
    carry_out(ONE, here)
    os.utime(here / "in.txt", ns=(1, 1))
    found = decisions(ONE.replace('"a"', '"renamed"'), here)["renamed"]
    assert (found.verdict.value, found.adopt) == ("skip", True)


def test_file_exists_waits_for_the_jobs_above(here):
    text = TWO.replace('name = "b"', """name = "b"\nwhen = 'file_exists("a.txt")' """)
    assert verdicts(text, here) == {"a": "run", "b": "check"}
    assert carry_out(text, here) == ["a", "b"]


def test_a_job_is_measured_by_what_the_jobs_above_it_left(here):
    text = TWO.replace('name = "b"', """name = "b"\nwhen = 'wc_lines("a.txt") > 40' """)
    assert verdicts(text, here) == {"a": "run", "b": "check"}
    assert carry_out(text, here) == ["a"]
    text = text.replace("> 40", "<= 40")
    assert verdicts(text, here) == {"a": "skip", "b": "run"}


def test_options_force_and_select(here):
    carry_out(TWO, here)
    assert verdicts(TWO, here, rerun=True) == {"a": "run", "b": "run"}
    assert verdicts(TWO, here, force=("b",)) == {"a": "skip", "b": "run"}
    assert reasons(TWO, here, force=("a",)) == [("forced", None, None)]
    assert verdicts(TWO, here, targets=("a",)) == {"a": "skip"}
    assert verdicts(TWO, here, until=("a.txt",)) == {"a": "skip"}
    assert carry_out(TWO, here, force=("a",)) == ["a"]
    with pytest.raises(UsageError, match="'zzz' is no rule"):
        verdicts(TWO, here, force=("zzz",))


def test_a_copy_with_its_records_re_runs_nothing_and_one_without_goes_by_time(
    here, tmp_path_factory
):
    carry_out(TWO, here)
    copy = tmp_path_factory.mktemp("copy")
    for name in ("b.txt", "a.txt", "in.txt", ".oxo-flow/state.sqlite"):
        (copy / name).parent.mkdir(exist_ok=True)
        (copy / name).write_bytes((here / name).read_bytes())
    assert verdicts(TWO, copy) == {"a": "skip", "b": "skip"}
    (copy / ".oxo-flow/state.sqlite").unlink()
    assert verdicts(TWO, copy) == {"a": "run", "b": "check"}


def test_an_input_that_changes_while_the_job_runs_makes_it_run_again(here):
    text = ONE.replace("cat in.txt > a.txt", "cat in.txt > a.txt; echo more >> in.txt")
    assert carry_out(text, here) == ["a"]
    assert verdicts(text, here) == {"a": "run"}
    stored = opened(here)
    assert json.loads(stored.detail("a").parts)["input"] == {"in.txt": "changed while the job ran"}
    stored.close()


def test_paranoid_finds_a_change_that_no_time_tells(here):
    carry_out(ONE, here)
    state = opened(here)
    state.apply([replace(entry, sha256="0" * 64) for entry in state.files().values()])
    state.close()
    assert verdicts(ONE, here) == {"a": "run"}
    assert verdicts(ONE, here, paranoid=True) == {"a": "skip"}


def accepted(text, here, *names):
    loaded = load(text, view=DirectoryView(str(here)))
    state = opened(here)
    try:
        return [each.job for each in accept(planner(loaded, state, here), state, names, "ada", 5.0)]
    finally:
        state.close()


def test_an_edit_can_be_accepted(here):
    carry_out(TWO, here)
    edited = TWO.replace("cat in.txt > a.txt", "cat < in.txt > a.txt")
    assert accepted(edited, here, "a", "b") == ["a"]
    assert verdicts(edited, here) == {"a": "skip", "b": "skip"}
    state = opened(here)
    assert state.accepted("a") == [(5.0, "ada")]
    state.close()
    assert accepted(edited, here, "a") == []


def test_a_result_that_is_not_there_cannot_be_accepted(here):
    carry_out(ONE, here)
    (here / "a.txt").unlink()
    with pytest.raises(UsageError, match=r"'a' cannot be accepted: 'a\.txt' is missing"):
        accepted(ONE, here, "a")
    (here / "a.txt").write_text("x")
    state = opened(here)
    state.apply([Started("a", "a", 1.0)])
    state.close()
    with pytest.raises(UsageError, match="did not finish"):
        accepted(ONE, here, "a")


def test_a_result_whose_input_is_yet_to_be_made_cannot_be_accepted(here):
    carry_out(TWO, here)
    (here / "a.txt").unlink()
    with pytest.raises(UsageError, match=r"'b' cannot be accepted: 'a\.txt' is missing"):
        accepted(TWO.replace("cat a.txt >", "cat < a.txt >"), here, "b")


def test_words_say_what_the_data_say(here):
    dag = load(TWO).dag
    found = decisions(TWO, here)
    assert explain(found["a"], dag) == "a runs: it has never run here"
    carry_out(TWO, here)
    found = decisions(TWO, here)
    assert verdict_words(found["a"], dag) == "up to date"
    assert "nothing that decides about them has changed" in explain(found["a"], dag)
    (here / "in.txt").write_text("other")
    found = decisions(TWO.replace("cat in.txt", "cat  in.txt"), here)
    told = explain(found["a"], dag)
    assert "the content of input 'in.txt' changed" in told
    assert "its command changed: cat in.txt > a.txt → cat  in.txt > a.txt" in told
    assert "(and 1 more)" in verdict_words(found["a"], dag)
    assert "depends on a, which will run" in explain(found["b"], dag)
    (here / "in.txt").unlink()
    (here / "b.txt").unlink()
    found = decisions(TWO, here)
    assert "input 'in.txt' is made by no rule and is not on disk" in explain(found["a"], dag)
    assert "it needs a, which is blocked" in explain(found["b"], dag)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("a\ncat x | wc > y", "a\ncat x | wc -l > y", "…↵cat x | wc > y → …↵cat x | wc -l > y"),
        ("p" * 200, "p" * 99 + "Q" + "p" * 100, f"…{'p' * 25}… → …{'p' * 12}Q{'p' * 12}…"),
        ("x" * 200, "y" * 200, f"{'x' * 60}… → {'y' * 60}…"),
        ("short", "other", "short → other"),
        ("0f" * 32, f"sha256:{'1e' * 32}", "0f0f0f0f0f0f → sha256:1e1e1e1e1e1e"),
    ],
)
def test_a_list_shows_of_long_commands_only_where_they_differ(here, old, new, told):
    job = decisions(TWO, here)["a"].job
    decision = Decision(0, job, Verdict.RUN, (Reason("command", old, new),))
    assert verdict_words(decision, load(TWO).dag) == f"its command changed: {told}"


def test_why_shows_of_long_commands_the_part_in_which_they_differ(here):
    job, dag = decisions(TWO, here)["a"].job, load(TWO).dag
    old = "tool --list " + " ".join([f"sample{at}.bam" for at in range(200)])
    for new in (f"{old} --strict", old.replace("e150.", "e150.sorted."), f"#\n{old}"):
        decision = Decision(0, job, Verdict.RUN, (Reason("command", old, new),))
        before, now = re.split(r" → |\n +now: ", explain(decision, dag).partition("changed")[2])
        assert before.removeprefix(":").strip() != now.strip()
    assert explain(decision, dag).count("sample0.bam") == 2


def test_of_an_output_that_is_a_link_to_its_input_the_input_is_said_to_have_changed(here):
    text = ONE.replace("cat in.txt > a.txt", "ln -sf in.txt a.txt")
    assert carry_out(text, here) == ["a"]
    (here / "in.txt").write_text("longer")
    assert [reason.part for reason in decisions(text, here)["a"].reasons] == ["input.in.txt"]
    assert carry_out(text, here) == ["a"]
    assert verdicts(text, here) == {"a": "skip"}


def test_the_nearest_output_is_never_one_of_the_rule_that_lacks_the_input(here):
    own = (
        "[[rules]]\nname = 'trim'\ninput = ['raw/A_1.fq', 'raw/A_2.fq']\noutput = ['A_1.fq']\n"
        "shell = 'cat {input} > {output}'\n"
    )
    told = explain(decisions(own, here)["trim"], load(own).dag)
    assert "inputs 'raw/A_1.fq', 'raw/A_2.fq' are made by no rule and are not on disk" in told
    assert "nearest output" not in told


def test_the_nearest_output_is_shown_as_it_will_be_named(here):
    text = (
        "[config]\nd = 'raw'\n[[rules]]\nname = 'get'\noutput = ['{config.d}/A.fastq']\n"
        "shell = 'x > {output}'\n[[rules]]\nname = 'use'\ninput = ['raw/A.fq']\nshell = 'x'\n"
    )
    told = explain(decisions(text, here)["use"], load(text).dag)
    assert "nearest output: 'raw/A.fastq' (rule 'get')" in told


@pytest.mark.parametrize(
    ("there", "meant"),
    [
        ("raw/B.fastq.gz", True),
        ("raw/b.fq", True),
        ("raw/B.FQ", True),
        ("raw/A.fq", False),  # another job reads it
        ("raw/notes.txt", False),
    ],
)
def test_a_missing_input_names_the_file_beside_it_that_is_probably_meant(here, there, meant):
    text = (
        "[[sample_groups]]\nname = 'g'\nsamples = ['A', 'B']\n[[rules]]\nname = 'm'\n"
        "input = ['raw/{sample}.fq']\noutput = ['{sample}.bam']\nshell = 'x'\n"
    )
    (here / "raw").mkdir()
    (here / there).write_text("")
    decision = decisions(text, here)["m_g_B"]
    told = explain(decision, load(text).dag, None, WorkFiles(str(here)).beside)
    assert told.endswith(f"did you mean '{there}', which is there?") is meant


def test_a_missing_input_is_not_blamed_on_what_is_made_from_it(here):
    text = (
        "[[rules]]\nname = 'index'\ninput = ['r/ref.fa']\noutput = ['r/ref.fa.bwt']\nshell = 'x'\n"
        "[[rules]]\nname = 'use'\ninput = ['r/ref.fa']\nshell = 'x'\n"
    )
    told = explain(decisions(text, here)["use"], load(text).dag)
    assert told.endswith("and is not on disk; put the file there or add a rule that makes it")


def test_a_missing_input_names_the_rule_that_would_make_it_if_it_had_a_job(here):
    text = (
        "[config]\nout = 'm'\n[[rules]]\nname = 'merge'\noutput = ['{config.out}/{sample}.fq']\n"
        "input_groups = [{ pattern = 'raw/{sample}_L{lane}.fq', group_by = 'sample' }]\n"
        "shell = 'cat {input} > {output}'\n"
        "[[rules]]\nname = 'use'\ninput = ['m/A.fq']\noutput = ['u']\nshell = 'x'\n"
    )
    told = explain(decisions(text, here)["use"], load(text).dag)
    assert "rule 'use': input 'm/A.fq' is not on disk, and rule 'merge', which would make" in told
