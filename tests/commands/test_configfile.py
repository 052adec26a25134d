"""Config values from a file: what may stand in it, what beats it, and what is said of a bad one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from oxoflow.commands.configfile import read_config_file
from oxoflow.engine.configstdin import config_stdin
from oxoflow.errors import UsageError

FLOW = """
[workflow]
name = "flow"
[config]
a = "1"
b = "2"
c = "3"
"""
ODD = 'it\'s "odd"\n= {x} é'


def config_of(directory: Path, *words: str, stdin: int = subprocess.DEVNULL) -> dict[str, str]:
    """What `oxoflow config` says the values are."""
    (directory / "main.oxoflow").write_text(FLOW)
    command = [sys.executable, "-m", "oxoflow", "config", str(directory / "main.oxoflow"), "--json"]
    done = subprocess.run([*command, *words], stdin=stdin, capture_output=True, check=True)
    return json.loads(done.stdout)["config"]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "text",
    [
        '{"a": "x y", "n": 3, "on": true}',
        '\n{"a":"x y","n":3,"on":true}',
        'a="x y"\nn=3\non=true\n',
    ],
)
def test_a_file_is_toml_or_json(tmp_path: Path, text: str) -> None:
    (tmp_path / "values").write_text(text)
    assert read_config_file(str(tmp_path / "values")) == {"a": "x y", "n": "3", "on": "true"}


def test_a_later_file_beats_an_earlier_one_and_words_beat_both(tmp_path: Path) -> None:
    (tmp_path / "one").write_text('a = "one"\nb = "one"\nc = "one"')
    (tmp_path / "two").write_text('b = "two"\nc = "two"')
    files = [f"--config-file={tmp_path / 'one'}", "--config-file", str(tmp_path / "two")]
    found = config_of(tmp_path, "c=word", *files)
    assert [found[name] for name in "abc"] == ["one", "two", "word"]


def test_values_come_by_stdin_whatever_stands_in_them_and_however_many(tmp_path: Path) -> None:
    given = {"a": ODD, "b": "", "c": "é" * 200_000}  # more than a pipe holds
    with config_stdin(given) as stdin:
        found = config_of(tmp_path, "--config-file", "-", stdin=stdin)
    assert {name: found[name] for name in given} == given


def test_without_values_stdin_is_empty() -> None:
    with config_stdin({}) as stdin, open(stdin, "rb", closefd=False) as source:
        assert source.read() == b""


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"s3cret", "neither a JSON object nor TOML"),
        (b'{"a": s3cret}', "neither a JSON object nor TOML"),
        (b'{"a": ["s3cret"]}', "'a' must be a text, a number, true or false"),
        (b"[config]\na = 's3cret'", "'config' must be a text, a number, true or false"),
        (b'{"a": "s3cret\\u0000"}', "'a' has no name or holds a NUL"),
        (b"\xff s3cret", "no UTF-8"),
        (b'{"a":' * 100_000, "neither a JSON object nor TOML"),
    ],
)
def test_what_is_no_such_file_is_told_without_its_content(
    tmp_path: Path, content: bytes, said: str
) -> None:
    (tmp_path / "values").write_bytes(content)
    with pytest.raises(UsageError) as told:
        read_config_file(str(tmp_path / "values"))
    assert said in str(told.value)
    assert "s3cret" not in str(told.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'.*absent' cannot be read: No such file"):
        read_config_file(str(tmp_path / "absent"))
