"""Hostile texts: the anonymous verbs answer in JSON, in bounded time, and look up nothing here."""

import json
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tests.web.test_verbs import TWO, VERBS, ask

HOSTILE = [
    "",
    "\0",
    "[workflow]\nname = '../../etc/passwd'",
    "[workflow]\nname = '<script>alert(1)</script>'",
    "[workflow]\nname = '" + "x" * 100_000 + "'",
    "[[[[[[",
    "a = " + "[" * 5000 + "]" * 5000,
    "[workflow]\nname='x'\n[[rules]]\nname='r'\ninput=['/etc/passwd']\noutput=['../../x']\nshell='x'",
    "[workflow]\nname='x'\n[[include]]\npath='/etc/passwd'\n[[include]]\npath='http://localhost/x'",
    "[workflow]\nname='x'\npairs_file='/etc/passwd'\nsample_pattern='/etc/{sample}'",
    "[workflow]\nname='x'\n[[rules]]\nname='r'\nwhen='file_exists(\"/etc/passwd\")'\nshell='true'",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("verb", VERBS)
def test_a_hostile_text_is_answered_in_json(client: FlaskClient, verb: str, text: str) -> None:
    answer = ask(client, verb, text)
    assert (
        answer.status_code == 200 if verb == "validate" else answer.status_code in (200, 400, 422)
    )
    assert answer.content_type == "application/json"
    assert "root:" not in answer.text


def test_no_verb_tells_which_files_the_host_has(client: FlaskClient, tmp_path: Path) -> None:
    there = tmp_path / "there.csv"
    there.write_text("sample\ns1\n")
    for verb in VERBS:
        answers = set()
        for path in (there, tmp_path / "gone1.csv"):
            text = f"""[workflow]
name = "probe"
pairs_file = "{path}"
sample_groups_file = "{path}"
sample_pattern = "{tmp_path}/{{sample}}.csv"
[config]
data = {{ default = "{path}", must_exist = true, type = "path" }}
[[include]]
path = "{path}"
[[rules]]
name = "a"
input = ["{path}"]
output = ["x"]
when = 'file_exists("{path}")'
shell = "cat {{input}}"
script = "{path}"
"""
            answer = ask(client, verb, text)
            body = answer.text.replace(str(path), "PATH").replace(path.name, "NAME")
            fields = json.loads(body)
            fields.pop("status", None)
            answers.add((answer.status_code, json.dumps(fields)))
        assert len(answers) == 1, verb


def test_nothing_appears_on_the_disk(client: FlaskClient, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    for verb in VERBS:
        ask(client, verb, TWO)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_workflow_that_explodes_is_stopped(client: FlaskClient) -> None:
    values = ",".join(f"'v{number}'" for number in range(100))
    tables = "".join(f"[[values]]\nname='{name}'\nvalues=[{values}]\n" for name in "abcdef")
    text = (
        f"[workflow]\nname='x'\n{tables}"
        "[[rules]]\nname='r'\noutput=['{a}{b}{c}{d}{e}{f}']\nshell='true'\n"
    )
    assert ask(client, "validate", text).json["valid"] is False
    assert ask(client, "dry-run", text).status_code == 422
