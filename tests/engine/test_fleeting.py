"""What is wanted only on the way: when it goes, what never does, and who misses it later."""

import pytest

from oxoflow.engine.accept import accept
from oxoflow.engine.capacity import Limits, find_capacity
from oxoflow.engine.deciding import Verdict
from oxoflow.engine.plan import Planner, PlanOptions
from oxoflow.engine.rundir import RunDirectory
from oxoflow.engine.state import State
from tests.engine.making import load, planner
from tests.engine.running import execute, rule
from tests.engine.test_features import started

FLEETING = rule(
    "map", "date +%N > bam; echo 1 > stats", output=["bam", "stats"], temp_output=["bam"]
) + rule("call", "cat bam > calls", input=["bam"], output=["calls"])
REPORT = rule("report", "cat stats > report", input=["stats"], output=["report"])


def test_an_output_that_is_named_as_temp_output_goes_when_its_readers_are_done(tmp_path):
    assert execute(tmp_path, FLEETING + REPORT).exit_code == 0
    there = [(tmp_path / name).exists() for name in ("bam", "stats", "calls", "report")]
    assert there == [False, True, True, True]
    assert execute(tmp_path, FLEETING + REPORT).exit_code == 0
    assert started(tmp_path) == []


def test_an_output_that_went_is_made_again_only_for_who_reads_it(tmp_path):
    assert execute(tmp_path, FLEETING + REPORT).exit_code == 0
    changed = REPORT.replace("cat stats", "cat stats stats")
    assert execute(tmp_path, FLEETING + changed).exit_code == 0
    assert started(tmp_path) == ["report"]
    again = FLEETING.replace("cat bam", "cat bam bam")
    assert execute(tmp_path, again + changed).exit_code == 0
    assert started(tmp_path) == ["map", "call"]
    assert not (tmp_path / "bam").exists()


def test_a_job_whose_output_went_runs_for_the_input_that_changed_and_plan_says_so(tmp_path):
    text = rule("map", "cat reads > bam", input=["reads"], output=["bam"], temporary=True)
    text += rule("call", "cat bam > calls", input=["bam"], output=["calls"])
    (tmp_path / "reads").write_text("AC")
    assert execute(tmp_path, text).exit_code == 0
    (tmp_path / "reads").write_text("GT")
    state = State(RunDirectory(tmp_path).state)
    try:
        plan = planner(load(text), state, tmp_path).plan()
    finally:
        state.close()
    decisions = {decision.job.name: decision for decision in plan.decisions}
    assert [reason.part for reason in decisions["map"].reasons] == ["input.reads"]
    assert decisions["call"].verdict is Verdict.CHECK


CHAIN = (
    rule("one", "sort -u source > 1", input=["source"], output=["1"], temporary=True)
    + rule("two", "cp 1 2", input=["1"], output=["2"], temporary=True)
    + rule("three", "cat 2 side > 3", input=["2", "side"], output=["3"])
)


@pytest.fixture
def chain(tmp_path):
    """A run of a chain of two results that are wanted on the way only, and what reads the last."""
    (tmp_path / "source").write_text("x\n")
    (tmp_path / "side").write_text("a\n")
    assert execute(tmp_path, CHAIN).exit_code == 0
    assert not (tmp_path / "2").exists()
    return tmp_path


def test_below_a_result_that_came_out_the_same_nothing_of_a_chain_is_made_again(chain):
    (chain / "source").write_text("x\nx\n")
    assert execute(chain, CHAIN).exit_code == 0
    assert started(chain) == ["one"]
    assert not (chain / "1").exists()
    assert execute(chain, CHAIN).exit_code == 0
    assert started(chain) == []


def test_below_a_result_that_came_out_otherwise_a_chain_is_made_again(chain):
    (chain / "source").write_text("y\n")
    assert execute(chain, CHAIN).exit_code == 0
    assert started(chain) == ["one", "two", "three"]
    assert (chain / "3").read_text() == "y\na\n"


def test_the_middle_of_a_chain_is_made_again_for_who_changed_beside_it(chain):
    (chain / "source").write_text("x\nx\n")
    (chain / "side").write_text("b\n")
    assert execute(chain, CHAIN).exit_code == 0
    assert started(chain) == ["one", "two", "three"]
    assert (chain / "3").read_text() == "x\nb\n"


