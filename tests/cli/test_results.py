"""What runs left behind is shown whole, whatever its size and whatever is in it."""

import os
import shlex
import subprocess

from tests.cli.conftest import command, environment


def test_a_log_may_be_larger_than_memory(here, shell):
    (here / "main.oxoflow").write_text(
        "[workflow]\nname = 'w'\n[[rules]]\nname = 'a'\nshell = 'echo said'\n"
    )
    shell("run")
    log = here / ".oxo-flow/logs/a.out"
    os.truncate(log, 600_000_000)
    script = f"ulimit -v 400000; {shlex.join(command('logs', 'a', '--stream', 'stdout'))} | wc -c"
    told = subprocess.run(
        ["bash", "-c", script], cwd=here, env=environment(), capture_output=True, text=True
    )
    assert (told.stdout.strip(), told.stderr) == ("600000000", "")
    log.write_text("e" + "é" * 1_000_000 + '"\n', "utf-8")  # no letter is cut between two pieces
    assert shell("logs", "a", "--json").json["stdout"] == "e" + "é" * 1_000_000 + '"\n'


def test_a_record_is_one_line_whatever_its_job_is_called(here, shell):
    (here / "main.oxoflow").write_text(
        "[workflow]\nname = 'w'\n[[sample_groups]]\nname = 'g'\n"
        + 'samples = ["a\\tb", "c\\rd", "e\\\\f"]\n'
        "[[rules]]\nname = 'r'\noutput = ['{sample}.txt']\nshell = ': > \"{output}\"'\n"
    )
    shell("run", "-k")
    _, *rows = shell("records").out.splitlines()
    assert {row.split("\t")[0] for row in rows} == {r"r_g_a\tb", r"r_g_c\rd", r"r_g_e\\f"}


def test_the_last_words_of_a_failed_job_give_the_terminal_no_orders(here, shell):
    (here / "main.oxoflow").write_text(
        "[workflow]\nname = 'w'\n[[rules]]\nname = 'a'\n"
        'shell = """printf "\\\\016no\\\\302\\\\233 lu\\\\000ck\\\\n" >&2; exit 3"""\n'
    )
    assert "\n    no luck\n" in shell("run").out
