"""What was verified in a directory is looked for again, and its loss or change is named."""

import os

import pytest

from oxoflow.engine.explain import explain
from oxoflow.engine.rundir import RunState
from tests.engine.making import carry_out, decisions, load, verdicts
from tests.engine.running import execute, rule

MAKE = rule("make", "mkdir -p d/sub && echo 1 > d/a && echo 22 > d/sub/b", output=["d"])
READ = rule("read", "cat d/a d/sub/b > read", input=["d"], output=["read"])
TEXT = MAKE + READ


@pytest.fixture
def here(tmp_path):
    carry_out(TEXT, tmp_path)
    return tmp_path


def why(text, here, name="make"):
    return [(each.part, each.old, each.new) for each in decisions(text, here)[name].reasons]


def test_a_file_that_is_gone_from_a_directory_is_named(here):
    assert verdicts(TEXT, here) == {"make": "skip", "read": "skip"}
    (here / "d/sub/b").unlink()
    assert verdicts(TEXT, here) == {"make": "run", "read": "check"}
    assert why(TEXT, here) == [("output.d", "sub/b", "missing in it")]
    words = explain(decisions(TEXT, here)["make"], load(TEXT).dag)
    assert words == "make runs: missing in output 'd': sub/b"
    assert carry_out(TEXT, here) == ["make"]
    assert verdicts(TEXT, here) == {"make": "skip", "read": "skip"}


def test_a_file_of_another_size_in_a_directory_is_named(here):
    (here / "d/a").write_text("longer")
    assert why(TEXT, here) == [("output.d", "a: 2 bytes", "a: 6 bytes")]


def test_many_files_that_are_gone_are_counted(tmp_path):
    text = rule("make", "mkdir -p d && touch d/{1..9}", output=["d"])
    carry_out(text, tmp_path)
    for number in range(2, 9):
        (tmp_path / f"d/{number}").unlink()
    assert why(text, tmp_path) == [("output.d", "2, 3, 4 and 4 more", "missing in it")]


def test_what_came_into_a_directory_later_takes_nothing_from_the_result(here):
    (here / "d/new").write_text("x")
    os.utime(here / "d/a")
    assert verdicts(MAKE, here) == {"make": "skip"}


def test_a_file_in_its_place_is_no_directory_any_more(here):
    (here / "d").rename(here / "e")
    (here / "d").write_text("x")
    assert why(TEXT, here) == [("output.d", "a directory", "a file")]


def test_what_was_deleted_already_when_it_was_looked_at_is_not_missed(tmp_path):
    text = rule("make", "mkdir -p d && touch d/a d/.nfs0001", output=["d"])
    carry_out(text, tmp_path)
    (tmp_path / "d/.nfs0001").unlink()
    assert verdicts(text, tmp_path) == {"make": "skip"}


def test_names_that_are_no_text_are_looked_for_as_they_are(tmp_path):
    text = rule("make", r"mkdir -p d && touch d/$'\xff\n' d/-x 'd/a b'", output=["d"])
    carry_out(text, tmp_path)
    assert verdicts(text, tmp_path) == {"make": "skip"}
    os.unlink(os.fsencode(tmp_path) + b"/d/\xff\n")
    assert verdicts(text, tmp_path) == {"make": "run"}


def test_what_other_jobs_declare_in_a_directory_is_not_its_own(tmp_path):
    text = rule("make", "mkdir -p d && touch d/a", output=["d"])
    text += rule("log", "date > log && echo x > {log}", output=["log"], log="d/log.txt")
    text += rule("more", "touch d/more", output=["d/more"])
    execute(tmp_path, text)
    text = text.replace("touch d/a", "touch d/a d/b")
    assert execute(tmp_path, text).counts.succeeded == 1  # it sees what the others put there
    (tmp_path / "d/log.txt").unlink()
    (tmp_path / "d/more").unlink()
    assert verdicts(text, tmp_path) == {"make": "skip", "log": "skip", "more": "run"}


def test_a_temporary_file_in_a_directory_is_not_missed(tmp_path):
    text = rule("make", "mkdir -p d && touch d/a d/tmp", output=["d"], temp_output=["d/tmp"])
    assert execute(tmp_path, text).state is RunState.SUCCESS
    assert execute(tmp_path, text).counts.succeeded == 0


def test_all_who_fill_a_directory_make_it_whole_again(tmp_path):
    groups = "[[sample_groups]]\nname = 'g'\nsamples = ['S1', 'S2', 'S3']\n"
    text = groups + rule("fill", "mkdir -p d && touch d/{sample}", output=["d"])
    assert execute(tmp_path, text, slots=1).counts.succeeded == 3
    assert execute(tmp_path, text).counts.succeeded == 0
    (tmp_path / "d/S1").unlink()
    assert execute(tmp_path, text).counts.succeeded == 3
    assert len(os.listdir(tmp_path / "d")) == 3


def test_a_run_makes_a_directory_whole_again_before_it_is_read(tmp_path):
    assert execute(tmp_path, TEXT).counts.succeeded == 2
    (tmp_path / "d/a").unlink()
    assert execute(tmp_path, TEXT).counts.succeeded == 1
    assert (tmp_path / "d/a").exists()
