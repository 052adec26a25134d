from __future__ import annotations

import pytest

from oxoflow.errors import Severity
from oxoflow.lang.lint import lint
from oxoflow.lang.lints.advice import collect_facts
from oxoflow.lang.lints.marking import marking_checks
from oxoflow.lang.nearest import is_one_slip
from oxoflow.lang.parse import parse_workflow
from tests.lang.fakes import Files

HEAD = '[workflow]\nname = "w"\ndescription = "d"\nauthor = "a"\n'
CLEAN_RULE = """
[[rules]]
name = "{name}"
description = "does {name}"
output = ["{name}.txt"]
log = "logs/{name}.log"
target = true
shell = "date > {{output}} 2> {{log}}"
environment = {{ conda = "env.lock" }}
{extra}
"""


def rule(extra: str = "", name: str = "a") -> str:
    return CLEAN_RULE.format(name=name, extra=extra)


def bare(keys: str, name: str = "a") -> str:
    return f'[[rules]]\nname = "{name}"\ndescription = "d"\n{keys}\n'


def found(text: str, view=None, graph: bool = True):
    workflow = parse_workflow(text)
    edges = [
        (one.name, two.name)
        for one in workflow.rules
        for two in workflow.rules
        if set(one.output.paths) & set(two.input.paths) or one.name in two.depends_on
    ]
    return lint(workflow, edges if graph else None, view=view)


def codes(text: str, view=None, graph: bool = True) -> list[str]:
    return [diagnostic.code for diagnostic in found(text, view, graph)]


def test_a_clean_workflow_gives_nothing_at_all():
    assert found(HEAD + rule() + rule(name="b")) == []


GROUPS = '[[sample_groups]]\nname = "g"\nsamples = ["S1"]\n'


def test_a_condition_on_metadata_that_no_group_has_is_told_where_to_give_it():
    text = HEAD + GROUPS + bare("shell = 'echo {sample}'\nwhen = \"wildcard.calling == 'both'\"")
    (told,) = [each for each in found(text) if each.code == "W024"]
    assert "metadata = { calling = '…' }" in str(told)


PAIRS = '[[pairs]]\npair_id = "P"\nexperiment = "T"\nmetadata = { kit = "x" }\n'
PRODUCER = rule(name="p")

