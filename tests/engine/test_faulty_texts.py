"""All that is wrong with a text is told in one go, each fault once, and nothing besides.

Every line of a text that has a finding says so itself: a comment `#! CODE` at its end, or several.
"""

from __future__ import annotations

import re

import pytest

from oxoflow.engine.checking import check_text
from oxoflow.engine.load import load_text
from oxoflow.errors import Diagnostic
from oxoflow.lang.lint import lint, lint_written
from oxoflow.lang.positions import locate
from tests.lang.build import HEAD, Files

MARK = re.compile(r"#! ([A-Z0-9 ]+)$")
LOOP = """\
[[rules]]
name = "x"
input = ["y.txt"] #! E006
output = ["x.txt"]
shell = "x"
[[rules]]
name = "y"
input = ["x.txt"]
output = ["y.txt"]
shell = "y"
"""


def marked(files: dict[str, str]) -> list[tuple[str, int, str]]:
    """Give (file, line, code) of every mark in the texts."""
    found = []
    for name, text in files.items():
        for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
            for mark in MARK.findall(line):
                found += [(name, number, code) for code in mark.split()]
    return sorted(found)


def told(files: dict[str, str], *, look: bool = False) -> list[Diagnostic]:
    """Give what is found in the workflow `w` among the files."""
    return list(check_text(files["w"], Files(files), look=look).diagnostics)


def places(found: list[Diagnostic]) -> list[tuple[str, int, str]]:
    return sorted([(each.file or "w", each.line or 0, each.code) for each in found])


