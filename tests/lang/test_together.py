"""Hold the texts that are looked at together to those that the checks of single rules look at."""

import pytest

from oxoflow.lang.checks.config import command_texts, rule_texts
from oxoflow.lang.checks.together import together
from oxoflow.lang.parse import parse_workflow

PLAIN = """
shell = "the shell"
script = "the script"
pre_exec = "the pre_exec"
on_success = "the on_success"
on_failure = "the on_failure"
"""
TRANSFORM = """
[rules.transform]
split = { by = "k", values = ["1"] }
map = "the map"
combine = { shell = "the combine" }
"""
WHOLE = """
[workflow]
name = "w"
[[rules]]
name = "all"
input = ["the input"]
output = ["the output"]
log = "the log"
checkpoint = true
checkpoint_manifest = "the manifest"
expand_inputs = [{{ pattern = "the pattern", variables = {{ v = "1" }} }}]
envvars = {{ E = "the variable" }}
params = {{ p = "the parameter", n = 3 }}
{more}
"""


@pytest.mark.parametrize("more", [PLAIN, TRANSFORM], ids=["commands", "transform"])
def test_no_text_of_a_rule_is_left_out(more):
    (rule,) = parse_workflow(WHOLE.format(more=more)).rules
    found = together([rule])
    lines = [*found.paths.split("\n"), *found.commands.split("\n"), *found.others.split("\n")]
    assert sorted(lines) == sorted(text for _, text in rule_texts(rule))
    assert sorted(found.commands.split("\n")) == sorted(text for _, text in command_texts(rule))
    assert len(lines) >= 9
