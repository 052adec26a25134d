"""`oxoflow oxify answer`: what is no answer to the question stays with the person who gave it."""

import json
from pathlib import Path
from typing import Any

import pytest

from oxoflow.cli import main
from oxoflow.engine.rundir import RunDirectory, read_control

FORM = "11111111-1111-4111-8111-111111111111"
SIGN = "22222222-2222-4222-8222-222222222222"
FIELDS = [
    {"id": "vol", "field_type": "Number", "required": True, "validation": {"min": 1}},
    {"id": "unit", "field_type": "Text", "default_value": "ml"},
]


def asking(root: Path) -> RunDirectory:
    directory = RunDirectory(root)
    directory.create()
    asks = directory.records / "asks"
    asks.mkdir()
    form = {"id": FORM, "kind": "form", "fields": FIELDS}
    (asks / f"{FORM}.json").write_text(json.dumps(form))
    (asks / f"{SIGN}.json").write_text(json.dumps({"id": SIGN, "kind": "approval"}))
    return directory


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--submit", FORM, "--data", "{}"], "'vol' is required"),
        (["--submit", FORM, "--data", '{"vol": "five"}'], "'vol' must be a number"),
        (["--submit", FORM, "--data", '{"vol": 0}'], "'vol' must be at least 1"),
        (["--submit", FORM, "--data", "[1]"], "--data must be a JSON object"),
        (["--approve", FORM], "wants another answer: give --submit ID --data JSON"),
        (["--submit", SIGN, "--data", "{}"], "wants another answer: give --approve or --reject"),
    ],
)
def test_a_wrong_answer_is_refused_and_the_question_waits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    directory = asking(tmp_path)
    assert main(["oxify", "answer", str(tmp_path), *words]) == 2
    assert said in capsys.readouterr().err
    assert read_control(directory.control) == []


def test_a_filled_form_is_handed_over_with_its_defaults(tmp_path: Path) -> None:
    directory = asking(tmp_path)
    words: list[Any] = ["--submit", FORM, "--data", '{"vol": 5}']
    assert main(["oxify", "answer", str(tmp_path), *words]) == 0
    assert read_control(directory.control)[0].body["form_data"] == {"vol": 5, "unit": "ml"}
