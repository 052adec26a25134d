from __future__ import annotations

from oxoflow.lang.parse import parse_workflow
from oxoflow.lang.summary import count_levels, detail, outputs_to_clean, stats

TEXT = """
[workflow]
name = "w"

[defaults]
threads = 4
environment = { conda = "env.yaml" }

[[rules]]
name = "a"
input = ["raw/{sample}_{lane}.fq"]
output = ["a/{sample}.txt", "shared.txt"]
shell = "x"

[[rules]]
name = "b"
input = { path = "a", pattern = "*.txt" }
output = ["b.txt", "shared.txt"]
script = "b.py"
shell = "y"
resources = { threads = 16 }
environment = { docker = "img:1" }
"""


def test_detail_applies_the_defaults():
    assert detail(parse_workflow(TEXT)) == {
        "name": "w",
        "version": "0.1.0",
        "description": None,
        "author": None,
        "rules_count": 2,
        "rules": [
            {
                "name": "a",
                "inputs": ["raw/{sample}_{lane}.fq"],
                "outputs": ["a/{sample}.txt", "shared.txt"],
                "environment": "conda",
                "threads": 4,
            },
            {
                "name": "b",
                "inputs": ["a/*.txt"],
                "outputs": ["b.txt", "shared.txt"],
                "environment": "docker",
                "threads": 16,
            },
        ],
        "includes": [],
    }


def test_stats_count_rules_edges_levels_threads_and_wildcards():
    assert stats(parse_workflow(TEXT), [("a", "b")]) == {
        "rule_count": 2,
        "shell_rules": 2,
        "script_rules": 1,
        "dependency_count": 1,
        "parallel_groups": 2,
        "max_depth": 1,
        "environments": ["conda", "docker"],
        "total_threads": 20,
        "wildcard_count": 2,
        "wildcard_names": ["lane", "sample"],
    }


def test_without_rules_or_without_a_graph_the_levels_are_zero():
    empty = stats(parse_workflow('[workflow]\nname = "w"'), [])
    assert (empty["rule_count"], empty["parallel_groups"], empty["max_depth"]) == (0, 0, 0)
    failed = stats(parse_workflow(TEXT), None)
    assert (failed["dependency_count"], failed["parallel_groups"]) == (0, 0)


def test_threads_are_summed_up_to_a_limit():
    big = '[workflow]\nname="w"\n' + "".join(
        f'[[rules]]\nname="r{n}"\nresources.threads = 4294967295\n' for n in range(3)
    )
    assert stats(parse_workflow(big), [])["total_threads"] == 4294967295


def test_levels_are_the_longest_chain_and_repeated_edges_count_once():
    edges = [("a", "b"), ("b", "d"), ("a", "d"), ("a", "d"), ("c", "c")]
    assert count_levels(["a", "b", "c", "d"], edges) == 3
    assert count_levels(["a", "b"], [("a", "b"), ("b", "a")]) == 0


def test_outputs_to_clean_are_unique_and_in_order():
    assert outputs_to_clean(parse_workflow(TEXT)) == ["a/{sample}.txt", "shared.txt", "b.txt"]