def test_the_middle_of_a_chain_is_made_again_for_who_may_get_new_input_from_elsewhere(chain):
    more = rule("beside", "cp given side", input=["given"], output=["side"])
    (chain / "given").write_text("a\n")
    assert execute(chain, CHAIN + more).exit_code == 0
    (chain / "source").write_text("x\nx\n")
    (chain / "given").write_text("c\n")
    assert execute(chain, CHAIN + more).exit_code == 0
    assert (chain / "3").read_text() == "x\nc\n"


def test_what_is_lost_beside_an_output_that_went_is_missed(tmp_path):
    assert execute(tmp_path, FLEETING + REPORT).exit_code == 0
    (tmp_path / "stats").unlink()
    assert execute(tmp_path, FLEETING + REPORT).exit_code == 0
    assert "map" in started(tmp_path)


KINDS = ({"temporary": True}, {})


def pair(kind: dict, made: str, shell: str, read: str, use: str, **fields) -> str:
    """A rule whose output is wanted only on the way, and the one that reads it."""
    kind = kind or {"temp_output": [made]}
    return rule("map", shell, output=[made], **kind) + rule(
        "call", use, input=[read], output=["calls"], **fields
    )


def settles(tmp_path, text: str, made: str) -> None:
    """The output goes, nothing runs again, and who changes has it made anew."""
    assert execute(tmp_path, text).exit_code == 0
    assert not (tmp_path / made).exists()
    calls = (tmp_path / "calls").read_text()
    assert execute(tmp_path, text).exit_code == 0
    assert started(tmp_path) == []
    assert execute(tmp_path, text.replace("> calls", "> calls; true")).exit_code == 0
    assert started(tmp_path) == ["map", "call"]
    assert (tmp_path / "calls").read_text() == calls
    assert not (tmp_path / made).exists()


@pytest.mark.parametrize("kind", KINDS)
def test_who_reads_by_a_glob_is_not_run_again_for_what_went(tmp_path, kind):
    text = pair(kind, "parts/a.bam", "echo 1 > parts/a.bam", "parts/*.bam", "cat parts/* > calls")
    settles(tmp_path, text, "parts/a.bam")


@pytest.mark.parametrize("kind", KINDS)
def test_a_directory_that_went_is_known_by_what_it_held(tmp_path, kind):
    text = pair(kind, "idx/", "mkdir idx; echo 1 > idx/x", "idx", "cat idx/x > calls")
    settles(tmp_path, text, "idx")
    assert list((tmp_path / ".oxo-flow/scratch").iterdir()) == []


@pytest.mark.parametrize("kind", KINDS)
def test_another_spelling_of_a_path_that_went_means_the_same_file(tmp_path, kind):
    settles(tmp_path, pair(kind, "bam", "echo 1 > bam", "./bam", "cat bam > calls"), "bam")


@pytest.mark.parametrize("kind", KINDS)
def test_who_names_only_the_rule_may_read_what_went(tmp_path, kind):
    text = rule("map", "echo 1 > bam", output=["bam"], **(kind or {"temp_output": ["bam"]}))
    text += rule("call", "cat bam > calls", output=["calls"], depends_on=["map"])
    settles(tmp_path, text, "bam")


@pytest.mark.parametrize("kind", KINDS)
def test_a_chain_of_what_is_wanted_on_the_way_is_made_again_as_a_whole(tmp_path, kind):
    text = pair(kind, "bam", "echo 1 > bam", "sorted", "cat sorted > calls")
    text += rule("sort", "cp bam sorted", input=["bam"], output=["sorted"], temp_output=["sorted"])
    assert execute(tmp_path, text).exit_code == 0
    assert execute(tmp_path, text).exit_code == 0
    assert started(tmp_path) == []
    more = rule("more", "cat bam > more", input=["bam"], output=["more"])
    assert execute(tmp_path, text + more).exit_code == 0
    assert "call" not in started(tmp_path)
    assert execute(tmp_path, text.replace("> calls", "> calls; true") + more).exit_code == 0
    assert started(tmp_path) == ["map", "sort", "call"]
    assert [(tmp_path / name).exists() for name in ("bam", "sorted", "more")] == [0, 0, 1]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_read_as_part_of_a_directory_stays(tmp_path, kind):
    text = pair(kind, "parts/a.bam", "echo 1 > parts/a.bam", "parts", "ls parts > calls")
    assert execute(tmp_path, text).exit_code == 0
    assert (tmp_path / "parts/a.bam").exists()
    assert execute(tmp_path, text).exit_code == 0
    assert started(tmp_path) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_directory_stays_of_which_somebody_reads_one_file(tmp_path, kind):
    shell = "mkdir idx; echo 1 > idx/x.txt"
    text = pair(kind, "idx/", shell, "idx/x.txt", "cat idx/x.txt > calls", depends_on=["map"])
    assert execute(tmp_path, text).exit_code == 0
    assert (tmp_path / "idx/x.txt").exists()
    assert execute(tmp_path, text).exit_code == 0
    assert started(tmp_path) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_protected_output_stays_however_it_is_spelled(tmp_path, kind):
    text = rule(
        "map",
        "echo 1 > bam",
        output=["./bam"],
        protected_output=["bam"],
        **(kind or {"temp_output": ["bam"]}),
    )
    text += rule("call", "cat bam > calls", input=["bam"], output=["calls"])
    assert execute(tmp_path, text).exit_code == 0
    assert (tmp_path / "bam").stat().st_mode & 0o222 == 0