# code, text that has it, text that has not
CASES = [
    ("W001", '[workflow]\nname = "w"\nauthor = "a"', HEAD),
    ("W001", '[workflow]\nname = "w"\ndescription = " "\nauthor = "a"', HEAD),
    ("W002", '[workflow]\nname = "w"\ndescription = "d"', HEAD),
    ("W003", HEAD + '[[rules]]\nname = "a"', HEAD + rule()),
    ("W004", HEAD + bare('shell = "date"'), HEAD + rule()),
    ("W004", HEAD + bare('shell = "date"'), HEAD + bare('script = "a.py"')),
    ("W005", HEAD + rule("resources.threads = 9"), HEAD + rule("resources.threads = 8")),
    (
        "W005",
        HEAD + rule("resources.threads = 9"),
        HEAD + rule('resources.threads = 9\nresources.memory = "8G"'),
    ),
    (
        "W005",
        HEAD + "[defaults]\nthreads = 16\n" + rule(),
        HEAD + '[defaults]\nthreads = 16\nmemory = "8G"\n' + rule(),
    ),
    ("W006", HEAD + rule(name="a-b"), HEAD + rule(name="a_b")),
    ("W007", HEAD + rule().replace("target = true", ""), HEAD + rule()),
    (
        "W007",
        HEAD + rule().replace("target = true", ""),
        HEAD + rule().replace("target = true", "") + rule('input = ["a.txt"]', name="b"),
    ),
    ("W008", HEAD + rule().replace("environment", "#"), HEAD + rule()),
    (
        "W008",
        HEAD + rule().replace("environment", "#"),
        HEAD + '[defaults]\nenvironment = { docker = "x:1" }\n' + rule().replace("environ", "#"),
    ),
    ("W009", HEAD + rule("resources.threads = 33"), HEAD + rule("resources.threads = 32")),
    ("W010", HEAD + bare("checkpoint = true"), HEAD + rule("checkpoint = true")),
    (
        "W011",
        HEAD + rule('shadow = "minimal"'),
        HEAD + rule('shadow = "minimal"\ninput = ["x"]'),
    ),
    (
        "S009",
        HEAD + rule('checksum = "sha1"'),
        HEAD + rule('checksum = "sha256"\nshadow = "full"\ninput = ["x"]'),
    ),
    (
        "S009",
        HEAD + '[config]\nk = { default = "1", range = "1-9" }',
        HEAD + '[config]\nk = { default = "1", range = "1..9" }',
    ),
    ("S009", HEAD + '[cluster]\nbackend = "nomad"', HEAD + '[cluster]\nbackend = "lsf"'),
    (
        "S009",
        HEAD + '[resource_groups.db]\nmax = 1\nwait = "x"',
        HEAD + "[resource_groups.db]\nmax=1",
    ),
    ("W012", HEAD + rule("retries = 2"), HEAD + rule('retries = 2\nretry_delay = "5s"')),
    (
        "W013",
        HEAD + rule('on_failure = "date"'),
        HEAD + rule('on_failure = "date"\nretries = 1\nretry_delay = "5s"'),
    ),
    (
        "W014",
        HEAD + rule('depends_on = ["pp"]') + PRODUCER,
        HEAD + rule('depends_on = ["p"]') + PRODUCER,
    ),
    ("W015", HEAD + rule('extends = "pp"'), HEAD + rule('extends = "p"') + PRODUCER),
    ("W016", HEAD + rule().replace("env.lock", "env.yaml"), HEAD + rule()),
    (
        "W016",
        HEAD + rule().replace('conda = "env.lock"', 'pixi = "pixi.toml"'),
        HEAD + rule().replace('conda = "env.lock"', 'docker = "x:1"'),
    ),
    ("W016", HEAD + '[env_groups.qc]\nconda = "a.yml"', HEAD + '[env_groups.qc]\nconda="a.lock"'),
    ("W017", HEAD + rule('input = ["/data/x"]'), HEAD + rule('input = ["data/x"]')),
    ("W018", HEAD + rule('input = ["~/x"]'), HEAD + rule('input = ["x~"]')),
    ("W019", HEAD + bare('script = "a.py"'), HEAD + rule()),
    (
        "W019",
        HEAD + bare('script = "a.py"'),
        HEAD + bare('script = "a.py"\nwhen = " false "'),
    ),
    (
        "W019",
        HEAD + bare('script = "a.py"'),
        HEAD + bare('script = "a.py"') + rule('depends_on = ["a"]', name="b"),
    ),
    ("W020", HEAD + rule('pre_exec = "a; b"'), HEAD + rule('pre_exec = "mkdir -p tmp"')),
    ("W021", HEAD + rule('on_success = "echo $(date)"'), HEAD + rule('on_success = "date"')),
    (
        "W022",
        HEAD + rule('on_failure = "`date`"'),
        HEAD + rule('on_failure = """\ndate\n"""\nretries = 1'),
    ),
    ("W023", HEAD + bare('shell = "echo $(date)"'), HEAD + bare('shell = "echo $((1 + 2))"')),
    ("W023", HEAD + bare('shell = "rm -rf tmp"'), HEAD + bare('shell = "rm -r tmp"')),
    ("W023", HEAD + bare('shell = "rm -v -fr tmp"'), HEAD + bare('shell = "rm -f tmp"')),
    ("W023", HEAD + bare('shell = "chmod -R 0777 x"'), HEAD + bare('shell = "chmod 775 x"')),
    ("W023", HEAD + bare('shell = "a && eval $x"'), HEAD + bare('shell = "evaluate x"')),
    ("W023", HEAD + bare('shell = "curl u | sudo bash"'), HEAD + bare('shell = "curl u|sha1sum"')),
    ("W023", HEAD + bare('shell = "echo `date`"'), HEAD + bare('shell = "# `date`"')),
    ("W024", HEAD + rule('input = ["{sample}.fq"]'), HEAD + GROUPS + rule('input=["{sample}.fq"]')),
    (
        "W024",
        HEAD + rule('input = ["{sample}.fq"]'),
        HEAD.replace("name", 'sample_pattern = "{sample}.fq"\nname', 1)
        + rule('input = ["{sample}.fq"]'),
    ),
    (
        "W024",
        HEAD + rule('input = ["{lane}.fq"]'),
        HEAD + rule('input = ["{lane}.fq"]\nscatter = { variable = "lane", values = ["1"] }'),
    ),
    (
        "W024",
        HEAD + rule('input = ["{k}.fq"]'),
        HEAD + '[[values]]\nname = "k"\nvalues = [1]\n' + rule('input = ["{k}.fq"]'),
    ),
    ("W024", HEAD + bare('shell = "echo {sample}"'), HEAD + bare("shell = 'awk {print}'")),
    ("W024", HEAD + bare('shell = "cat {imput}"'), HEAD + bare("shell = 'awk {inner}{printf}'")),
    (
        "W024",
        HEAD + bare('scatter = { variable = "chrom", values = ["1"] }\nshell = "echo {chrm}"'),
        HEAD + bare('scatter = { variable = "chrom", values = ["1"] }\nshell = "echo {chrom}"'),
    ),
    (
        "W024",
        HEAD + rule('input = ["{sample}.fq"]'),
        HEAD
        + rule('input = ["{sample}.fq"]')
        + "[[rules]]\nname = 'find'\ncheckpoint = true\ncheckpoint_manifest = 'm.toml'\n",
    ),
    ("W024", HEAD + bare('shell = "echo {sample}"'), HEAD + bare('shell = "echo ${sample}"')),
    (
        "W024",
        HEAD + PAIRS + bare("shell = 'date'\nwhen = \"wildcard.control != ''\""),
        HEAD + PAIRS + bare("shell = 'echo {pair_id}'\nwhen = \"wildcard.control != ''\""),
    ),
    (
        "W024",
        HEAD + PAIRS + bare("shell = 'echo {pair_id}'\nwhen = 'wildcard.contrl'"),
        HEAD + PAIRS + bare("shell = 'echo {pair_id}'\nwhen = 'wildcard.kit'"),
    ),
    (
        "W024",
        HEAD + bare('input = { r = "x" }\nshell = "cat {input.s}"'),
        HEAD + bare('input = { r = "x" }\nshell = "cat {input.r} {input[0]} {input}"'),
    ),
    (
        "W024",
        HEAD + bare('input = ["x"]\nshell = "cat {input[1]}"'),
        HEAD + bare('input = ["x*"]\nshell = "cat {input[1]}"'),
    ),
    (
        "W024",
        HEAD + bare('output = ["o"]\nshell = "x"\nlog = "{output.y}"'),
        HEAD + bare('output = ["o"]\nshell = "x"\nlog = "{output[0]}"'),
    ),
    (
        "W024",
        HEAD + bare('shell = "x {params.p}"'),
        HEAD + bare('shell = "x {params.p}"\nparams = { p = 1 }'),
    ),
    (
        "W024",
        HEAD + bare('expand_inputs = [{ pattern = "{v}", variables = { w = "1" } }]'),
        HEAD + bare('expand_inputs = [{ pattern = "{v}", variables = { v = "1" } }]'),
    ),
    (
        "S006",
        HEAD + bare("[rules.environment]\nconda = 'c'\nshell = 'x'"),
        HEAD + bare("shell = 'x'\n[rules.environment]\nconda = 'c'"),
    ),
    (
        "S006",
        HEAD + bare("[rules.params]\nk = 1\nshell = 'x'"),
        HEAD + bare("shell = 'x'\n[rules.params]\nshell = 'zsh'\noutput = 'x'"),
    ),
    (
        "S006",
        HEAD + bare("transform = { split = { by = 'k', value = [1] }, map = 'x' }"),
        HEAD + bare("transform = { split = { by = 'k', values = [1] }, map = 'x' }"),
    ),
    (
        "S006",
        HEAD + "[[pairs]]\npair_id = 'p'\ntumor = 't'\nnorml = 'n'\n",
        HEAD + "[[pairs]]\npair_id = 'p'\ntumor = 't'\nnormal = 'n'\n",
    ),
    (
        "S006",
        HEAD + "[env_groups.e]\nconda_env = 'x'\n",
        HEAD + "[env_groups.e]\nconda = 'x'\n",
    ),
    ("W024", HEAD + bare('shell = "echo {values.k}"'), HEAD + bare('shell = "echo {config.k}"')),
    ("W024", HEAD + bare('shell = "echo {env.HOME}"'), HEAD + bare('shell = "echo ${HOME}"')),
    ("W025", HEAD + rule("threads = 2"), HEAD + rule("resources.threads = 2")),
    ("W025", HEAD + rule('memory = "2G"'), HEAD + rule('resources.memory = "2G"')),
    (
        "W027",
        HEAD + PRODUCER + bare('shell = "cat p.txt"'),
        HEAD + PRODUCER + bare('shell = "cat p.txt"\ninput = ["p.txt"]'),
    ),
    (
        "W027",
        HEAD + PRODUCER + bare('shell = "cat p.txt"'),
        HEAD + PRODUCER + bare('shell = "cat p.txt"\ndepends_on = ["p"]'),
    ),
    ("W028", HEAD + rule('input = ["a.txt"]'), HEAD + rule('input = ["b.txt"]')),
    (
        "W028",
        HEAD + '[config]\nx = "a"\n' + rule('input = ["{config.x}.txt"]'),
        HEAD + '[config]\nx = "b"\n' + rule('input = ["{config.x}.txt"]'),
    ),
    (
        "W024",
        HEAD + '[config]\n"c d" = "x"\n' + bare('shell = "echo {config.c d} > a.txt"'),
        HEAD + '[config]\nc = "x"\n' + bare('shell = "echo {config.c} {config.a,x} > a.txt"'),
    ),
    (
        "W024",
        HEAD + '[config.a]\nb = "x"\n' + bare('shell = "echo {config.a.b} > a.txt"'),
        HEAD + '[config]\na = "x"\n' + bare('shell = "cp {config.json,config.x} {config.a}"'),
    ),
    (
        "W024",
        HEAD + '[config]\na = "x"\n' + bare('shell = "echo {config.a } > a.txt"'),
        HEAD + '[config]\na = "x"\n' + bare('shell = "echo {config.a} > a.txt"'),
    ),
    (
        "W029",
        HEAD + GROUPS + bare('shell = "echo ${sample}"'),
        HEAD + GROUPS + bare('shell = "echo {sample} ${samples}"'),
    ),
    (
        "W029",
        HEAD + GROUPS + bare('shell = "echo {{sample}}"'),
        HEAD + GROUPS + bare('shell = "echo {sample} {{other}}"'),
    ),
    (
        "W030",
        HEAD + GROUPS + bare("shell = '''\n# for {sample}\ndate\n'''"),
        HEAD + GROUPS + bare("shell = '''\n# for {sample}\ndate {sample}\n'''"),
    ),
    (
        "W031",
        HEAD + rule() + rule().replace('name = "a"', 'name = "b"'),
        HEAD + rule('when = "x"') + rule('when = "!x"').replace('name = "a"', 'name = "b"'),
    ),
    ("W033", HEAD + "[webhook]\nurl = 'x'", HEAD.replace("\n", "\non_complete = 'x'\n", 1)),
    ("W033", HEAD + "[[webhooks]]\nurl = 'x'", HEAD),
    ("W034", HEAD + "[cluster]\nbackend = 'slurm'", HEAD + "[citation]\ndoi = 'x'"),
    ("W034", HEAD + "[report]\nformat = ['html']", HEAD + "[report]\nsections = []"),
    ("W034", HEAD + rule("cache_key = 'a'"), HEAD + rule("cache = false")),
    ("W034", HEAD + rule("resources.partition = 'x'"), HEAD + rule("resources.threads = 2")),
    (
        "W033",
        HEAD + bare("environment = { conda = 'e.lock', gpus = 'all' }"),
        HEAD + bare("environment = { docker = 'i', gpus = 'all' }"),
    ),
    ("W033", HEAD + "[env_groups.g]\nvenv = 'v'\ngpus = '0'", HEAD + "[env_groups.g]\nvenv = 'v'"),
    (
        "W033",
        HEAD + rule('protected_output = ["a.text"]'),
        HEAD + rule('protected_output = ["./a.txt"]'),
    ),
    ("S006", HEAD + "[storage]\nx = 1", HEAD + "[ai]\nx = 1"),
    (
        "S006",
        HEAD + "[[rule]]\nname = 'a'",
        HEAD + '[[references]]\nname="a"\noutput="o"\nbuild="b c"',
    ),
    ("S006", HEAD + rule('inputs = ["x"]'), HEAD + rule('input = ["x"]')),
    ("S006", HEAD + rule("named_input = { a = 'x' }"), HEAD + rule("input = { a = 'x' }")),
    ("S006", '[workflow]\nname = "w"\nauthors = "x"', HEAD),
    ("S006", HEAD + "[defaults]\ntime = '1h'", HEAD + "[defaults]\nthreads = 2"),
    ("S007", HEAD.replace("\n", '\nformat_version = "2.0"\n', 1), HEAD),
    (
        "S007",
        HEAD.replace("\n", '\nformat_version = "2.0"\n', 1),
        HEAD.replace("\n", '\nformat_version = "1.3"\n', 1),
    ),
    ("S008", HEAD + '[config]\nk = "AKIAABCDEFGHIJKLMNOP"', HEAD + '[config]\nk = "akia"'),
    ("S008", HEAD + '[config]\npassword = "hunter22"', HEAD + '[config]\npassword = ""'),
    ("S008", HEAD + '[config]\ndb_password = "hunter22"', HEAD + '[config]\npassword_file = "a/b"'),
    (
        "S008",
        HEAD + bare('shell = "tool --api_key=abcdef123456"'),
        HEAD + bare('shell = "tool --api_key=$API_KEY"'),
    ),
    (
        "S008",
        HEAD + bare('shell = "echo sk-abcdefghijklmnopqrstuv"'),
        HEAD + bare('shell = "echo task-abcdefghijklmnopqrstuv"'),
    ),
]


