"""Where files come from, and where runs part, as the records tell it."""

import os
import shutil

import pytest

from oxoflow.engine.comparing import compare
from oxoflow.engine.history import History, enclosing, find_histories
from oxoflow.engine.plan import PlanOptions
from oxoflow.engine.provenance import trace
from oxoflow.errors import UsageError
from tests.engine.running import events, execute, rule

CHAIN = (
    rule("one", "cat {input} > {output}; echo 1 >> {output}", input=["src"], output=["a/one"])
    + rule("two", "sort {input} > {output}", input=["a/one", "extra"], output=["two"])
    + rule("other", "echo unrelated > {output}", output=["other"])
)


@pytest.fixture
def run(tmp_path):
    """A finished run of three jobs."""
    place = tmp_path / "run"
    place.mkdir()
    (place / "src").write_text("source\n")
    (place / "extra").write_text("extra\n")
    assert execute(place, CHAIN).exit_code == 0
    return place


@pytest.fixture
def history_of():
    """Open records; closed behind the test."""
    opened = []

    def open_one(place):
        opened.append(History(place))
        return opened[-1]

    yield open_one
    for history in opened:
        history.close()


def test_a_result_is_traced_to_its_sources(run, history_of):
    found = trace(run / "two", [history_of(run)])
    assert [step.made.job for step in found.steps] == ["two", "one"]
    two, one = found.steps
    assert two.made.run == events(run, "run_started")[0].data["run_id"]
    assert two.made.command == "sort a/one extra > two"
    assert [(item.path, item.maker) for item in two.inputs] == [("a/one", 1), ("extra", None)]
    assert [(item.path, item.maker) for item in one.inputs] == [("src", None)]
    assert found.recorded_as == "two"


def test_a_renamed_and_a_copied_file_are_known_by_their_content(run, history_of, tmp_path):
    shutil.copyfile(run / "two", tmp_path / "sent.txt")
    os.rename(run / "two", run / "renamed.txt")
    for file in (tmp_path / "sent.txt", run / "renamed.txt"):
        found = trace(file, [history_of(run)])
        assert found.recorded_as == "two"
        assert found.steps[0].made.job == "two"


def test_a_file_in_a_directory_that_a_job_made_is_traced_to_that_job(tmp_path, history_of):
    here = tmp_path / "run"
    here.mkdir()
    text = rule("index", "mkdir -p idx/sub; date +%N > idx/sub/f; echo > idx/g", output=["idx/"])
    assert execute(here, text).exit_code == 0
    found = trace(here / "idx/sub/f", [history_of(here)])
    assert [step.made.job for step in found.steps] == ["index"]
    assert found.recorded_as == "idx/sub/f"
    assert "by its name and size only" in found.file.note
    reads = rule("read", "wc idx/sub/f > read", input=["idx"], output=["read"])
    assert execute(here, text + reads).exit_code == 0
    shutil.copyfile(here / "idx/sub/f", tmp_path / "sent")
    found = trace(tmp_path / "sent", [history_of(here)])
    assert [step.made.job for step in found.steps] == ["index"]
    assert (found.recorded_as, found.file.note) == ("idx/sub/f", None)
    (here / "idx/new").write_text("mine")
    assert trace(here / "idx/new", [history_of(here)]).steps == ()


def test_a_source_says_who_read_it(run, history_of):
    found = trace(run / "src", [history_of(run)])
    assert found.steps == ()
    assert found.read_by == (f"{run}: one",)


def test_a_changed_result_is_not_passed_off_as_the_recorded_one(run, history_of):
    (run / "two").write_text("edited by hand\n")
    found = trace(run / "two", [history_of(run)])
    assert found.steps == ()
    assert found.file.note == "job 'two' made a file here, but its content has changed since"


def test_an_input_that_was_made_anew_since_has_no_maker(run, history_of):
    (run / "src").write_text("another source\n")
    shutil.copyfile(run / "two", run / "kept")
    only_one = PlanOptions(targets=("one",))
    assert execute(run, CHAIN, plan=only_one).exit_code == 0
    found = trace(run / "kept", [history_of(run)])
    (item, _) = found.steps[0].inputs
    assert (item.path, item.maker) == ("a/one", None)
    assert item.note == "job 'one' has made this file anew since"


def test_among_equal_contents_the_own_path_counts(tmp_path, history_of):
    text = "".join(rule(name, "echo same > {output}", output=[name]) for name in ("a", "b", "c"))
    assert execute(tmp_path, text).exit_code == 0
    found = trace(tmp_path / "b", [history_of(tmp_path)])
    assert found.recorded_as == "b"
    assert sorted(found.same_content) == ["a", "c"]


def test_a_file_that_cannot_be_read_is_said(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        trace(tmp_path / "none", [])


def test_runs_are_found_above_a_file_and_below_a_place(run, tmp_path):
    assert enclosing(run / "a/one") == run
    assert enclosing(tmp_path / "x") is None
    assert list(find_histories(tmp_path)) == [run]


def test_two_equal_runs_do_not_part(run, tmp_path, history_of):
    again = tmp_path / "again"
    again.mkdir()
    for name in ("src", "extra"):
        shutil.copyfile(run / name, again / name)
    assert execute(again, CHAIN).exit_code == 0
    found = compare(history_of(run), history_of(again))
    assert (found.compared, found.first, found.before) == (3, None, ())


def test_the_first_job_that_differs_is_named_with_what_it_was_given(run, tmp_path, history_of):
    again = tmp_path / "again"
    again.mkdir()
    (again / "src").write_text("source\n")
    (again / "extra").write_text("other\n")
    text = CHAIN.replace("cat {input}", "cat  {input}") + rule("more", "echo > m", output=["m"])
    assert execute(again, text).exit_code == 0
    found = compare(history_of(run), history_of(again))
    assert found.first.job == "two"
    assert [part.part for part in found.first.parts] == ["input.extra"]
    assert [path for path, _, _ in found.first.outputs] == ["two"]
    assert [(parted.job, parted.parts[0].part) for parted in found.before] == [("one", "command")]
    assert found.only_second == ("more",)


def test_a_command_that_is_not_deterministic_differs_with_nothing_given_differently(
    tmp_path, history_of
):
    text = rule("a", "cat /proc/sys/kernel/random/uuid > a", output=["a"])
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        assert execute(tmp_path / name, text).exit_code == 0
    found = compare(history_of(tmp_path / "one"), history_of(tmp_path / "two"))
    assert (found.first.job, found.first.parts) == ("a", ())
