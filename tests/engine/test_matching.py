"""Inputs find outputs by the five ways of spec 4.1."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxoflow.engine.matching import (
    OutputIndex,
    glob_pattern,
    looks_like_directory,
    template_fits,
    tidy,
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("m", True),
        ("m/", True),
        ("refs/genome.fa", False),
        ("a.FASTQ", False),
        ("x.fq.gz", False),
        ("table.dat", True),
        (".hidden", True),
        ("dir.d/file.bam", False),
        ("dir.d/file", True),
    ],
)
def test_a_path_without_known_extension_counts_as_directory(path, expected):
    assert looks_like_directory(path) is expected


@pytest.mark.parametrize(
    ("glob", "path", "expected"),
    [
        ("m/*.bam", "m/S1.bam", True),
        ("m/*.bam", "m/deep/S1.bam", False),
        ("*", "a/b", False),
        ("**/x*.bam", "x1/x2.bam", True),
        ("**/x.bam", "x.bam", True),
        ("d/**", "d/e/f", True),
        ("a*b*c", "abbc", True),
        ("a*b*c", "abcbd", False),
        ("a*b", "ab", True),
        ("a*ab", "aab", True),
        ("[!a]*", "ab", False),
        ("[!a]*", "ba", True),
        ("[a-c]x", "bx", True),
        ("[a-c]x", "dx", False),
        ("a?", "a/", False),
        ("a?c", "abc", True),
        ("[]]x", "]x", True),
        ("a.b", "axb", False),
    ],
)
def test_globs_match_inside_one_component(glob, path, expected):
    pattern = glob_pattern(glob)
    assert pattern is not None
    assert bool(pattern.match(path)) is expected


@pytest.mark.parametrize("glob", ["x[", "[!", "[z-a]", "**/**/**/**/**/x"])
def test_a_glob_that_cannot_be_compiled_matches_nothing(glob):
    assert glob_pattern(glob) is None
    assert OutputIndex([("x", 0)]).match(glob) == []


def test_a_hostile_glob_does_not_backtrack():
    # with backtracking this would not end within the age of the universe
    pattern = glob_pattern("*a" * 40 + "b")
    assert pattern is not None
    assert not pattern.match("a" * 4000)


@pytest.mark.parametrize(
    ("template", "text", "expected"),
    [
        (("v/", ".vcf"), "v/N1.vcf", True),
        (("v/", ".vcf"), "v/a/b.vcf", True),
        (("v/", ".vcf"), "v/.vcf", False),
        (("v/", ".vcf"), "v/a b.vcf", False),
        (("", "_", ".x"), "a_b_c.x", True),
        (("", "_", ".x"), "_b.x", False),
        (("a", "a", "a"), "aaa", False),
        (("a", "a", "a"), "axaya", True),
    ],
)
def test_placeholders_of_templates_stand_for_one_or_more_characters(template, text, expected):
    assert template_fits(template, text) is expected


def test_all_owners_of_a_path_are_given():
    index = OutputIndex([("x", 0), ("x", 1), ("y", 1), ("x", 2)])
    assert list(index.exact("x")) == [0, 1, 2]
    assert list(index.exact("y")) == [1]
    assert list(index.exact("z")) == []
    assert [(path, list(owners)) for path, owners in index.shared()] == [("x", [0, 1, 2])]


def test_directories_globs_and_templates_find_their_outputs():
    index = OutputIndex(
        [
            ("m/S1.bam", 0),
            ("m/S2.bam", 1),
            ("mm/S3.bam", 2),
            ("v/{s}.vcf", 3),
            ("refs/genome.fa", 4),
        ]
    )
    assert sorted(index.match("m")) == [0, 1]
    assert sorted(index.match("m/")) == [0, 1]
    assert sorted(index.match("m/*.bam")) == [0, 1]
    assert index.match("v/N1.vcf") == [3]
    assert index.match("refs/genome.fa") == [4]
    assert sorted(index.match_directory("m/", "*2.bam")) == [1]
    assert sorted(index.match_directory("m", None)) == [0, 1]
    assert index.match_shape("v/{other}.vcf") == [3]


@pytest.mark.parametrize("output", ["asm/quast", "asm/quast/"])
@pytest.mark.parametrize("path", ["asm/quast", "asm/quast/"])
def test_a_directory_is_the_same_with_and_without_a_slash_at_its_end(output, path):
    outputs = OutputIndex([(output, 3), ("asm/quast2", 4)])
    assert set(outputs.match(path)) == {3}
    assert set(outputs.match_directory(path, None)) == {3}
    assert set(outputs.match_directory(path, "*.tsv")) == {3}


def test_a_glob_with_a_literal_end_is_narrowed_by_it():
    paths = [(f"d/{number}_{sample}.bam", number) for number in range(100) for sample in "ab"]
    index = OutputIndex(paths)
    assert sorted(index.match("d/*_a.bam")) == list(range(100))
    assert sorted(index.match("d/7_*.bam")) == [7, 7]


@pytest.mark.parametrize(
    ("path", "expected"),
    [("./a", "a"), ("a//b", "a/b"), ("a/./b/", "a/b/"), ("s3://x//y", "s3://x//y"), ("a/b", "a/b")],
)
def test_two_spellings_of_a_path_are_one(path, expected):
    assert tidy(path) == expected


words = st.text("ab/.*?", min_size=1, max_size=8)


@given(st.lists(words, max_size=8), words)
def test_a_literal_output_is_always_found_by_its_own_name(outputs, path):
    index = OutputIndex([*((output, 0) for output in outputs), (path, 1)])
    assert 1 in index.match(path)


@given(st.text("ab_", min_size=1, max_size=12), st.text("ab*?", min_size=1, max_size=6))
def test_globs_agree_with_a_plain_matcher(text, glob):
    def fits(at, rest):
        if not rest:
            return at == len(text)
        if rest[0] == "*":
            return fits(at, rest[1:]) or (at < len(text) and fits(at + 1, rest))
        return at < len(text) and rest[0] in ("?", text[at]) and fits(at + 1, rest[1:])

    pattern = glob_pattern(glob)
    if pattern is not None:
        assert bool(pattern.match(text)) is fits(0, glob)
