"""Test reference data: derived paths, builds, declared config values and their checks."""

from __future__ import annotations

import pytest

from oxoflow.errors import ParseError, WorkflowError
from oxoflow.lang.configrefs import fill, settle
from oxoflow.lang.declared import check_config
from oxoflow.lang.parse import parse_workflow
from tests.lang.build import HEAD, Files, composed


def reference(**fields: str) -> str:
    lines = "".join(f"{key} = {value}\n" for key, value in fields.items())
    return f'[[references]]\nname = "r"\n{lines}'


def test_a_reference_directory_gives_paths_and_builds():
    workflow = composed('[config]\nreference_dir = "/ref/"\nbwa_index = "mine"\n')
    assert workflow.config["reference_fasta"] == "/ref/genome.fa"
    assert workflow.config["bwa_index"] == "mine"
    assert [r.name for r in workflow.references] == [
        "samtools_faidx",
        "bwa_index",
        "bwamem2_index",
        "bowtie2_index",
        "minimap2_index",
        "star_index",
        "hisat2_index",
        "gatk_dict",
    ]
    assert workflow.references[1].build == (
        "mkdir -p /ref/bwa && bwa index -p /ref/bwa/genome.fa /ref/genome.fa"
    )


def test_own_references_replace_the_default_ones():
    text = 'reference_dir = "d"\n' + HEAD + reference(output='"o"', build='"make o"')
    workflow = composed(text)
    assert [r.name for r in workflow.references] == ["r"]
    assert workflow.config["gene_annotation"] == "d/genes.gtf"


@pytest.mark.parametrize(
    ("build", "command"),
    [
        ('"samtools_faidx"', "mkdir -p d && samtools faidx s.fa"),
        ('"bwa_index"', "mkdir -p d && bwa index -p d/g.fa s.fa"),
        ('"picard_dict"', "mkdir -p d && picard CreateSequenceDictionary R=s.fa O=d/g.fa.bwt"),
        (
            '"star_index"',
            "mkdir -p d/g.fa.bwt && STAR --runMode genomeGenerate --genomeDir d/g.fa.bwt "
            "--genomeFastaFiles s.fa --runThreadN 1",
        ),
        (
            '"bismark_index"',
            "mkdir -p d && bismark_genome_preparation --parallel 1 --verbose s.fa",
        ),
        ('"cp {source} {output} {config.x}"', "cp 's.fa' d/g.fa.bwt {config.x}"),
    ],
)
def test_a_build_is_a_template_or_a_command(build: str, command: str):
    text = reference(output='"d/g.fa.bwt"', source='"s.fa"', build=build)
    assert composed(text).references[0].build == command


def test_references_may_refer_to_each_other_in_any_order():
    text = (
        '[config]\ntop = "/data"\n'
        '[[references]]\nname = "b"\noutput = "{config.a}/b"\nbuild = "make it"\n'
        '[[references]]\nname = "a"\noutput = "{config.top}/a"\nbuild = "make it"\n'
    )
    config = composed(text).config
    assert (config["a"], config["b"]) == ("/data/a", "/data/a/b")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"output": '""', "build": '"make it"'}, "empty output"),
        ({"output": '"o"', "build": '""'}, "empty build"),
        ({"output": '"o"', "build": '"samtools_fadix"'}, "unknown template"),
        ({"output": '"o"', "build": '"bwa_index"'}, "without a source"),
    ],
)
def test_a_reference_that_cannot_be_built_does_not_load(fields: dict[str, str], words: str):
    with pytest.raises(ParseError, match=words):
        parse_workflow(HEAD + reference(**fields))
    twice = reference(output='"o"', build='"make it"') * 2
    with pytest.raises(ParseError, match="twice"):
        parse_workflow(HEAD + twice)


# Config values that refer to each other


def test_values_settle_however_deep_and_circles_keep_their_braces():
    values = {"a": "{config.b}-{config.c}", "b": "{config.d}", "d": "x", "c": "{config.gone}"}
    assert settle(values) == {"a": "x-{config.gone}", "b": "x", "d": "x", "c": "{config.gone}"}
    circle = {"a": "{config.b}", "b": "1{config.a}", "c": "{config.a}{config.d}", "d": "x"}
    assert settle(circle) == {"a": "{config.b}", "b": "1{config.a}", "c": "{config.a}x", "d": "x"}


def test_a_chain_of_thousands_settles_and_a_bomb_does_not_go_off():
    chain = {f"k{i}": f"{{config.k{i + 1}}}" for i in range(5000)} | {"k5000": "end"}
    assert settle(chain)["k0"] == "end"
    bomb = {f"k{i}": f"{{config.k{i + 1}}}" * 2 for i in range(64)} | {"k64": "x"}
    with pytest.raises(WorkflowError, match="more than 1048576 characters"):
        settle(bomb)
    assert fill("no braces", bomb) == "no braces"


def test_many_values_together_are_bounded_too_also_around_a_circle():
    many = {f"k{i}": "{config.long}" for i in range(100)} | {"long": "x" * 1_000_000}
    with pytest.raises(WorkflowError, match="more than 33554432 characters together, at 'k33'"):
        settle(many)
    around = {f"k{i}": f"{{config.k{(i + 1) % 100}}}{{config.long}}" for i in range(100)}
    with pytest.raises(WorkflowError, match="characters together"):
        settle(around | {"long": "x" * 1_000_000})


def test_a_value_in_a_circle_takes_what_stands_outside_of_it():
    values = {"a": "{config.b}{config.c}", "b": "{config.a}", "c": "{config.d}", "d": "x"}
    assert settle(values) == {"a": "{config.b}x", "b": "{config.a}", "c": "x", "d": "x"}


# Declared values


DECLARED = """
[config]
n = { default = "4", type = "int", range = "1..64", help = "how many" }
f = { default = "0.5", type = "float" }
b = { default = "true", type = "bool" }
p = { default = "here.txt", type = "path", must_exist = true }
c = { default = "x", choices = ["x", "y"], type = "color" }
open = { help = "may stay empty" }
bed = { type = "path", must_exist = true, help = "may stay empty" }
odd = { default = "9", range = "small" }
"""


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"n": "x"}, "whole number"),
        ({"n": "65"}, "from 1 to 64"),
        ({"n": "0"}, "from 1 to 64"),
        ({"n": "1_0"}, "whole number"),
        ({"f": "x"}, "a number"),
        ({"b": "yes"}, "true or false"),
        ({"p": "gone.txt"}, "does not exist"),
        ({"p": ""}, "is empty"),
        ({"bed": "gone.bed"}, "does not exist"),
        ({"c": "z"}, "one of: x, y"),
    ],
)
def test_a_declared_value_is_checked_and_the_flag_named(overrides: dict[str, str], words: str):
    workflow = composed(DECLARED, overrides=overrides)
    (found,) = check_config(workflow, Files({"here.txt": ""}))
    assert words in found.message
    assert f"--{next(iter(overrides))}" in found.message


def test_declared_defaults_pass_their_own_checks():
    assert check_config(composed(DECLARED), Files({"here.txt": ""})) == []


def test_a_plain_value_from_the_host_keeps_a_declaration_of_a_module_away():
    module = HEAD + '[config]\nk = { default = "a", choices = ["a"] }\n'
    host = '[config]\nk = "other"\n[[include]]\npath = "m"\n'
    assert check_config(composed(host, {"m": module}), Files()) == []