@pytest.mark.parametrize(("code", "bad", "good"), CASES)
def test_every_code_has_a_text_that_shows_it_and_one_that_does_not(code, bad, good):
    assert code in codes(bad)
    assert code not in codes(good)


def test_all_codes_of_the_tables_are_covered():
    tested = {code for code, _, _ in CASES} | {"W026"}
    assert {f"W{number:03}" for number in range(1, 32)} <= tested


PICKED = 'input = ["d/{config.ref}", "{sample}.fq", "dir"]\noutput = ["{sample}.bam", "out/"]\n'


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ('ancient = ["d/{config.ref}"]', {}),
        ('ancient = ["d/ref.fa", "./{sample}.fq", "S1.fq", "dir/"]', {}),
        ('ancient = ["d/reff.fa", "x"]', {"ancient.0": "d/ref.fa", "ancient.1": None}),
        ('ancient = ["dir/one"]', {"ancient.0": None}),
        ('protected_output = ["{sample}.bam", "S1.bam", "out", "out/keep.txt"]', {}),
        ('protected_output = ["{sample}.bai", "out2"]',
         {"protected_output.0": "{sample}.bam", "protected_output.1": "out"}),
        ('protected_output = ["a.bam"]\noutput_pattern = "p/{k}.txt"', {}),
        ('temp_output = ["{sample}.bam", "{sample}.bai", "scrap", "Sort.bam"]', {}),
        ('temp_output = ["{sample}.bams"]', {}),
        ('temp_output = ["{sample}.bma"]', {"temp_output.0": "{sample}.bam"}),
        ('temp_output = ["{sample}.bma"]\npre_exec = "touch {sample}.bma"', {}),
        ('temp_output = ["*.tmp"]', {"temp_output.0": None}),
        ('ancient = ["{sample}.fz"]\ninput_groups = [{ pattern = "{x}.fz", group_by = "x" }]', {}),
        ('ancient = ["g/1.txt", "h/1.txt"]\nexpand_inputs = [{ pattern = "g/{v}.txt",'
         ' variables = { v = "config.refs" } }]', {"ancient.1": None}),
    ],
)  # fmt: skip
def test_an_entry_that_picks_out_no_file_of_its_rule_is_told(keys: str, told: dict[str, str]):
    head = HEAD + "[config]\nref = 'ref.fa'\nrefs = ['1']\n" + GROUPS
    diagnostics = [
        d for d in found(head + bare(f"{PICKED}shell = 'x'\n{keys}")) if d.code == "W033"
    ]
    assert {d.key: d.suggestion for d in diagnostics} == {
        key: f"did you mean '{near}'?" if near else "name each file as the rule has it"
        for key, near in told.items()
    }


