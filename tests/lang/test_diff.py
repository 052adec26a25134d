from __future__ import annotations

import pytest

from oxoflow.lang.diff import diff
from oxoflow.lang.format import canonical
from oxoflow.lang.parse import parse_workflow

BASE = """
[workflow]
name = "w"
version = "1.0"

[config]
ref = "hg19.fa"
depth = 3
password = "hunter22"
token = { default = "abcdef", sensitive = true }

[defaults]
threads = 2

[[rules]]
name = "trim"
input = ["raw.fq"]
output = ["trim.fq"]
params = { q = 20, api_key = "topsecret" }
envvars = { TOKEN = "geheim" }
shell = '''
fastp -i {input}
gzip x
'''

[[rules]]
name = "map"
input = ["trim.fq"]
output = ["map.bam"]
threads = 1
shell = "bwa mem {input}"

[[pairs]]
pair_id = "P1"
experiment = "T"

[[sample_groups]]
name = "g"
samples = ["S1"]

[[values]]
name = "k"
values = [21]

[cluster]
partition = "short"
"""
RULE = '[[rules]]\nname = "new"\noutput = ["n.txt"]\nshell = "n"\n'


def told(old: str, new: str) -> list[tuple[str, str]]:
    found = diff(parse_workflow(old), parse_workflow(new))
    return [(difference.category, difference.description) for difference in found]


def change(*replacements: tuple[str, str]) -> str:
    text = BASE
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new, 1)
    return text


CASES = [
    ('version = "1.0"', 'version = "1.1"', "workflow", "version changed (1.0 -> 1.1)"),
    ('name = "w"', 'name = "w"\nauthor = "me"', "workflow", "author changed (none -> me)"),
    ('ref = "hg19.fa"', 'ref = "hg38.fa"', "config", "'ref' changed (hg19.fa -> hg38.fa)"),
    ('ref = "hg19.fa"\n', "", "config", "'ref' removed (hg19.fa)"),
    ("depth = 3", "depth = 3\nnew = [1, 2]", "config", "'new' added ([1, 2])"),
    ("depth = 3", "depth = 3.0", "config", "'depth' changed (3 -> 3.0)"),
    ("hunter22", "hunter23", "config", "'password' changed"),
    ('"abcdef"', '"fedcba"', "config", "'token' changed"),
    ("threads = 2", "threads = 4", "defaults", "threads changed (2 -> 4)"),
    ('experiment = "T"', 'experiment = "X"', "pairs", "pair 'P1' changed"),
    ('"P1"', '"P2"', "pairs", "pair 'P1' removed"),
    ('"P1"', '"P2"', "pairs", "pair 'P2' added"),
    ('["S1"]', '["S1", "S2"]', "sample_groups", "group 'g' changed"),
    ("[21]", "[21, 33]", "values", "table 'k' changed"),
    ('"short"', '"long"', "cluster", "table 'cluster' changed"),
    ("[cluster]", "[report]", "report", "table 'report' added"),
    ("[cluster]", "[report]", "cluster", "table 'cluster' removed"),
    ("[cluster]", f"{RULE}[cluster]", "rules", "rule 'new' added"),
    ('"trim.fq"]\nparams', '"t.fq"]\nparams', "rules", None),
    ('["raw.fq"]', '["r.fq"]', "rules", "rule 'trim': input changed (-'raw.fq' +'r.fq')"),
    ('["map.bam"]', '["map.bam", "x"]', "rules", "rule 'map': output changed (+'x')"),
    ("gzip x", "pigz x", "rules", "rule 'trim': shell changed (+1 -1 lines)"),
    ("threads = 1", "threads = 4", "rules", "rule 'map': threads changed (1 -> 4)"),
    ("threads = 1", 'memory = "4G"', "rules", "rule 'map': memory changed (none -> 4G)"),
    (
        "threads = 1",
        'environment = { conda = "e.yaml" }',
        "rules",
        "rule 'map': environment changed (system -> conda e.yaml)",
    ),
    ("threads = 1", 'when = "config.x"', "rules", "rule 'map': when changed (none -> config.x)"),
    ("threads = 1", "retries = 2", "rules", "rule 'map': retries changed (0 -> 2)"),
    ("threads = 1", "target = true", "rules", "rule 'map': target changed (false -> true)"),
    (
        "threads = 1",
        'depends_on = ["trim"]',
        "rules",
        "rule 'map': depends_on changed (none -> [\"trim\"])",
    ),
    ("threads = 1", 'script = "m.py"', "rules", "rule 'map': script changed (none -> m.py)"),
    ("threads = 1", 'on_success = "x"', "rules", "rule 'map': on_success changed (+1 -0 lines)"),
    (
        "threads = 1",
        'scatter = { variable = "x" }',
        "rules",
        "rule 'map': scatter changed",
    ),
    ("q = 20", "q = 30", "rules", "rule 'trim': params.q changed (20 -> 30)"),
    ("topsecret", "secrettop", "rules", "rule 'trim': params.api_key changed"),
    ("geheim", "anders", "rules", "rule 'trim': envvars changed (TOKEN)"),
    ('name = "map"', 'name = "align"', "rules", "rule 'map' seems to be renamed to 'align'"),
    (
        'name = "map"\ninput = ["trim.fq"]',
        'name = "align"\ninput = ["other.fq"]',
        "rules",
        "rule 'align': input changed (-'trim.fq' +'other.fq')",
    ),
]


@pytest.mark.parametrize(("old", "new", "category", "description"), CASES)
def test_each_kind_of_difference_is_told(old, new, category, description):
    found = told(BASE, change((old, new)))
    assert found
    if description is not None:
        assert (category, description) in found
    else:
        assert {each for each, _ in found} == {category}


def test_values_that_look_secret_are_never_shown():
    changed = change(
        ("hunter22", "hunter23"), ('"abcdef"', '"fedcba"'), ("topsecret", "x2"), ("geheim", "x3")
    )
    text = repr(told(BASE, changed)) + repr(told(changed, BASE))
    for secret in ("hunter", "abcdef", "fedcba", "topsecret", "geheim", "x2", "x3"):
        assert secret not in text


def test_the_same_workflow_written_differently_has_no_difference():
    assert told(BASE, BASE) == []
    assert told(BASE, canonical(BASE)) == []
    assert told(BASE, "# note\n" + BASE.replace("experiment", "tumor")) == []


def test_removed_rules_come_before_added_and_those_before_changed():
    new = change(
        ('name = "trim"', 'name = "cut"'),
        ('"trim.fq"]\nparams', '"cut.fq"]\nparams'),
        ("threads = 1", "threads = 4"),
        ("[cluster]", f"{RULE}[cluster]"),
    )
    assert [text for _, text in told(BASE, new)] == [
        "rule 'trim' removed",
        "rule 'cut' added",
        "rule 'new' added",
        "rule 'map': threads changed (1 -> 4)",
    ]


def test_a_new_order_of_the_rules_is_told_once():
    head, one, two = BASE.split("[[rules]]")
    two, rest = two.split("[[pairs]]")
    swapped = f"{head}[[rules]]{two}[[rules]]{one}[[pairs]]{rest}"
    assert told(BASE, swapped) == [("rules", "the order of the rules changed")]


def test_long_values_are_cut():
    [(_, text)] = told(BASE, change(('ref = "hg19.fa"', f'ref = "{"x" * 500}"')))
    assert len(text) < 120
