"""Hold what rules see of the caller's variables."""

import sys
from pathlib import Path

import pytest

from oxoflow.environments.variables import (
    defines_functions,
    encode,
    on_rule_path,
    rule_variables,
)

WORK = Path("/w")
MARK = {"OXORUN_ID": "r"}


def test_ours_are_dropped_the_caller_s_are_kept_and_the_marker_is_added():
    caller = {"PATH": "/usr/bin", "OXO_FLOW_X": "1", "OXIFY_Y": "1", "OXORUN_ID": "old", "A": "b"}
    assert rule_variables(caller, WORK, Path("/launch"), MARK) == {
        "PATH": "/usr/bin:/launch",
        "A": "b",
        "PWD": "/w",
        "OXORUN_ID": "r",
    }


@pytest.mark.skipif(sys.prefix == sys.base_prefix, reason="not in a virtual environment")
def test_our_own_virtual_environment_is_taken_off():
    own = f"{sys.prefix}/bin"
    caller = {"PATH": f"{own}:/usr/bin:{own}/", "VIRTUAL_ENV": sys.prefix}
    found = rule_variables(caller, WORK, None, MARK)
    assert found["PATH"] == "/usr/bin"
    assert "VIRTUAL_ENV" not in found


def test_somebody_else_s_virtual_environment_stays():
    caller = {"PATH": "/other/bin:/usr/bin", "VIRTUAL_ENV": "/other"}
    found = rule_variables(caller, WORK, None, MARK)
    assert (found["PATH"], found["VIRTUAL_ENV"]) == ("/other/bin:/usr/bin", "/other")


def test_without_a_path_there_is_a_usual_one():
    assert "/usr/bin" in rule_variables({}, WORK, None, MARK)["PATH"].split(":")


@pytest.mark.parametrize(
    ("variables", "answer"),
    [({"BASH_ENV": "x"}, True), ({"BASH_FUNC_f%%": "() {"}, True), ({"BASHX": "1"}, False)],
)
def test_variables_that_bring_functions_are_known(variables, answer):
    assert defines_functions(variables) is answer


def test_names_that_are_no_text_survive():
    assert encode({"A": "\udcff"}) == {b"A": b"\xff"}


def test_what_only_our_own_virtual_environment_has_is_not_found_by_rules(tmp_path, monkeypatch):
    prefix = tmp_path / "venv"
    for place, name in ((prefix / "bin", "ours"), (tmp_path / "bin", "theirs")):
        place.mkdir(parents=True)
        (place / name).write_text("#!/bin/sh\n")
        (place / name).chmod(0o755)
    monkeypatch.setattr(sys, "prefix", str(prefix))
    monkeypatch.setenv("PATH", f"{prefix}/bin:{tmp_path}/bin")
    assert on_rule_path("theirs")
    assert not on_rule_path("ours")