def test_many_entries_and_many_files_take_linear_time():
    many = ", ".join(f'"{{sample}}/{number}*"' for number in range(30_000))
    keys = f"input = [{many}]\noutput = [{many}]\nshell = 'x'\n"
    odd = many.replace("/", "/x")
    text = keys + f"ancient = [{odd}]\nprotected_output = [{odd}]\ntemp_output = [{odd}]"
    workflow = parse_workflow(HEAD + bare(text))
    checks = marking_checks(workflow.rules[0], collect_facts(workflow, None, None))
    assert sum(1 for _ in checks) == 30_000  # the globs of temp_output


def test_of_an_output_that_may_be_numbered_otherwise_nothing_is_said():
    one = bare('output = ["part1.txt"]\ntemp_output = ["part12.txt"]\nshell = "x"')
    assert "W033" not in codes(HEAD + one)


def test_a_resource_outside_its_table_is_sent_into_it():
    text = HEAD + "[defaults]\ndisk = '1G'\n" + rule("time_limit = '2h'")
    told = [(d.key, d.suggestion) for d in found(text) if d.code == "S006"]
    assert told == [
        ("defaults.disk", "write it under the [rules.resources] of each rule"),
        ("time_limit", "write it under [rules.resources]"),
    ]


def test_the_name_of_a_sample_group_has_its_place_in_the_group():
    head = HEAD.replace("[workflow]\n", "[workflow]\nsample_group_name = 'g'\n")
    (told,) = [d for d in found(head + rule("")) if d.code == "S006"]
    assert told.suggestion == "remove it; a group has its name in [[sample_groups]]"


