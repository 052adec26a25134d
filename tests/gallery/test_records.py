"""Do the stories of gallery workflows and compare with what was agreed to happen."""

import shutil

import pytest

from tests.gallery.recording import RECORDS, STORIES, record

NEEDS = {"transform": "jq"}
SLOW = {"venv"}  # makes a real environment


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.real if name in SLOW else ()) for name in STORIES],
)
def test_what_happens_is_what_was_agreed(name, tmp_path):
    if name in NEEDS and shutil.which(NEEDS[name]) is None:
        pytest.skip(f"{NEEDS[name]} is not installed")
    assert record(name, tmp_path) == (RECORDS / f"{name}.txt").read_text(encoding="utf-8")


def test_every_record_has_a_story():
    assert {path.stem for path in RECORDS.glob("*.txt")} == set(STORIES)
