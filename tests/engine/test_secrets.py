"""Sensitive values are found in nothing that a run leaves behind (spec/oxoflow-format.md 5.11)."""

import base64
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from oxoflow.engine.masking import Mask
from tests.engine.running import ROOT, event_of, execute, rule
from tests.engine.secret_search import LONG, SECRET, held_by, leaks, workflow
from tests.patience import PATIENCE


def run_program(place: Path, *words: str) -> bytes:
    """What the command line prints, both streams, whatever comes of it."""
    answer = subprocess.run(
        [sys.executable, "-m", "oxoflow", *words],
        cwd=place,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=PATIENCE,
        check=False,
    )
    return answer.stdout


def test_a_run_leaves_no_byte_of_a_secret_and_prints_none(tmp_path):
    (tmp_path / "w.oxoflow").write_text("[workflow]\nname = 'w'\n" + workflow())
    given = f"key={SECRET}"
    verbs = [
        ["plan", "w.oxoflow", given],
        ["run", "w.oxoflow", "-k", "-j", "4", given],
        ["plan", "w.oxoflow", given],
        ["plan", "w.oxoflow", "--json", given],
        ["plan", "w.oxoflow", "--why", "makes", "--why", "talks", "key=other"],
        ["run", "w.oxoflow", "-k", "--json", given],
        ["config", "w.oxoflow", given],
        ["status"],
        ["records", "--json"],
        ["logs", "talks"],
        ["logs", "makes"],
        ["provenance", "o"],
        ["resume", "."],
    ]
    printed = {" ".join(words[:2]): run_program(tmp_path, *words) for words in verbs}
    assert b"talks" in printed["run w.oxoflow"]
    assert b"exit code 3" in printed["run w.oxoflow"]
    assert {verb: held_by(text) for verb, text in printed.items() if held_by(text)} == {}
    assert b"***" in (tmp_path / ".oxo-flow/logs/talks.out").read_bytes()
    assert leaks(tmp_path) == []


def test_a_long_secret_is_hidden_where_base64_wraps_it(tmp_path):
    text = f"[config]\nkey = {{ default = '{LONG}', sensitive = true }}\n" + rule(
        "a", "printf %s '{config.key}' | base64; printf %s '{config.key}' | openssl base64 || true"
    )
    assert execute(tmp_path, text).exit_code == 0
    assert leaks(tmp_path, LONG) == []


@pytest.mark.parametrize("width", [4, 60, 64, 76, 77])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_wrapped_base64_is_hidden_and_keeps_its_lines(width, end):
    for shift in range(80):
        text = base64.b64encode(b"x" * shift + LONG.encode() + b"y" * 9).decode()
        wrapped = end.join(textwrap.wrap(text, width)) + end
        hidden = Mask([LONG]).text(wrapped)
        assert "***" in hidden
        assert held_by(hidden.encode(), LONG) == []
        assert hidden.count("\n") == wrapped.count("\n")


@pytest.mark.parametrize("cut", range(1, 40))
def test_of_two_secrets_the_longer_is_hidden_wherever_the_output_is_cut(cut):
    mask = Mask(["tops3cret", SECRET])
    text = b"before " + SECRET.encode() + b" after " + b"." * mask.longest
    shown, rest = mask.start(text[:cut])
    more, rest = mask.start(rest + text[cut:])
    assert shown + more + mask.raw(rest) == b"before *** after " + b"." * mask.longest


def test_ordinary_output_is_not_touched():
    mask = Mask([SECRET])
    for text in ("", "topsecret", "a\nb\r\nc", "\udcff\ud800", "x" * 100_000):
        assert mask.text(text) == text
    assert Mask([]).text(SECRET) == SECRET
    assert mask.text(f"\udcff {SECRET}") == "\udcff ***"


def test_a_complaint_about_a_sensitive_value_does_not_show_it(tmp_path):
    text = "[config]\nkey = { default = '', sensitive = true, type = 'int' }\n" + rule("a", "true")
    (tmp_path / "w.oxoflow").write_text("[workflow]\nname = 'w'\n" + text)
    said = run_program(tmp_path, "run", "w.oxoflow", f"key={SECRET}")
    assert b"config 'key' (sensitive, not shown) must be of the declared type" in said
    assert held_by(said) == []
    assert leaks(tmp_path) == []


def test_a_value_that_an_included_file_declares_sensitive_is_one(tmp_path):
    (tmp_path / "part.oxoflow").write_text(
        "[workflow]\nname = 'p'\n[config]\nkey = { default = '', sensitive = true }\n"
        + rule("b", "echo {config.key}")
    )
    (tmp_path / "w.oxoflow").write_text(
        "[workflow]\nname = 'w'\n[[include]]\npath = 'part.oxoflow'\n"
        + rule("a", "echo {config.key}")
    )
    said = run_program(tmp_path, "run", "w.oxoflow", f"key={SECRET}")
    assert b"success" in said
    assert leaks(tmp_path) == []


def test_a_fault_is_told_without_the_secret(tmp_path):
    text = workflow(SECRET)
    assert execute(tmp_path, text, keep_going=True).exit_code == 1
    assert leaks(tmp_path) == []
    assert "***" in event_of(tmp_path, "refused", "rule_failed").data["error"]