def test_a_key_of_later_versions_is_a_note_and_no_warning():
    (told,) = [d for d in found(HEAD + rule("report = 'Fig. 1'")) if d.code == "S006"]
    assert told.severity is Severity.INFO
    assert told.message == "rule 'a': 'report', of later versions, has no effect here"


def test_a_missing_input_names_the_rule_that_nearly_makes_it():
    text = (
        HEAD + rule(name="fetch").replace("fetch.txt", "raw/A.fastq") + rule('input = ["raw/A.fq"]')
    )
    [diagnostic] = [d for d in found(text, Files({})) if d.code == "W026"]
    assert diagnostic.rule == "a"
    assert diagnostic.suggestion == "nearest output: 'raw/A.fastq' (rule 'fetch')"

    assert "W026" not in codes(text, Files({"raw/A.fq": b""}))
    made = text.replace("raw/A.fastq", "raw/{x}.fq")
    assert "W026" not in codes(made, Files({})), "an output with a wildcard makes it"
    config = HEAD + '[config]\nd = "raw"\ns = { default = "hidden", sensitive = true }\n'
    filled = text.removeprefix(HEAD).replace("raw/A.fastq", "{config.d}/A.fastq")
    [diagnostic] = [d for d in found(config + filled, Files({})) if d.code == "W026"]
    assert diagnostic.suggestion == "nearest output: 'raw/A.fastq' (rule 'fetch')"
    filled = filled.replace("config.d", "config.s")
    assert all("hidden" not in str(d) for d in found(config + filled, Files({})))
    far = text.replace("raw/A.fastq", "vcf.raw/A/chr1.tar.gz").replace(
        "raw/A.fq", "raw/A-TD_R1.fastq.gz"
    )
    assert [d.suggestion for d in found(far, Files({})) if d.code == "W026"] == [None]
    assert "W026" not in codes(HEAD + rule('input = [".oxo-flow/checkpoint.json"]'), Files({}))
    assert "W026" not in codes(text), "without a view nothing is said about any disk"


