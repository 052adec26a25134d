"""Run what workflows from the field write, and look at what bash made of it."""

import subprocess

import pytest

from tests.cli.conftest import command, environment
from tests.patience import PATIENCE

HEAD = """\
# ünïcödé — in a comment
[workflow]
name = "traps"
[config]
run_id = "R1"
words = ["x y", "z"]
empty = []
blank = ""
tiny = 0.0001
[unknown.table]
a = 1
[[values]]
name = "v"
values = [0.0001, 2.50, 21, true, "a"]
[[sample_groups]]
name = "g"
samples = ["S1", "S2"]
[[pairs]]
pair_id = "P1"
experiment = "E1"
"""
# By rule: its fields beside name and output, and what its output file holds afterwards.
TRAPS = {
    "joined": ('shell = """\nprintf \'a\\\\tb\\n\' \\\n   > {output}\n"""', "a\tb\n"),
    "raw": ("shell = '''printf 'a\\tb\\n' > {output}'''", "a\tb\n"),
    "shell_variables": (
        "shell = '''s=q run_id=r; echo \"${run_id} ${s}_1 $((1 + 2))\" > {output}'''",
        "r q_1 3\n",
    ),
    "inner_threads": ("threads = 2\nshell = 'echo $(({threads} - 1)) > {output}'", "1\n"),
    "awk": (
        "shell = '''echo a b | awk 'BEGIN { x = 1; print x } {print $2} {print $14}' > {output}'''",
        "1\nb\n\n",
    ),
    "find_each": (
        "shell = '''find . -maxdepth 1 -name traps.oxoflow -exec echo {} \\; > {output}'''",
        "./traps.oxoflow\n",
    ),
    "find_all": (
        "shell = '''find . -maxdepth 1 -name x.py -exec cat {} + > {output}'''",
        "import sys\nprint(repr(sys.argv[1:]), file=open('script.txt', 'w'))\n",
    ),
    "blocks": (
        "shell = '''\n{ echo one;\n  false;\n} > {output} || {\n  echo two; } >> {output}\n'''",
        "one\ntwo\n",
    ),
    "functions": ("shell = '''f() { echo in f; }\nf > {output}'''", "in f\n"),
    "json": ("shell = '''echo '{\"a\": {\"b\": [1]}}' > {output}'''", '{"a": {"b": [1]}}\n'),
    "perl": (
        "shell = '''echo 'foreach (@x) { print \"$_ {y}\"; }' > {output}'''",
        'foreach (@x) { print "$_ {y}"; }\n',
    ),
    "braces": ("shell = '''# {1,2} lists\necho {1,2} > {output}'''", "1 2\n"),
    "substitution": ("shell = 'cat <(echo 1) <(echo 2) > {output}'", "1\n2\n"),
    "tests": ("shell = '[[ ab == a* ]] && echo yes &> {output}'", "yes\n"),
    "pipefail": ("shell = 'set -o pipefail; false | true || echo no > {output}'", "no\n"),
    "escapes": ("shell = 'echo -e \"x\\ty\" > {output}'", "x\ty\n"),
    "no_errexit": ("shell = 'false; echo on > {output}'", "on\n"),
    "heredoc": (
        "shell = '''\ncat > {output} <<HERE\n  two\n\ttab\nHERE\n'''",
        "  two\n\ttab\n",
    ),
    "script": ('script = "x.py a \\"\\" b"', "['a', '', 'b']\n"),
    "lists": (
        "shell = 'echo [{config.words}][{config.empty}][{config.blank}][{config.tiny}] > {output}'",
        "[x y z][][][0.0001]\n",
    ),
    "made_before": (
        "input = ['made/0.0001.txt', 'made/2.5.txt', 'made/true.txt', 'made/21.txt']\n"
        "shell = 'cat {input} > {output}'",
        "0.0001\n2.5\ntrue\n21\n",
    ),
    "after_all": ("depends_on = ['fan']\nshell = 'cat fan/* > {output}'", "[]\n[]\n"),
    "clamped": (
        'threads = 100000\nmemory = "900000G"\nshell = """test {threads} = 100000 && '
        "test {effective_threads} -lt 100000 && test {effective_memory_mb} -lt 921600000 && "
        'echo {memory} > {output}"""',
        "900000G\n",
    ),
}
OTHERS = """\
[[rules]]
name = "make"
output = ["made/{v}.txt"]
shell = "echo '{v}' > {output}"
[[rules]]
name = "fan"
output = ["fan/{sample}.txt"]
shell = "echo [${sample}] > {output}"
[[rules]]
name = "control"
output = ["control/{pair_id}.txt"]
shell = "echo '[{control}] {experiment}' > {output}"
[[rules]]
name = "no_control"
optional = true
input = ["bam/{control}.bam"]
output = ["never/{pair_id}.txt"]
shell = "touch {output}"
[[rules]]
name = "directory"
output = ["deep/er/result"]
shell = "mkdir {output} && touch {output}/x"
[[rules]]
name = "one"
when = "config.run_id == 'R1'"
output = ["one_of.txt"]
shell = "echo 1 > {output}"
[[rules]]
name = "other"
when = "config.run_id != 'R1'"
output = ["one_of.txt"]
shell = "echo 2 > {output}"
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The directory of a run of all of them, and what the run printed."""
    here = tmp_path_factory.mktemp("traps")
    rules = [
        f"[[rules]]\nname = \"{name}\"\noutput = ['{name}.txt']\n{fields}\n"
        for name, (fields, _) in TRAPS.items()
    ]
    (here / "traps.oxoflow").write_text(HEAD + "".join(rules) + OTHERS, encoding="utf-8")
    (here / "x.py").write_text(TRAPS["find_all"][1])
    done = subprocess.run(
        command("run", "-j", "2", "-k"),
        cwd=here,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    return here, done.stdout + done.stderr


@pytest.mark.parametrize("name", TRAPS)
def test_a_command_does_what_its_author_wrote(run, name):
    here, said = run
    assert (here / f"{name}.txt").exists(), said
    assert (here / f"{name}.txt").read_text() == TRAPS[name][1]


def test_a_pair_without_control_has_an_empty_one_and_an_optional_rule_is_skipped(run):
    here, said = run
    assert (here / "control/P1.txt").read_text() == "[] E1\n"
    assert "skipped  no_control_P1  optional inputs missing" in said
    assert not (here / "never").exists()


def test_a_directory_that_is_an_output_is_left_to_its_rule(run):
    assert (run[0] / "deep/er/result/x").exists()


def test_of_two_rules_that_exclude_each_other_one_writes_the_file(run):
    here, said = run
    assert (here / "one_of.txt").read_text() == "1\n"
    assert "all write" not in said


def test_demands_beyond_the_machine_are_clamped_with_a_warning(run):
    assert "rule 'clamped' asks for 100000 threads" in run[1]