FAULTS = {
    "a wrong type beside a circle, an unknown key and an unknown rule": """
[[rules]]
name = "a"
threads = "4" #! S009
output = ["a.txt"]
shell = "x {config.gone}" #! E005
[[rules]]
name = "b"
input = ["a.txt"]
depends_on = ["a", "nobody"] #! E007
shell = "x"
""",
    "a rule that cannot be read still has its name and its outputs": """
[[rules]]
name = "a"
input = "in.txt" #! S009
output = ["/made/a.txt"]
shell = "x"
[[rules]]
name = "b"
input = ["/made/a.txt"]
depends_on = ["a", "a_S1"]
extends = "a"
scatter = { variable = "v", values = ["1"], gather = "a" }
shell = "x"
[[execution_group]]
name = "g"
rules = ["a", "b"]
""",
    "outputs that cannot be read may be what others ask for": """
[[rules]]
name = "a"
output = "/made/a.txt" #! S009
shell = "x"
[[rules]]
name = "b"
input = ["/made/a.txt"]
shell = "x"
""",
    "a rule without a name is looked at, and may be the one that is meant": """
[[rules]] #! S005
output = ["/made/a.txt"]
shell = "x {config.gone}" #! E005
memory = "lots" #! E004
[[rules]]
name = "b"
input = ["/made/a.txt"]
depends_on = ["nameless"]
extends = "nameless"
shell = "x"
[[execution_group]]
name = "g"
rules = ["nameless"]
""",
    "two rules of one name are both looked at": """
[[rules]]
name = "a"
output = ["a.txt"]
shell = "x {config.one}" #! E005
[[rules]]
name = "a" #! E006
output = ["b.txt"]
shell = "x {config.two}" #! E005
[[rules]]
name = "c"
input = ["a.txt", "b.txt"]
depends_on = ["a"]
shell = "x"
""",
    "outputs without a command, in a circle": """
[[rules]]
name = "a"
input = ["b"]
output = ["a"] #! E002
[[rules]]
name = "c"
input = ["a"]
output = ["d"]
shell = "x {config.gone}" #! E005
""",
    "the command of a rule is there, but cannot be read": """
[[rules]]
name = "a"
output = ["a/{k}"]
input = ["b/{k}"]
shell = 5 #! S009
[[rules]]
name = "b"
output = ["b/{k}"]
input = 5 #! S009
shell = "x"
""",
    "wildcards whose source cannot be read": """
[[values]]
name = "k"
values = "v" #! S009
[[rules]]
name = "a"
input = ["i"]
output = ["a/{k}"]
depends_on = ["b_k_v"]
shell = "x {config.samples_list} {config.samples_lab}"
[[rules]]
name = "b"
output = ["b/{k}"]
shell = "x"
""",
    "config that cannot be read": """
[[rules]]
name = "a"
shell = "x {config.k}"
when = "config.l"
""",
    "arrays of which one entry cannot be read": """
[[values]]
name = "k"
values = [[1]] #! S009
[[values]] #! E018
name = "k" #! E018
[[values]] #! E018
name = 5 #! S009
[[pairs]] #! S009
pair_id = "p"
when = "((config.gone)" #! E002
[[pairs]]
pair_id = "q`q`" #! E011
experiment = "e"
[[sample_groups]]
name = "g"
samples = ["a", 1] #! S009
[[sample_groups]]
name = "h"
metadata = { threads = "x" } #! E018
[[references]]
name = "r"
source = 1 #! S009
build = "bwa_index"
output = "r.bwt"
[[references]]
name = "r" #! E018
build = "bwa_indx" #! E018
output = "q.bwt"
[[execution_group]]
name = "g"
rules = ["x"]
mode = "both" #! S009
[[execution_group]]
name = "h"
rules = ["z"] #! E018
""",
    "groups and resources of which one cannot be read": """
[env_groups.py]
docker = 4 #! S009
[resource_groups.db] #! S009
[resource_groups.net]
max = 1
[[rules]]
name = "a"
env_group = "pi" #! E010
shell = "x"
[rules.resources]
gpu = -1 #! S009
memory = "lots" #! E004
groups = { db = 5, net = 2, disk = 1 } #! E010 E010
[[rules]]
name = "b"
env_group = "py"
shell = "x"
""",
    "values that come to nothing": """
[[rules]]
name = "a"
output = ["{k}"]
scatter = { variable = "k" } #! W035
shell = "x"
[[rules]]
name = "t"
threads = "4" #! S009
output = ["t"]
transform = { split = { by = "n", n = "many" }, map = "x", combine = {} } #! E018 E018
when = "config.gone &&" #! E005 E002
""",
    "amounts, groups and samples that cannot be": """
[defaults]
threads = 0 #! E002
[resource_budget]
max_memory = "lots" #! E004
[[references]]
name = "r"
output = "r"
build = "touch r"
memory = "much" #! E004
[[sample_groups]]
name = "g"
samples = ["a", ""] #! E018
[[rules]]
name = "a"
input_groups = [{ pattern = "{s}", group_by = "x" }, { pattern = "b" }] #! S009
shell = "x"
[[rules]]
name = "b"
input_groups = [
    { pattern = "{s}.fq", group_by = "x" }, #! W035
    { pattern = "a", group_by = "meta.x" }, #! E018
]
shell = "x"
""",
    "splits without values": """
[config]
none = []
[[rules]]
name = "a"
output = ["a"]
transform = { split = { by = "n", n = 0 }, map = "x" } #! E018
[[rules]]
name = "b"
output = ["b"]
transform = { split = { by = "n", values_from = "config.none" }, map = "x" } #! E018
[[rules]]
name = "c"
output = ["c"]
transform = { split = { by = "n", values_from = "config.gone" }, map = "x" } #! E005
[[rules]]
name = "d"
output = ["d"]
transform = { split = { by = "n", glob = "gone*" }, map = "x" } #! E018
""",
    "includes and environments that cannot be read": """
[[include]] #! S009
namespace = "n"
[env_groups]
py = 3 #! S009
[resource_groups]
db = 4 #! S009
[[rules]]
name = "a"
env_group = "py"
depends_on = ["n::b"]
shell = "x {config.k}"
resources = { groups = { db = 1 } }
""",
}


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_is_told_with_what_else_is_wrong_and_nothing_follows_from_it(name):
    head = "config = 5 #! S009\n" if name.startswith("config") else ""
    files = {"w": head + HEAD + FAULTS[name] + LOOP}
    assert places(told(files, look=True)) == marked(files)


