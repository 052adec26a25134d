"""What a job only waits for: when new results of it count, and when they do not."""

from oxoflow.engine.deciding import Verdict
from tests.engine.making import carry_out, decisions

HEAD = """
[[sample_groups]]
name = "g"
samples = [%s]

[[values]]
name = "v"
values = ["1", "2"]
"""
RULES = """
[[rules]]
name = "map"
input = ["{sample}.fq"]
output = ["map/{sample}"]
shell = "cp {input} {output}"

[[rules]]
name = "draw"
input = ["map/{sample}"]
depends_on = ["map"]
output = ["draw/{sample}"]
shell = "cp {input} {output}"

[[rules]]
name = "all"
depends_on = ["map"]
output = ["all"]
shell = "cat map/* > {output}"
"""


def ran(tmp_path, samples: str, rules: str = RULES) -> list[str]:
    return sorted(carry_out(HEAD % samples + rules, tmp_path))


def fill(tmp_path, *samples: str) -> None:
    for name in samples:
        (tmp_path / f"{name}.fq").write_text(name)


def test_a_job_that_reads_its_own_sample_s_file_waits_for_no_other_sample(tmp_path):
    fill(tmp_path, "A", "B")
    assert len(ran(tmp_path, '"A", "B"')) == 5
    (tmp_path / "A.fq").write_text("new")
    assert ran(tmp_path, '"A", "B"') == ["all", "draw_g_A", "map_g_A"]


def test_what_is_new_to_wait_for_counts_and_what_is_gone_or_moved_does_not(tmp_path):
    fill(tmp_path, "A", "B", "C")
    assert len(ran(tmp_path, '"A", "B"')) == 5
    assert ran(tmp_path, '"B", "A"') == []
    assert ran(tmp_path, '"B"') == []
    assert ran(tmp_path, '"A", "B"') == []
    assert ran(tmp_path, '"C", "A", "B"') == ["all", "draw_g_C", "map_g_C"]
    alone = RULES.replace('depends_on = ["map"]\noutput = ["all"]', 'output = ["all"]')
    assert ran(tmp_path, '"A"', alone) == []


def test_who_waits_for_less_and_has_changed_says_only_what_changed(tmp_path):
    fill(tmp_path, "A", "B")
    ran(tmp_path, '"A", "B"')
    changed = HEAD % '"A"' + RULES.replace("cat map", "cat -n map")
    decision = decisions(changed, tmp_path)["all"]
    assert decision.verdict is Verdict.RUN
    assert [reason.part for reason in decision.reasons] == ["command"]


def test_files_that_a_pattern_finds_are_read_of_the_job_that_finds_them(tmp_path):
    fill(tmp_path, "A", "B")
    rules = """
[[rules]]
name = "cut"
input = ["{sample}.fq"]
output_pattern = "cut/{sample}/{part}"
shell = "mkdir -p cut/{sample}; cp {input} cut/{sample}/1"

[[rules]]
name = "use"
input = ["cut/{sample}/{part}"]
depends_on = ["cut"]
output = ["use/{sample}.{part}"]
shell = "cp {input} {output}"
"""
    ran(tmp_path, '"A", "B"', rules)
    assert ran(tmp_path, '"A", "B"', rules) == ["use_g_A_1", "use_g_B_1"]
    (tmp_path / "A.fq").write_text("new")
    assert ran(tmp_path, '"A", "B"', rules) == ["cut_g_A", "use_g_A_1"]