def test_the_result_of_another_rule_stays_that_writes_the_same_file(tmp_path):
    text = (
        "[config]\nquick = true\n"
        + rule("quick", "echo q > bam", output=["bam"], temporary=True, when="config.quick")
        + rule("full", "echo f > bam", output=["bam"], when="!config.quick")
        + rule("call", "cat bam > calls", input=["bam"], output=["calls"])
    )
    assert execute(tmp_path, text).exit_code == 0
    slow = text.replace("quick = true", "quick = false")
    assert execute(tmp_path, slow).exit_code == 0
    assert (tmp_path / "bam").read_text() == "f\n"
    assert execute(tmp_path, slow).exit_code == 0
    assert started(tmp_path) == []


@pytest.mark.parametrize("ends", ["", "; exit 1"], ids=["success", "failure"])
@pytest.mark.parametrize(
    "scrap",
    [
        "raw/a.fq",
        "raw",
        "../outside",
        "./bam",
        "first",
        "made",
        ".oxo-flow",
        ".oxo-flow/state.sqlite",
        "link/outside",
        "HERE/bam",
        "HERE/raw/a.fq",
    ],
)
def test_nothing_goes_as_scrap_that_is_somebodys_result_or_source(tmp_path, scrap, ends):
    here = tmp_path / "here"
    scrap = scrap.replace("HERE", str(here))
    (here / "raw").mkdir(parents=True)
    (here / "link").symlink_to(tmp_path)
    for place in (here / "raw/a.fq", tmp_path / "outside"):
        place.write_text("mine\n")
    text = rule("first", "echo > first; echo > made/b", output=["first", "made/b"]) + rule(
        "map",
        f"cat raw/a.fq > bam; echo > scrap{ends}",
        input=["raw/a.fq", "first"],
        output=["bam"],
        temp_output=["scrap", scrap],
    )
    assert execute(here, text).exit_code == (1 if ends else 0)
    assert not (here / "scrap").exists()
    assert (tmp_path / "outside").read_text() == (here / "raw/a.fq").read_text() == "mine\n"
    assert (here / "first").exists()
    assert (here / "made/b").exists()
    assert (here / "bam").exists() is not bool(ends)
    if not ends:
        assert execute(here, text).exit_code == 0
        assert started(here) == []


def test_a_file_that_another_job_reads_without_its_being_declared_stays(tmp_path):
    text = rule("map", "echo 1 > bam; echo 2 > scrap", output=["bam"], temp_output=["scrap"])
    text += rule("call", "cat scrap > calls", input=["bam", "scrap"], output=["calls"])
    assert execute(tmp_path, text).exit_code == 0
    assert execute(tmp_path, text).exit_code == 0
    assert started(tmp_path) == []


def test_a_sequence_before_a_transform_leaves_the_results_of_other_rules(tmp_path):
    (tmp_path / "in.tsv").write_text("a 1\nb 2\n")
    text = (
        rule("prep", "echo > prepared", output=["prepared"])
        + """[[rules]]
name = "count"
input = ["in.tsv"]
output = ["out.tsv"]
[rules.transform]
split = { by = "k", values = ["a", "b"] }
map = "grep {k} {input} > {output}"
combine = { aggregate = true }
cleanup = true

[[execution_groups]]
name = "g"
mode = "sequential"
rules = ["prep", "count"]
"""
    )
    assert execute(tmp_path, text).exit_code == 0
    assert (tmp_path / "prepared").exists()