CIRCLES = """\
[[rules]]
name = "c"
depends_on = ["d"] #! E006
shell = "x"
[[rules]]
name = "d"
depends_on = ["c"]
shell = "x"
[[rules]]
name = "behind"
input = ["x.txt"]
depends_on = ["d"]
shell = "x"
[[rules]]
name = "e"
input = [
  "raw.txt",
  "g.txt", #! E006
]
output = ["e.txt"]
shell = "x"
[[rules]]
name = "f"
input = ["e.txt", "x.txt"]
output = ["f.txt"]
shell = "x"
[[rules]]
name = "g"
input = ["f.txt", "g.txt"]
output = ["g.txt"]
shell = "x"
"""


@pytest.mark.parametrize("start", ["", FAULTS["config that cannot be read"]])
def test_every_circle_is_told_at_the_key_that_closes_it_and_no_job_that_waits_for_one(start):
    files = {"w": ("config = 5 #! S009\n" if start else "") + HEAD + start + LOOP + CIRCLES}
    assert places(told(files)) == marked(files)


SOURCES = {
    "a sheet that is not there": """
[workflow]
name = "w"
sample_groups_file = "gone.tsv" #! E018
[[rules]]
name = "a"
input = ["raw/{sample}.fq", "c/{sample}.txt"] #! E006
output = ["a/{sample}.txt"]
depends_on = ["b_lab_S1"]
shell = "x {config.samples_list} {config.gone}" #! E005
[[rules]]
name = "b"
input = ["a/{sample}.txt"]
output = ["b/{sample}.txt"]
shell = "x"
[[rules]]
name = "c"
input = ["b/*.txt"]
output = ["c/{sample}.txt"]
shell = "x"
""",
    "values that are none": """
[workflow]
name = "w"
[[values]] #! E018
name = "k"
[[rules]]
name = "a"
input = ["b/{k}"] #! E006
output = ["a/{k}"]
depends_on = ["b_k_v"]
shell = "x"
[[rules]]
name = "b"
input = ["a/{k}"]
output = ["b/{k}"]
shell = "x"
""",
    "jobs of one name": """
[workflow]
name = "w"
[[sample_groups]]
name = "g"
samples = ["s", "s"]
[[rules]] #! E016
name = "a"
output = ["a/{sample}"]
shell = "x"
[[rules]]
name = "b"
input = ["c"] #! E006
output = ["b"]
shell = "x"
[[rules]]
name = "c"
input = ["b"]
output = ["c"]
shell = "x"
""",
    "several samples and rules of one name": """
[workflow]
name = "w"
[[sample_groups]]
name = "g"
samples = ["s", "s"]
[[pairs]]
pair_id = "p"
experiment = "e"
[[pairs]]
pair_id = "p"
experiment = "f"
[[rules]] #! E016
name = "a"
output = ["a/{sample}"]
shell = "x"
[[rules]]
name = "b"
output = ["b/{sample}"]
shell = "x"
[[rules]] #! E016
name = "c"
output = ["c/{pair_id}"]
shell = "x"
[[rules]] #! E016
name = "c_p"
output = ["d"]
shell = "x"
""",
    "jobs of one name beside a rule that cannot be read": """
[workflow]
name = "w"
[[sample_groups]]
name = "g"
samples = ["s", "s"]
[[rules]] #! E016
name = "a"
output = ["a/{sample}"]
shell = "x"
[[rules]]
name = "b"
threads = "1" #! S009
shell = "x"
""",
    "pairs with wrong conditions": """
[workflow]
name = "w"
[wildcard_constraints]
pair_id = "."
[[pairs]]
pair_id = "p"
experiment = "e"
when = "DEEP" #! E002
[[pairs]]
pair_id = "q"
experiment = "e"
when = "config.gone && sample = 'x'" #! E005 E002
[[rules]]
name = "b"
output = ["{pair_id}"]
input = ["c"]
shell = "x {config.gone}" #! E005
""",
    "a transform without a split": """
[workflow]
name = "w"
[[rules]]
name = "t"
input = ["c"]
output = ["t"]
transform = { split = { by = "n" }, map = "x" } #! E018
[[rules]]
name = "b"
input = ["c"] #! E006
output = ["b"]
shell = "x"
[[rules]]
name = "c"
input = ["b"]
output = ["c"]
shell = "x"
""",
    "defaults and bases of which many rules take": """
[workflow]
name = "w"
[defaults]
memory = "lots" #! E004
time_limit = "soon" #! E002
[[rules]]
name = "base"
memory = "much" #! E004
retry_delay = "soon" #! E002
params = { p = "{config.gone}" } #! E005
resources = { threads = 0, groups = { db = 1 } } #! E002 E010
shell = "x"
[[rules]]
name = "child"
extends = "base"
shell = "x"
[[rules]]
name = "grandchild"
extends = "child"
shell = "x"
""",
}


