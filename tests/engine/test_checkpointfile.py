"""Workflows that read the checkpoint file find in it what has run (spec 5.10)."""

import json

from oxoflow.engine.checkpointfile import CHECKPOINT
from tests.engine.running import execute, rule

TEXT = rule("make", "echo 1 > made", output=["made"]) + rule(
    "methods", "cp {input[0]} report", input=[CHECKPOINT, "made"], output=["report"]
)


def test_the_commands_that_ran_stand_in_the_file_for_the_next_run(tmp_path):
    execute(tmp_path, TEXT)
    assert json.loads((tmp_path / "report").read_text())["rule_runs"] == {}
    written = json.loads((tmp_path / CHECKPOINT).read_text())
    assert written["completed_rules"] == ["make", "methods"]
    assert execute(tmp_path, TEXT).counts.succeeded == 1
    told = json.loads((tmp_path / "report").read_text())
    assert told["rule_runs"]["make"]["command"] == "echo 1 > made"
    assert told["rule_runs"]["make"]["exit_code"] == 0
    assert execute(tmp_path, TEXT).counts.succeeded == 0, "nothing new has run"


def test_the_file_of_another_program_stays_and_nobody_else_gets_one(tmp_path):
    execute(tmp_path, rule("make", "echo 1 > made", output=["made"]))
    assert not (tmp_path / CHECKPOINT).exists()
    (tmp_path / CHECKPOINT).write_text('{"completed_rules": ["x"]}')
    execute(tmp_path, TEXT)
    assert (tmp_path / CHECKPOINT).read_text() == '{"completed_rules": ["x"]}'