def test_the_definition_of_what_went_may_be_accepted(tmp_path):
    assert execute(tmp_path, FLEETING + REPORT).exit_code == 0
    changed = (FLEETING + REPORT).replace("echo 1 > stats", "echo 1 >stats")
    loaded = load(changed)
    state = State(RunDirectory(tmp_path).state)
    capacity = find_capacity(loaded.workflow, Limits())
    try:
        ahead = Planner(loaded, state, tmp_path, PlanOptions(), capacity)
        assert [each.job for each in accept(ahead, state, ["map"], "ada", 1.0)] == ["map"]
    finally:
        state.close()
    assert execute(tmp_path, changed).exit_code == 0
    assert started(tmp_path) == []


def test_results_stay_for_a_reader_that_a_selection_or_a_condition_left_out(tmp_path):
    text = "[config]\nmore = false\n" + FLEETING
    text += rule("more", "cat bam > more", input=["bam"], output=["more"], when="config.more")
    assert execute(tmp_path, text).exit_code == 0
    assert (tmp_path / "bam").exists()
    wanted = text.replace("more = false", "more = true")
    assert execute(tmp_path, wanted, plan=PlanOptions(targets=("call",))).exit_code == 0
    assert (tmp_path / "bam").exists()
    assert execute(tmp_path, wanted).exit_code == 0
    assert started(tmp_path) == ["more"]
    assert not (tmp_path / "bam").exists()


def test_what_a_condition_asks_for_stays(tmp_path):
    text = "[config]\nof = 'bam'\n" + rule(
        "map", "echo 1 > bam; echo > scrap", output=["bam"], temp_output=["bam", "scrap"]
    )
    text += rule(
        "call",
        "cat bam > calls",
        input=["bam"],
        output=["calls"],
        when='file_size("{config.of}") > 0 && file_exists("scrap")',
    )
    assert execute(tmp_path, text).exit_code == 0
    assert execute(tmp_path, text.replace("> calls", "> calls; true")).exit_code == 0
    assert started(tmp_path) == ["call"]


@pytest.mark.parametrize("wanted", [False, True])
def test_a_directory_that_several_jobs_fill_goes_when_none_of_them_wants_it(tmp_path, wanted):
    text = "[[values]]\nname = 'n'\nvalues = [1, 2, 3]\n"
    text += rule("fill", "mkdir -p bins; touch bins/{n}", output=["bins"], temporary=True)
    text += rule("add", "mkdir -p bins; touch bins/4", output=["bins"], temporary=not wanted)
    text += rule("list", "ls bins > list", input=["bins"], output=["list"])
    assert execute(tmp_path, text).exit_code == 0
    assert (tmp_path / "bins").exists() is wanted
    assert execute(tmp_path, text).exit_code == 0
    assert started(tmp_path) == []


@pytest.mark.parametrize("kind", [{"temporary": True}, {"temp_output": ["m.toml"]}])
def test_the_manifest_of_a_checkpoint_stays(tmp_path, kind):
    text = "[[sample_groups]]\nname = 'g'\nsamples = ['S1']\n" + rule(
        "find",
        "printf '[reentry]\\nsample = [\"S2\"]\\n' > m.toml; touch in.S1 in.S2",
        output=["m.toml"],
        checkpoint=True,
        checkpoint_manifest="m.toml",
        **kind,
    )
    text += rule(
        "use",
        "cp {input} {output}",
        input=["in.{sample}"],
        output=["{sample}"],
        depends_on=["find"],
    )
    assert execute(tmp_path, text).exit_code == 0
    assert (tmp_path / "S2").exists()
    assert execute(tmp_path, text).exit_code == 0
    assert started(tmp_path) == []


def test_a_kill_while_a_directory_is_deleted_leaves_nothing_of_it(tmp_path, monkeypatch):
    text = pair({}, "idx/", "mkdir idx; echo 1 > idx/x", "idx", "cat idx/x > calls")
    with monkeypatch.context() as patch:
        patch.setattr("oxoflow.engine.tidying.remove_scratch", lambda path: None)
        assert execute(tmp_path, text).exit_code == 0
    assert (tmp_path / ".oxo-flow/scratch/.gone/x").exists()
    assert not (tmp_path / "idx").exists()
    assert execute(tmp_path, text).exit_code == 0
    assert started(tmp_path) == []
    assert list((tmp_path / ".oxo-flow/scratch").iterdir()) == []