@pytest.mark.parametrize("name", SOURCES)
def test_what_no_job_can_be_made_of_is_told_beside_circles_and_once(name):
    files = {"w": SOURCES[name].lstrip().replace("DEEP", "!(" * 5000 + "x" + ")" * 5000)}
    assert places(told(files, look=True)) == marked(files)


def test_named_files_are_placed_at_their_names_and_unread_files_have_a_likely_one():
    files = {
        "w": HEAD
        + """[[include]]
path = "mods/algn.oxoflow"
[[rules]]
name = "a"
input = { z = "../z", a = "ok" }
shell = "x"
""",
        "mods/align.oxoflow": HEAD,
    }
    include, outside = told(files)
    assert (include.line, include.column) == (4, 1)
    assert include.message.endswith("did you mean 'mods/align.oxoflow'?")
    assert (outside.code, outside.line, outside.column) == ("E009", 7, 11)


MISSING = {
    "w": """\
[workflow]
name = "w"
[[include]]
path = "gone" #! E018
namespace = "g"
[[include]]
path = "here"
namespace = "h"
[[rules]]
name = "a"
input = ["/made/elsewhere"]
depends_on = ["g::x", "h::y", "h::z"] #! E007
extends = "z" #! E008
shell = "x {config.k}"
[[execution_group]]
name = "e"
rules = ["g::x", "h::z"] #! E018
""",
    "here": """\
[workflow]
name = "here"
[[rules]]
name = "y"
shell = "x"
""",
}


def test_a_file_that_is_not_there_may_bring_rules_of_its_namespace_and_no_others():
    assert places(told(MISSING, look=True)) == marked(MISSING)


NESTED = {
    "w": """\
[workflow]
name = "w"
[[include]]
path = "half"
namespace = "h"
[[include]]
path = "deep"
namespace = "d"
[[rules]]
name = "own"
input = ["h.txt", "/made/elsewhere"]
depends_on = ["h::first", "h::twice", "h::unknown"] #! E006
output = ["own.txt"]
shell = "x {config.known} {config.unknown}"
""",
    "half": """\
[workflow]
name = "half"
[config]
known = 1
[[rules]]
name = "first"
threads = "x" #! S009
input = ["own.txt"]
output = ["h.txt"]
memory = "?" #! E004
shell = "x"
[[rules]]
name = "twice"
memory = "?" #! E004
shell = "x"
[[rules]]
name = "twice" #! E006
memory = "?" #! E004
shell = "x"
[[rules]] #! S005
memory = "?" #! E004
shell = "x"
""",
    "deep": """\
[workflow]
name = "deep"
[[include]]
path = "gone" #! E018
[[include]]
path = "half"
namespace = "h"
[[rules]]
name = "a"
output = ["a"] #! E002
depends_on = ["gone_rule"]
""",
}