def test_a_rule_is_not_sent_to_its_own_output_for_a_missing_input():
    own = bare('input = ["raw/A.fq"]\noutput = ["raw/A.fastq"]\nshell = "x"')
    (diagnostic,) = [d for d in found(HEAD + own, Files({})) if d.code == "W026"]
    assert diagnostic.suggestion is None


def test_a_missing_input_is_not_sought_in_what_is_made_from_it():
    made = bare('input = ["raw/A.fq"]\noutput = ["raw/A.fq.gz"]\nshell = "x"')
    used = rule('input = ["raw/A.fq"]', name="use")
    told = [d.suggestion for d in found(HEAD + made + used, Files({})) if d.code == "W026"]
    assert told == [None, None]


def test_script_contents_are_searched_when_files_can_be_seen():
    text = HEAD + PRODUCER + bare('script = "s.py x"')
    assert "W027" in codes(text, Files({"s.py": b"open('p.txt')"}))
    assert "W027" not in codes(text, Files({"s.py": b"open('q.txt')"}))


def test_without_a_graph_nothing_is_said_about_leaves_and_edges():
    text = HEAD + rule().replace("target = true", "") + bare('shell = "cat a.txt"', name="b")
    assert {"W007", "W019", "W027"} <= set(codes(text))
    assert not {"W007", "W019", "W027"} & set(codes(text, graph=False))


