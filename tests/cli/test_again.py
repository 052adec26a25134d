"""What is taken up again includes what a checkpoint has added, or is yet to add."""

import pytest

FLOW = """[workflow]
name = "w"
[config]
found = "s2"
wrong = "s2"
[[sample_groups]]
name = "g"
samples = ["s1"]
[[rules]]
name = "find"
checkpoint = true
checkpoint_manifest = "found.toml"
output = ["found.toml"]
shell = "printf '[reentry]\\ngroup = \\"g\\"\\nsample = [\\"%s\\"]\\n' {config.found} > {output}"
[[rules]]
name = "work"
output = ["{sample}.txt"]
params = { wrong = "{config.wrong}" }
shell = "test {sample} != '{params.wrong}' && echo {sample} > {output}"
[[rules]]
name = "sum"
input = ["{sample}.txt"]
output = ["{sample}.sum"]
shell = "cat {input} > {output}"
"""


@pytest.fixture
def flow(here):
    (here / "main.oxoflow").write_text(FLOW)
    return here


def jobs(told):
    return {row["job"]: row["verdict"] for row in told.json["jobs"]}


def test_a_job_that_a_checkpoint_added_is_retried(flow, shell):
    assert shell("run", "-k").code == 1
    assert "FAILED   work_g_s2" in shell("retry").out
    assert "2 jobs done" in shell("retry", "--config", "wrong=none").out
    assert (flow / "s2.sum").read_text() == "s2\n"


def test_a_retry_from_a_checkpoint_runs_what_it_adds_now(flow, shell):
    assert shell("run", "-k", "wrong=none").code == 0
    told = shell("retry", "--from", "find", "--config", "found=s3")
    assert told.code == 0
    assert (flow / "s3.sum").read_text() == "s3\n"
    assert set(jobs(shell("plan", "found=s3", "wrong=none", "--json")).values()) <= {"skip", "run"}


def test_a_retry_whose_checkpoint_runs_again_does_not_miss_what_failed(flow, shell):
    assert shell("run", "-k").code == 1
    assert shell("retry", "--config", "found=s3").code == 0
    assert (flow / "s3.sum").read_text() == "s3\n"


@pytest.mark.parametrize("how", ["--target", "--force"])
def test_a_job_that_a_checkpoint_added_can_be_named(flow, shell, how):
    shell("run", "-k", "wrong=none")
    told = jobs(shell("plan", "wrong=none", how, "sum_g_s2", "--json"))
    assert told["sum_g_s2"] == ("run" if how == "--force" else "skip")
    assert ("sum_g_s1" in told) == (how == "--force")
    assert shell("run", "wrong=none", how, "sum_g_s2").code == 0


def test_a_result_that_a_checkpoint_called_for_can_be_accepted(flow, shell):
    shell("run", "-k", "wrong=none")
    (flow / "main.oxoflow").write_text(FLOW.replace("cat {input}", "cat < {input}"))
    assert shell("accept", "sum", "--config", "wrong=none").out == (
        "sum_g_s1\nsum_g_s2\n2 results accepted\n"
    )
    assert jobs(shell("plan", "wrong=none", "--json"))["sum_g_s2"] == "skip"