def test_an_included_file_that_cannot_be_read_as_a_whole_is_looked_at_like_the_others():
    found = told(NESTED, look=True)
    assert places(found) == marked(NESTED)
    named = [each.rule for each in found if each.file == "half" and each.code == "E004"]
    assert named == ["h::first", "h::twice", "h::twice", None]
    assert not any(mark in str(found) for mark in ("\\x00", "\\x01", "\\x02"))


ADVICE = {
    "a text that is no workflow": {
        "w": """\
[worflow] #! S002
name = "w"
[[rule]] #! S006
name = "a"
[[rules]]
name = "b"
thread = 4 #! S006
threads = "4" #! S009
shadow = 3 #! S009
checksum = "crc" #! S009
[config]
api_key = "abcdef123456" #! S008
[webhook] #! W033
"""
    },
    "a file that is not there may make what others read": {
        "w": """\
[workflow] #! W001 W002
name = "w"
[[include]]
path = "gone" #! E018
[[rules]] #! W003
name = "a"
input = ["elsewhere.txt", "{sample}.txt"] #! W024
""",
    },
    "a sheet that cannot be read may have columns": {
        "w": """\
[workflow] #! W001 W002
name = "w"
pairs_file = "gone.tsv" #! E018
[[rules]] #! W003
name = "a"
input = ["{tissue}.txt"]
""",
    },
    "a pattern that misses a wildcard": {
        "w": """\
[workflow] #! W001 W002
name = "w"
[[rules]] #! W003
name = "a"
expand_inputs = [{ pattern = "{lan}_{r}", variables = { lane = "1", r = "2" } }] #! W024
"""
    },
    "an output that misses a wildcard is told once": {
        "w": """\
[workflow] #! W001 W002
name = "w"
[[rules]] #! W003
name = "a"
input = ["i"] #! W026
output = ["{k}.txt"] #! E003
shell = "x" #! W004 W008
""",
    },
    "a sheet that is missing makes no wildcards of shell variables": {
        "w": """\
[workflow] #! W001 W002
name = "w"
sample_groups_file = "gone.tsv" #! E018
[[rules]] #! W003
name = "a"
shell = "for f in *; do echo ${f} ${sample}; done" #! W004 W008 W029
""",
    },
    "declarations that are none": {
        "w": """\
[workflow] #! W001 W002
name = "w"
[config]
a = { default = 9, help = "x" } #! S009
b = { default = "9", type = "integer" } #! S009
c = { default = "9", range = "all" } #! S009
[[rules]] #! W003
name = "a"
"""
    },
    "nothing but a table that is nearly rules": {
        "w": """\
[workflow] #! W001 W002
name = "w"
[[rule]] #! W036 S006
name = "a"
"""
    },
}


@pytest.mark.parametrize("name", ADVICE)
def test_advice_rests_on_what_is_known_only(name):
    files = ADVICE[name]
    checked = check_text(files["w"], Files(files), look=True)
    found = list(checked.diagnostics)
    if checked.workflow:
        found += locate(files["w"], lint(checked.workflow, None, view=Files(files)))
    else:
        found += locate(files["w"], lint_written(checked.readable))
    assert places(found) == marked(files)


UNSEEN = """\
[workflow]
name = "w"
[[include]]
path = "m"
namespace = "m"
[[rules]]
name = "a"
depends_on = ["m::x", "n::x"] #! E007
shell = "x {config.k}"
"""


def test_what_files_bring_that_cannot_be_seen_is_missed_by_nobody():
    checked = check_text(UNSEEN)
    assert places(list(checked.diagnostics)) == marked({"w": UNSEEN})
    seen = UNSEEN.replace(', "n::x"', "")
    assert check_text(seen).dag is not None
    assert [job.name for job in load_text(seen).jobs] == ["a"]