def test_advice_comes_for_the_text_first_and_then_rule_by_rule():
    text = '[workflow]\nname = "w"\n[zzz]\n' + bare("", "b-b") + bare("threads = 64", "a-a")
    assert [(d.code, d.rule) for d in found(text)] == [
        ("S006", None),
        ("W001", None),
        ("W002", None),
        ("W006", "b-b"),
        ("W005", "a-a"),
        ("W009", "a-a"),
        ("W006", "a-a"),
        ("W025", "a-a"),
    ]


def test_severities_are_those_of_the_catalogue():
    infos = {"W006", "W007", "W008", "W012", "W013", "W016", "W025", "W034"}
    for code, bad, _ in CASES:
        for diagnostic in found(bad):
            if diagnostic.code == code:
                wanted = Severity.INFO if code in infos else Severity.WARNING
                assert diagnostic.severity is wanted


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        (HEAD + "[[rule]]\nname = 'a'", "did you mean 'rules'?"),
        (HEAD + rule('inputs = ["x"]'), "did you mean 'input'?"),
        (HEAD + rule('depends_on = ["aligne"]') + rule(name="align"), "did you mean 'align'?"),
    ],
)
def test_a_likely_fix_is_suggested(text, suggestion):
    assert suggestion in [diagnostic.suggestion for diagnostic in found(text)]


def test_a_secret_is_never_repeated_in_the_message():
    text = HEAD + '[config]\npassword = "hunter22"\n'
    [diagnostic] = [d for d in found(text) if d.code == "S008"]
    assert "hunter22" not in repr(diagnostic)
    assert diagnostic.key == "config.password"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *[(name, True) for name in ("smaple", "sampl", "ample", "ssample", "samples", "somple")],
        *[(name, False) for name in ("sample", "simplex", "maples", "smapel", "s")],
    ],
)
def test_a_slip_is_one_letter_too_many_too_few_changed_or_swapped(name: str, expected: bool):
    assert is_one_slip(name, "sample") is expected


def test_the_log_that_is_advised_is_no_other_jobs_log():
    text = HEAD + GROUPS + '[[rules]]\nname = "a"\nshell = "x {sample} {chrom} {other}"\n'
    text += 'scatter = { variable = "chrom", values = ["1"] }\n'
    (found,) = [each for each in lint(parse_workflow(text), []) if each.code == "W004"]
    assert 'log = "logs/a_{sample}_{chrom}.log"' in (found.suggestion or "")


def test_a_key_below_the_wrong_header_is_told_where_it_belongs():
    for table in ("environment]\nconda = 'c'", "params]\nk = 1"):
        (told,) = [
            each
            for each in found(HEAD + bare(f"[rules.{table}\nshell = 'x'"))
            if each.code == "S006"
        ]
        assert f"above [rules.{table.partition(']')[0]}]" in told.suggestion


SLIPS = [
    ('shell = "x {outut.r1}"', "{outut.r1}", "did you mean '{output.r1}'?"),
    ('shell = "x {iput[0]}"', "{iput[0]}", "did you mean '{input[0]}'?"),
    ('shell = "x {wildcards.sample}"', "{wildcards.sample}", "did you mean '{wildcard.sample}'?"),
    ('script = "x.py {inpt} {otput.a}"', "{otput.a}", "did you mean '{output.a}'?"),
    ('script = "x.py {otput}"', "{otput}", "did you mean 'output'?"),
    ('input = ["raw/{sample/a.fq"]', "'{sample'", "write {sample}"),
    ('log = "{sample.log"', "'{sample'", "write {sample}"),
    ('shell = "cat {input > {output}"', "'{input'", "write {input}"),
    ("shell = '''cat a > {output\n{ x; }'''", "'{output'", "write {output}"),
    (
        'expand_inputs = [{ pattern = "a/{lane}", variables = { lane = "1" } }, '
        '{ pattern = "b/{lane}", variables = { lanes = "1" } }]',
        "{lane}",
        "did you mean 'lanes'?",
    ),
]


@pytest.mark.parametrize(("line", "written", "cure"), SLIPS)
def test_a_placeholder_that_is_one_slip_from_one_is_told(line, written, cure):
    told = [d for d in found(HEAD + GROUPS + bare(line)) if d.code == "W024"]
    assert [d.suggestion for d in told if written in d.message] == [cure]


