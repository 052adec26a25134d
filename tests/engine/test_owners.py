"""Whose result a file is after rules were renamed, replaced and brought back."""

import os

import pytest

from oxoflow.engine.deciding import Verdict
from oxoflow.engine.explain import explain
from tests.engine.making import carry_out, decisions, load

MAP = """
[[rules]]
name = "%s"
input = ["reads"]
output = ["bam"]
shell = "%s reads > bam"
"""
CALL = """
[[rules]]
name = "call"
input = ["bam"]
output = ["calls"]
shell = "cat bam bam > calls"
"""


@pytest.fixture
def here(tmp_path):
    (tmp_path / "reads").write_text("ACGT\n")
    assert carry_out(MAP % ("map", "cat") + CALL, tmp_path) == ["map", "call"]
    return tmp_path


def test_a_rule_under_a_new_name_keeps_its_results_whatever_their_times(here):
    os.utime(here / "reads")
    renamed = MAP % ("align", "cat") + CALL
    decision = decisions(renamed, here)["align"]
    assert (decision.verdict, decision.adopt) == (Verdict.SKIP, True)
    told = "its outputs were made in the same way by map; they are taken over"
    assert told in explain(decision, load(renamed).dag)
    (here / "reads").write_text("TTTT\n")
    assert carry_out(renamed, here) == ["align", "call"]


def test_the_result_of_a_rule_is_not_taken_for_that_of_one_which_replaces_it(here):
    replaced = MAP % ("sort", "sort -r") + CALL
    (reason,) = decisions(replaced, here)["sort"].reasons
    assert (reason.part, reason.old) == ("output.bam", "made by map")
    assert carry_out(replaced, here) == ["sort"]  # its result is the same, so call is not run
    assert carry_out(replaced, here) == []


@pytest.mark.parametrize("other", ["shout", "map_loud"])  # the second is called like a job of map
def test_a_rule_that_comes_back_makes_anew_what_another_made_meanwhile(here, other):
    assert carry_out(MAP % (other, "tr A-Z a-z <") + CALL, here) == [other, "call"]
    (reason,) = decisions(MAP % ("map", "cat") + CALL, here)["map"].reasons
    assert (reason.part, reason.old) == ("output.bam", f"made by {other}")
    assert carry_out(MAP % ("map", "cat") + CALL, here) == ["map", "call"]
    assert (here / "calls").read_text() == "ACGT\nACGT\n"


def test_files_that_somebody_put_in_place_of_a_rule_s_result_are_judged_by_their_times(here):
    (here / "bam").write_text("by hand")
    later = (here / "reads").stat().st_mtime + 60
    os.utime(here / "bam", (later, later))
    decision = decisions(MAP % ("sort", "sort") + CALL, here)["sort"]
    assert (decision.verdict, decision.adopt) == (Verdict.SKIP, True)
