"""Hold when a shell is needed, and what it is given."""

import subprocess

import pytest

from oxoflow.environments.shell import Shell, compose, quote


@pytest.fixture
def path(tmp_path):
    for name, text in (
        ("tool", "#!/bin/sh\n"),
        ("bare", "echo no interpreter line\n"),
        ("echo", "#!/bin/sh\n"),
    ):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "plain").write_text("not executable")
    return str(tmp_path)


@pytest.mark.parametrize(
    "text",
    ["tool", "tool a -b --c=d x/y.txt", " tool\ta:b,c @f %1 +x \n"],
)
def test_literal_words_with_a_program_on_the_path_need_no_shell(path, text):
    assert Shell(path).argv(text, bare=True) == (f"{path}/tool", *text.split()[1:])


@pytest.mark.parametrize(
    "text",
    [
        "echo a",
        "test -e a",
        "if",
        "time tool",
        "A=1 tool",
        "./tool",
        "missing a",
        "plain",
        "bare",
        "tool > a",
        "tool; tool",
        "tool $A",
        "tool *",
        "tool 'a'",
        "tool ~",
        "tool {a,b}",
        "tool a # b",
        "tool a\ntool b",
        "tool a\\ b",
        "tool ä",
        "! tool",
        "",
    ],
)
def test_everything_else_goes_through_the_shell_as_it_is(path, text):
    argv = Shell(path).argv(text, bare=True)
    assert argv[1:] == ("-c", text)


def test_a_shell_that_may_know_functions_is_always_asked(path):
    assert Shell(path, functions=True).argv("tool a", bare=True)[1:] == ("-c", "tool a")
    assert Shell(path).argv("tool a")[1:] == ("-c", "tool a")


def test_programs_are_looked_for_on_the_path_of_the_rules(path):
    shell = Shell(path)
    assert shell.has_program("tool")
    assert not shell.has_program("plain")
    assert not shell.has_program("ls")


@pytest.mark.parametrize("value", ["", "a b", "it's", "$HOME `x` \\", "a\nb"])
def test_quoting_survives_a_shell(value):
    found = subprocess.run(
        ["sh", "-c", f"printf %s {quote(value)}"], capture_output=True, text=True
    )
    assert found.stdout == value


def test_exports_stand_between_prelude_and_command():
    assert compose("set -e", {"A": "x y"}, "run") == "set -e\nexport A='x y'\nrun"
    assert compose("", {}, "run") == "run"