@pytest.mark.parametrize(
    "shell",
    [
        "awk '{sample = $1; print}' x",
        "f() { input; }; cp a.{sample,group}",
        "python3 -c 'd = {sample: 1}'",
        "echo ${sample%/*} {d.x} {obj.input}",
        "awk '{log }' x",
        "awk 'BEGIN {input=1\n}' x",
    ],
)
def test_braces_of_other_languages_are_no_slips(shell):
    text = HEAD + GROUPS + bare(f"shell = '''{shell}'''")
    assert [d.message for d in found(text) if d.code == "W024"] == []


def test_what_rests_on_a_base_that_is_not_there_or_an_input_that_cannot_be_read_is_not_told():
    child = bare('extends = "gone"\nshell = "{params.k}"')
    assert {"W004", "W024"}.isdisjoint(codes(HEAD + child))


@pytest.mark.parametrize("key", ["description", "log", "output", "params", "input"])
def test_what_rests_on_a_misspelt_key_is_not_told_besides(key):
    fields = {
        "description": '"d"',
        "log": '"l"',
        "input": '["i"]',
        "output": '["x"]',
        "params": "{ k = 1 }",
        "shell": '"a {input[0]} {output[0]} {params.k}"',
    }
    lines = [f"{name[:-1] if name == key else name} = {value}" for name, value in fields.items()]
    told = [
        d
        for d in found(HEAD + "\n".join(["[[rules]]", "name = 'a'", *lines]))
        if d.severity is Severity.WARNING
    ]
    assert [(d.code, d.suggestion) for d in told] == [("S006", f"did you mean '{key}'?")]


def test_a_variable_that_its_pattern_does_not_have_is_told():
    line = 'expand_inputs = [{ pattern = "{sample}/a", variables = { smple = "config.x" } }]'
    (told,) = [d for d in found(HEAD + GROUPS + bare(line)) if d.code == "W024"]
    assert told.key == "expand_inputs.0.variables.smple"
    assert told.suggestion == "did you mean 'sample'?"
    plain = line.replace("{sample}/a", "a.txt")
    assert "W024" not in codes(HEAD + GROUPS + bare(plain)), "one file is a list of one"
    once = line.replace("sample", "lane").replace("smple", "lanes")
    assert [d.code for d in found(HEAD + bare(once))].count("W024") == 1


def test_files_that_a_misspelt_rule_would_make_are_not_missed_besides():
    text = HEAD + '[[ruls]]\nname = "m"\noutput = ["p"]\n' + bare('input = ["p"]\nshell = "x"')
    assert "W026" not in codes(text, Files({}))
    text = HEAD + bare('outut = ["p"]').replace('"a"', '"m"') + bare('input = ["p"]\nshell = "x"')
    assert "W026" not in codes(text, Files({}))


def test_a_missing_input_names_the_file_on_disk_that_is_probably_meant():
    text = (
        HEAD
        + bare('input = ["ref/genome.fa"]\nshell = "x"')
        + rule('input = ["ref/{s}.fas"]', name="b")
    )
    for there, cure in (
        ("ref/genome.fasta", "did you mean 'ref/genome.fasta', which is there?"),
        ("ref/Genom.fa", "did you mean 'ref/Genom.fa', which is there?"),
        ("ref/genome.fas", None),
        ("other/genome.fasta", None),
    ):
        told = [d for d in found(text, Files({there: b""})) if d.code == "W026" and d.rule == "a"]
        assert [d.suggestion for d in told if "genome.fa'" in d.message] == [cure]


def test_a_slip_in_the_name_of_a_list_or_of_a_column_is_told():
    line = 'expand_inputs = [{ pattern = "{s}/a", variables = { s = "confg.samples_list" } }]'
    (told,) = [d for d in found(HEAD + GROUPS + bare(line)) if d.code == "W024"]
    assert (told.key, told.suggestion) == (
        "expand_inputs.0.variables.s",
        "did you mean 'config.samples_list'?",
    )
    groups = GROUPS + 'metadata = { strand = "fr" }\n'
    for written, cures in (
        ("strnd", ["did you mean '{meta.strand}'?"]),
        ("strand", []),
        ("kit", []),  # a sheet of another run may have it
    ):
        text = HEAD + groups + bare(f"when = \"{{meta.{written}}} == 'fr'\"\nshell = '{{sample}}'")
        assert [d.suggestion for d in found(text) if "column" in d.message] == cures
