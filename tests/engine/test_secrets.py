"""Sensitive values are found in nothing that a run leaves behind (spec/oxoflow-format.md 5.11)."""

import base64
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from oxoflow.engine.masking import Mask
from tests.engine.running import ROOT, event_of, execute, rule

SECRET = "tops3cret/value+1!"
LONG = "A-rather-long-secret-" + "0123456789" * 9 + "/end!"


def forms(secret: str) -> list[bytes]:
    """What to search for: the value, its URL forms and its base64, whole and from inside a text."""
    raw = secret.encode()
    found = [raw, quote(secret).encode(), quote(secret, safe="").encode()]
    found.append(quote_plus(secret).encode())
    found.append(json.dumps(secret)[1:-1].encode())
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        found.append(encode(raw).rstrip(b"="))
        for shift in range(3):
            middle = encode(b"x" * shift + raw + b"xx")
            found.append(middle[4:-8])
    return found


def held_by(content: bytes, secret: str = SECRET) -> list[bytes]:
    joined = content.replace(b"\r", b"").replace(b"\n", b"")
    return [form for form in forms(secret) if form in content or form in joined]


def leaks(place: Path, secret: str = SECRET) -> list[str]:
    """The files below a place that hold a secret in any form, in the order of their names."""
    found = []
    for path in sorted(place.rglob("*")):
        if path.is_file():
            found += [f"{path}: {form!r}" for form in held_by(path.read_bytes(), secret)]
    return found


# Everything that could print it: plain, split, quoted, in base64, wrapped, inside longer texts.
PRINTING = (
    "echo '{config.key}'; echo '{config.key}' >&2; "
    "k='{config.key}'; printf %s \"${k:0:5}\"; sleep 0.2; printf '%s\\n' \"${k:5}\"; "
    "for n in 0 1 2 50 51 52; do head -c $n /dev/zero | tr '\\0' a > pad; "
    '{ cat pad; printf %s "$k"; cat pad; } | base64; '
    '{ cat pad; printf %s "$k"; cat pad; } | base64 -w 64 >&2; '
    '{ cat pad; printf %s "$k"; } | base64 -w 0 | tr +/ -_; echo; done; rm pad; '
    "echo \"https://u:$k@h\" | sed 's,\\([^:]\\)/,\\1%2F,g; s/+/%2B/g; s/!/%21/g' >&2; "
    "echo \"q=$k\" | sed 's,/,%2f,g; s/+/%2b/g'; "
)


def workflow(default: str = "") -> str:
    return (
        f"[config]\ntop = '/'\nkey = {{ default = '{default}', sensitive = true }}\n"
        + rule("talks", PRINTING + "exit 3", envvars={"TOKEN": "{config.key}"}, retries=1)
        + rule(
            "makes",
            PRINTING + "echo > {output}",
            output=["o"],
            params={"p": "{config.key}"},
            on_success="echo {config.key}",
            pre_exec="echo {config.key}",
        )
        + rule("long", "# " + "x" * 130_000 + "\necho '{config.key}' | cut -c1-3 > b", output=["b"])
        + rule("refused", "rm -rf {config.top} '{config.key}'", output=["c"])
        + rule("outside", "echo > /nowhere", output=["/{config.key}"])
        + rule("lost", "true", output=["d/{config.key}"])
        + rule("short", "true", input=["e/{config.key}"])
        + rule("shadowed", "echo '{config.key}' >&2; exit 1", output=["f"], shadow="minimal")
        + rule("plain", "echo {config.key}", when='config.key != "x"')
    )


def run_program(place: Path, *words: str) -> bytes:
    """What the command line prints, both streams, whatever comes of it."""
    answer = subprocess.run(
        [sys.executable, "-m", "oxoflow", *words],
        cwd=place,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
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
