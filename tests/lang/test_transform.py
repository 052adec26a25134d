"""Test the transform operator: chunks, combining commands, splits, what the halves inherit."""

from __future__ import annotations

import pytest

from oxoflow.errors import WorkflowError
from tests.lang.build import by_name, jobs_of, rule

GROUP = '[[sample_groups]]\nname = "g"\nsamples = ["S1", "S2"]\nmetadata = { lab = "L" }\n'


def transform(text: str, **fields: str) -> str:
    return rule(
        "t", transform="{ split = { by = 'k', values = ['a', 'b'] }, " + text + " }", **fields
    )


def test_chunks_take_the_first_outputs_place_when_it_names_the_variable():
    jobs = jobs_of(transform("map = 'm'", output='["x/{k}.bam"]'))
    assert [job.output.paths for job in jobs] == [("x/a.bam",), ("x/b.bam",)]


@pytest.mark.parametrize(
    ("fields", "chunk"),
    [
        ({}, ".oxo-flow/chunks/k/a.out"),
        ({"output": '["d.e/plain"]'}, ".oxo-flow/chunks/k/a.out"),
        ({"output": '["s.vcf.gz"]'}, ".oxo-flow/chunks/k/a.vcf.gz"),
    ],
)
def test_chunks_keep_the_whole_extension(fields: dict[str, str], chunk: str):
    assert jobs_of(transform("map = 'm'", **fields))[0].output.paths == (chunk,)


@pytest.mark.parametrize(
    ("combine", "command"),
    [
        ("{ aggregate = true }", "cat {input} > {output[0]}"),
        (
            '{ aggregate = true, header = "it\'s" }',
            "{ echo 'it'\\''s' && cat {input}; } > {output[0]}",
        ),
        ('{ shell = "join {chunks} {output}", aggregate = true }', "join {input} {output}"),
        ('"join {chunks}"', "join {input}"),
    ],
)
def test_combining_commands(combine: str, command: str):
    jobs = jobs_of(transform(f"map = 'm', combine = {combine}, cleanup = true", output='["o"]'))
    assert jobs[-1].shell == command
    assert jobs[-1].rule.cleanup_chunks
    assert jobs[-1].rule.name == "t"


@pytest.mark.parametrize(
    ("split", "values"),
    [
        ("values_from = 'config.l'", ["1", "2"]),
        ("n = 3", ["0", "1", "2"]),
        ("n = 'config.n'", ["0", "1"]),
        ("n = 'lots'", ["0"]),
        ("glob = 'in/*.fa'", ["in/a.fa", "in/b.fa"]),
        ("values = ['x'], n = 9, glob = '*'", ["x"]),
    ],
)
def test_the_first_source_of_a_split_wins(split: str, values: list[str]):
    table = f"{{ split = {{ by = 'k', {split} }}, map = 'm' }}"
    text = "[config]\nl = '1,2'\nn = 2\n" + rule("t", transform=table)
    jobs = jobs_of(text, {"in/b.fa": "", "in/a.fa": ""})
    assert [job.bindings for job in jobs] == [(("k", value),) for value in values]


@pytest.mark.parametrize("split", ["values_from = 'config.gone'", "glob = 'gone*'", "n = 0"])
def test_a_split_without_values_is_an_error(split: str):
    text = f"[[rules]]\nname = 't'\ntransform = {{ split = {{ by = 'k', {split} }}, map = 'm' }}\n"
    with pytest.raises(WorkflowError) as caught:
        jobs_of(text)
    found = caught.value.diagnostics[0]
    assert (found.rule, found.key) == ("t", "transform.split")


def test_the_halves_inherit_what_belongs_to_the_work():
    jobs = jobs_of(
        transform(
            "map = '{params.p}', combine = 'c'",
            output='["o"]',
            threads="4",
            retries="2",
            log='"l"',
            params="{ p = 1 }",
            when='"config.x"',
        )
    )
    mapped, combined = jobs[0].rule, jobs[-1].rule
    assert (mapped.threads, mapped.retries, mapped.log, mapped.when) == (4, 2, None, "config.x")
    assert (combined.threads, combined.retries, combined.params) == (4, 0, {"p": 1})


@pytest.mark.parametrize(
    ("second", "chunks"),
    [
        ("b.vcf.gz", (".oxo-flow/chunks/k/v.txt", ".oxo-flow/chunks/k/v.vcf.gz")),
        ("b.txt", (".oxo-flow/chunks/k/one/v.txt", ".oxo-flow/chunks/k/two/v.txt")),
    ],
)
def test_transforms_over_one_variable_part_only_where_their_chunks_would_collide(
    second: str, chunks: tuple[str, str]
):
    split = "{ split = { by = 'k', values = ['v'] }, map = 'm' }"
    rules = [
        rule(name, transform=split, output=f"['{output}']")
        for name, output in (("one", "a.txt"), ("two", second))
    ]
    assert tuple(job.output.paths[0] for job in jobs_of("".join(rules))) == chunks


def test_a_transform_per_sample_keeps_its_chunks_apart_and_fills_the_map():
    jobs = by_name(
        jobs_of(
            GROUP
            + transform(
                "map = 'm {sample} {k}', combine = 'c'",
                input='["{sample}"]',
                output='["o{sample}"]',
            )
        )
    )
    assert list(jobs) == [
        "t_g_S1_a",
        "t_g_S1_b",
        "t_g_S2_a",
        "t_g_S2_b",
        "t_g_S1_combine",
        "t_g_S2_combine",
    ]
    assert jobs["t_g_S2_b"].shell == "m S2 b"
    assert jobs["t_g_S1_combine"].input.paths == (
        ".oxo-flow/chunks/k/t_g_S1/a.out",
        ".oxo-flow/chunks/k/t_g_S1/b.out",
    )
    assert jobs["t_g_S1_a"].bindings == (
        ("lab", "L"),
        ("group", "g"),
        ("sample", "S1"),
        ("k", "a"),
    )


def test_two_transforms_over_one_variable_write_different_chunks():
    split = "{ split = { by = 'k', values = ['a'] }, map = 'm', combine = 'c' }"
    jobs = jobs_of(
        rule("t", output='["o"]', transform=split) + rule("u", output='["p"]', transform=split)
    )
    outputs = [path for job in jobs for path in job.output.paths]
    assert len(set(outputs)) == len(outputs)
