"""The verbs that look at workflows: what they print, in words and JSON, and their exit codes."""

import json

import pytest

from oxoflow.cli import VERBS

GOOD = """[workflow]
name = "w"
[config]
q = 20
token = { default = "s3cret", sensitive = true, help = "what to say" }
[[sample_groups]]
name = "g"
samples = ["S1", "S2"]
[[rules]]
name = "al"
input = ["raw/{sample}.fq"]
output = ["al/{sample}.bam"]
shell = "cat {input} > {output} # {config.q} {config.token}"
[[rules]]
name = "m"
input = ["al/*.bam"]
output = ["m.txt"]
shell = "cat {input} > {output}"
"""


@pytest.fixture
def flow(here):
    (here / "main.oxoflow").write_text(GOOD)
    (here / "raw").mkdir()
    (here / "raw/S1.fq").write_text("1")
    return here


def test_help_lists_every_verb(ox):
    told = ox("--help")
    assert told.code == 0
    for name, entry in VERBS.items():
        assert f"  {name}" in told.out
        assert entry.summary in told.out
    assert ox().code == 2
    assert ox("--version").out.startswith("oxoflow ")


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_has_help(ox, name):
    told = ox(name, "--help")
    assert told.code == 0
    assert f"usage: oxoflow {name}" in told.out


def test_what_only_the_server_uses_is_not_shown(ox):
    assert "--launch" not in ox("run", "--help").out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["plna"], "'plna' is no command; did you mean 'plan'?"),
        (["xyzzy"], "'xyzzy' is no command; see 'oxoflow --help'"),
        (["plan", "no.oxoflow"], "workflow file 'no.oxoflow' not found"),
        (["plan", "--parnoid"], "unknown option '--parnoid'; did you mean '--paranoid'?"),
        (["run", "--job=2"], "did you mean '--jobs'?"),
        (["run", "--dry-rnu"], "unknown option '--dry-rnu'; did you mean '--dry-run'?"),
        (["run", "--job", "2"], "did you mean '--jobs'?"),
        (["run", "--dry-rnu", "main.oxoflow"], "did you mean '--dry-run'?"),
        (["validate", "--exapnded"], "unknown option '--exapnded'; see"),
        (["run", "-j", "x"], "invalid number above zero value: 'x'"),
        (["run", "-j", "0"], "invalid number above zero value: '0'"),
        (["run", "--timeout", "soon"], "invalid duration (such as 90s"),
        (["run", "--max-memory", "much"], "invalid memory size"),
        (["run", "--max-threads", "0"], "invalid number above zero value: '0'"),
        (["plan", "--config", "q"], "KEY=VALUE"),
        (["plan", "q="], "neither side empty"),
        (["plan", "--zz", "3"], "unknown option '--zz'; it is no key of [config] either"),
        (["plan", "--workdir", "gone"], "--workdir 'gone' is no directory"),
        (["plan", "-t", "nope"], "'nope' is no rule, job or output"),
        (["plan", "--profile", "hpc"], "profile 'hpc' not found"),
        (["graph", "-f", "png"], "invalid choice: 'png'"),
        (["diff", "main.oxoflow"], "the following arguments are required: FILE"),
        (["logs", "al"], "no job 'al' has run in"),
        (["accept", "main.oxoflow", "a"], "'main.oxoflow' is no job; name the workflow file with"),
        (["cancel"], "nothing runs in"),
        (["pause"], "nothing runs in"),
        (["resume"], "no run has been in"),
        (["retry"], "no run has been in"),
        (["run", "--launch", "x"], "--launch takes NONCE:FD:RUN_ID"),
    ],
)
def test_mistakes_are_one_sentence_and_code_2(flow, ox, words, message):
    told = ox(*words)
    assert told.code == 2
    assert message in told.err
    assert "Traceback" not in told.err
    assert told.err.startswith("oxoflow: ")
    assert told.out == ""


def test_what_the_system_refuses_is_told_to_programs_too(flow, ox):
    name = "x" * 300
    told = ox("records", "--workdir", name, "--json")
    assert told.code == 1
    assert told.json["error"] == f"'{name}': File name too long"
    assert told.err == f"oxoflow: '{name}': File name too long\n"


def test_errors_are_json_for_programs(flow, ox):
    told = ox("plan", "-t", "nope", "--json")
    assert told.code == 2
    assert "'nope' is no rule" in told.json["error"]


def test_without_a_file_the_directory_is_searched(here, ox):
    assert "no *.oxoflow file" in ox("plan").err
    (here / "b.oxoflow").write_text(GOOD.replace('"w"', '"second"'))
    assert "second: 3 jobs" in ox("plan").out
    assert "second: 3 jobs" in ox("plan", str(here)).out


def test_a_plan_warns_of_a_wildcard_that_nothing_fills(here, ox):
    (here / "w.oxoflow").write_text(
        "[workflow]\nname = 'w'\n[[rules]]\nname = 'a'\noutput = ['{sample}.txt']\nshell = 'x'\n"
    )
    told = ox("plan")
    assert "warning: rule 'a': nothing gives {sample} a value, so '{sample}.txt'" in told.err


AWAITED = """[workflow]
name = "w"
[[sample_groups]]
name = "g"
samples = ["S1", "S2"]
[[rules]]
name = "trim"
output = ["trim/{sample}.fq"]
shell = "echo > {output}"
[[rules]]
name = "map"
input = ["trim/{sample}.fq", "index.bwt", "index.%s"]
output = ["map/{sample}.bam"]
shell = "cat {input} > {output}"
"""


def test_a_plan_warns_of_an_input_that_no_job_makes_before_others_have_run(here, ox):
    (here / "w.oxoflow").write_text(AWAITED % "sa")
    told = ox("plan")
    assert told.out.count("run  ") == 4
    assert told.err.splitlines() == [
        "oxoflow: warning: rule 'map': inputs 'index.bwt', 'index.sa' are made by no rule and are "
        "not on disk; put the files there or add rules that make them"
    ]
    for name in ("index.bwt", "index.sa"):
        (here / name).write_text("x")
    assert ox("plan").err == ""


def test_a_plan_misses_no_file_in_a_directory_that_a_job_makes(here, ox):
    made = AWAITED.replace("index.bwt", "./index/a/x.bwt") % "sa/"
    index = "[[rules]]\nname = 'i'\noutput = ['index', 'index.sa']\nshell = 'x'\n"
    (here / "w.oxoflow").write_text(made + index)
    assert ox("plan").err == ""


def test_a_plan_says_whose_condition_leaves_a_pair_without_a_file(here, ox):
    pairs = "[[pairs]]\npair_id = 'p'\nexperiment = 'T'\ncontrol = 'N'\n"
    pairs += "[[pairs]]\npair_id = 'lone'\nexperiment = 'T'\ncontrol = ''\n"
    call = "[[rules]]\nname = 'call'\nwhen = 'wildcard.control != \"\"'\n"
    call += "output = ['{config.to}/{pair_id}.vcf']\nshell = 'x'\n"
    both = "[[rules]]\nname = 'all'\ninput = ['to/p.vcf', 'to/lone.vcf']\noutput = ['o']\n"
    head = "[workflow]\nname = 'w'\n[config]\nto = 'to'\n"
    (here / "w.oxoflow").write_text(head + pairs + call + both + "shell = 'x'\n")
    assert ox("plan").err == (
        "oxoflow: warning: rule 'all': input 'to/lone.vcf' is not on disk, and rule 'call', which "
        "would make it, has no job for it: its condition is false there\n"
    )


def test_a_plan_is_silent_on_what_a_skipped_job_or_an_optional_rule_lacks(here, ox):
    maker = "[[rules]]\nname = 'i'\nwhen = 'false'\noutput = ['index.sa']\nshell = 'x'\n"
    (here / "w.oxoflow").write_text(AWAITED % "sa" + "optional = true\n" + maker)
    assert ox("plan").err == ""
    (here / "index.bwt").write_text("x")
    (here / "w.oxoflow").write_text(AWAITED % "sa" + maker)
    assert ox("plan").err == ""


def test_a_plan_in_words(flow, ox):
    told = ox("plan")
    assert told.code == 0
    assert told.out == (
        "run      al_g_S1  it has never run here\n"
        "blocked  al_g_S2  rule 'al': input 'raw/S2.fq' is made by no rule and is not on disk; "
        "put the file there or add a rule that makes it\n"
        "blocked  m        it needs al_g_S2, which is blocked\n"
        "w: 3 jobs: 1 to run, 2 blocked\n"
    )
    assert not (flow / ".oxo-flow").exists()


@pytest.mark.parametrize("words", [["plan"], ["dry-run"], ["run", "--dry-run"]])
def test_a_plan_as_json(flow, ox, words):
    found = ox(*words, "--json", "-t", "al_g_S1").json
    assert found == {
        "schema_version": 1,
        "jobs": [
            {
                "job": "al_g_S1",
                "rule": "al",
                "verdict": "run",
                "reasons": [{"part": "record", "old": None, "new": None}],
                "command": "cat raw/S1.fq > al/S1.bam # 20 ***",
                "inputs": ["raw/S1.fq"],
                "outputs": ["al/S1.bam"],
            }
        ],
        "summary": {"jobs": 1, "run": 1, "skip": 0, "check": 0, "blocked": 0},
    }


def test_a_missing_input_names_the_output_that_is_most_like_it(flow, ox):
    (flow / "main.oxoflow").write_text(GOOD.replace('"al/*.bam"', '"al/S1.bma"'))
    assert "nearest output: 'al/S1.bam'" in ox("plan", "--why", "m").out


def test_a_missing_input_of_an_undeclared_sample_names_the_rule_that_makes_such_files(flow, ox):
    listed = GOOD.replace('"al/*.bam"', '"al/S1.bam", "al/S7.bam"')
    (flow / "main.oxoflow").write_text(listed)
    assert "rule 'al' makes 'al/S1.bam', but has no job for this one: is what" in ox("plan").err


def test_only_some_of_many_rules_without_inputs_are_told_what_may_be_meant(flow, ox):
    text = "[workflow]\nname = 'w'\n[[rules]]\nname = 'r'\noutput = ['o']\nshell = 'x'\n"
    for number in range(30):
        (flow / f"in{number}.tsv").write_text("")
        text += f"[[rules]]\nname = 'r{number}'\ninput = ['o', 'in{number}.TSV']\nshell = 'x'\n"
    (flow / "main.oxoflow").write_text(text)
    told = ox("plan").err
    assert told.count("is made by no rule and is not on disk; ") == 30
    assert told.count("did you mean") == 20


def test_lint_says_once_in_text_what_two_codes_stand_for(flow, ox):
    (flow / "main.oxoflow").write_text(GOOD + "\n[[rules]]\nname = 'z'\ndepends_on = ['gone']\n")
    assert ox("lint").out.count("depends on 'gone', which is no rule") == 1
    codes = [each["code"] for each in ox("lint", "--json").json["diagnostics"]]
    assert {"E007", "W014"} <= set(codes)


def test_two_writers_of_one_file_are_warned_of(flow, ox):
    text = GOOD.replace('"al/{sample}.bam"', '"al/x.bam"')
    (flow / "main.oxoflow").write_text(text)
    assert "warning: 'al_g_S1', 'al_g_S2' all write 'al/x.bam'" in ox("plan").err
    (flow / "main.oxoflow").write_text(
        text.replace('name = "al"', 'name = "al"\nwhen = "config.x"')
    )
    assert ox("plan").err == ""


def test_why_is_told_in_words(flow, ox):
    assert ox("plan", "--why", "al_g_S1").out == "al_g_S1 runs: it has never run here\n"
    assert ox("plan", "--why", "al").out.count("\n") == 2


@pytest.mark.parametrize(
    "words",
    [
        ["q=5"],
        ["--q=5"],
        ["--q", "5"],
        ["--config", "q=5"],
        ["--arg", "q=5"],
        ["main.oxoflow", "q=5", "--config", "token=x"],
        ["--q", "5", "main.oxoflow"],
    ],
)
def test_config_is_set_in_every_documented_way(flow, ox, words):
    found = ox("config", *words, "--json").json["config"]
    assert found["q"] == "5"


def test_an_empty_value_is_meant_only_when_said_with_config(flow, ox):
    assert ox("config", "--config", "q=", "--json").json["config"]["q"] == ""
    assert ox("config", "--q=").code == 2


def test_config_hides_what_is_sensitive(flow, ox):
    told = ox("config")
    assert "token = ***    # what to say" in told.out
    assert "q = 20" in told.out
    assert "samples_list = S1,S2" in told.out
    assert "s3cret" not in told.out + ox("config", "--json").out


def test_validate_and_lint_exit_1_for_errors(flow, ox):
    assert ox("validate").out == "main.oxoflow: valid, 2 rules, 1 dependency edge\n"
    found = ox("validate", "--json").json
    assert (found["valid"], found["rules_count"], found["edges_count"]) == (True, 2, 1)
    told = ox("lint")
    assert told.code == 0
    assert "warning W001" in told.out
    assert ox("lint", "--strict").code == 1
    (flow / "main.oxoflow").write_text(GOOD.replace('name = "m"', 'name = "m"\ndepends_on = ["k"]'))
    told = ox("validate")
    assert told.code == 1
    assert "main.oxoflow:16:" in told.out
    assert "error E007" in told.out
    found = ox("validate", "--json").json
    assert (found["valid"], found["edges_count"]) == (False, None)
    assert found["diagnostics"][0]["line"] == 16
    found = ox("lint", "--json")
    assert (found.code, found.json["error_count"]) == (1, 1)


def test_broken_toml_is_placed(flow, ox):
    (flow / "main.oxoflow").write_text('[workflow]\nname = "w\n')
    told = ox("validate")
    assert told.code == 1
    assert "main.oxoflow:2:" in told.out
    assert ox("plan").code == 2


def test_format_prints_checks_and_writes(flow, ox):
    told = ox("format")
    assert told.code == 0
    assert told.out.startswith("[workflow]\n")
    assert ox("format", "--check").code == 1
    assert ox("format", "-o", "other.oxoflow").code == 0
    assert (flow / "other.oxoflow").read_text() == told.out
    assert ox("format", "-w").code == 0
    assert (flow / "main.oxoflow").read_text() == told.out
    assert ox("format", "--check").code == 0
    assert ox("format", "--json").json == {"formatted": told.out, "changed": False}


@pytest.mark.parametrize(
    ("words", "beginning"),
    [
        ([], "┌"),
        (["-f", "dot"], 'digraph {\n    0 [ label = "al" ]\n    1 [ label = "m" ]\n    0 -> 1'),
        (["-f", "dot", "--expanded"], 'digraph {\n    0 [ label = "al_g_S1" ]'),
        (["-f", "dot-clustered"], "digraph workflow {"),
        (["-f", "tree"], "1. al\n"),
        (["-f", "mermaid"], "flowchart TD"),
        (["-f", "dot", "--expanded", "-t", "al_g_S2"], 'digraph {\n    0 [ label = "al_g_S2" ]\n}'),
    ],
)
def test_graphs_are_drawn(flow, ox, words, beginning):
    told = ox("graph", *words)
    assert told.code == 0
    assert told.out.startswith(beginning)


def test_graph_stats_samples_and_schema_as_json(flow, ox):
    assert ox("graph", "--json").json["edges"] == [{"from": "al", "to": "m"}]
    assert ox("stats", "--json").json["job_count"] == 3
    assert "rule count" in ox("stats").out
    found = ox("samples", "--json").json
    assert found["missing"] == {"S2": ["raw/S2.fq"]}
    told = ox("samples").out
    assert "S2                       waits for raw/S2.fq" in told
    assert ox("samples", "--samples", "S1").out.count("S2") == 0
    schema = ox("schema").json
    assert "rules" in json.dumps(schema)


@pytest.mark.parametrize("words", [["format"], ["export"], ["diff", "main.oxoflow", "bad.oxoflow"]])
def test_verbs_that_load_no_jobs_name_the_line_of_what_is_wrong(flow, ox, words):
    text = '[workflow]\nname = "w"\n[[rules]]\nname = "a"\ninput = "x"\n'
    (flow / "bad.oxoflow").write_text(text)
    told = ox(*words, *(["bad.oxoflow"] if len(words) == 1 else []), "--json")
    assert (told.code, [each["line"] for each in told.json["diagnostics"]]) == (2, [5])
    named = "'bad.oxoflow' line 5" if words[0] == "diff" else "line 5"
    assert f"({named})" in told.err


def test_diff_and_export(flow, ox):
    (flow / "other.oxoflow").write_text(GOOD.replace("q = 20", "q = 30"))
    told = ox("diff", "main.oxoflow", "other.oxoflow")
    assert told.code == 0
    assert "1 difference" in told.out
    assert ox("diff", "--check", "main.oxoflow", "other.oxoflow").code == 1
    assert ox("diff", "main.oxoflow", "main.oxoflow", "--json").json == {
        "diff_count": 0,
        "diffs": [],
    }
    assert "FROM ubuntu" in ox("export").out
    assert ox("export", "-f", "singularity", "--json").json["content"].startswith(("Boot", "#"))
    assert ox("export", "-o", "Dockerfile").code == 0
    assert (flow / "Dockerfile").read_text().count("FROM") == 1
    for verb in ("export", "format"):
        told = ox(verb, "-o", "no/where")
        assert (told.code, "'no/where' cannot be written" in told.err) == (2, True)


@pytest.mark.parametrize("verb", ["graph", "stats", "config", "samples"])
def test_verbs_that_only_show_do_not_mind_an_undefined_config_value(flow, ox, verb):
    (flow / "main.oxoflow").write_text(GOOD.replace("{config.q}", "{config.typo}"))
    assert ox(verb).code == 0
    assert "config.typo" in ox("dry-run").err
    assert ox("dry-run").code == 2


def test_more_errors_than_a_screen_holds_are_counted(flow, ox):
    rules = "".join(f'[[rules]]\nname = "r{number}"\nthreads = "x"\n' for number in range(60))
    (flow / "main.oxoflow").write_text(GOOD + rules)
    told = ox("stats")
    assert told.code == 2
    assert told.err.count("\n  line ") == 50
    assert "  and 10 more; see 'oxoflow validate'" in told.err


def test_the_command_line_keeps_the_limits_of_its_variables(flow, ox, monkeypatch):
    monkeypatch.setenv("OXO_FLOW_LIMIT_JOBS", "2")
    assert "only 0 more jobs are allowed" in ox("plan").err
    monkeypatch.setenv("OXO_FLOW_LIMIT_JOBS", "many")
    told = ox("plan")
    assert told.code == 2
    assert told.err.startswith("oxoflow: OXO_FLOW_LIMIT_JOBS 'many' is not a whole number")


def test_plan_shows_the_files_and_the_filled_in_command_of_each_job(flow, ox):
    text = "[[rules]]\nname = 'two'\ninput = ['raw/S1.fq']\noutput = ['x/o']\n"
    text += 'shell = """\ncat {input} \\\\\n  > {output}\n"""\n'
    (flow / "main.oxoflow").write_text("[workflow]\nname = 'w'\n" + text)
    assert ox("plan", "--commands").out.splitlines() == [
        "run      two  it has never run here",
        "    reads   raw/S1.fq",
        "    writes  x/o",
        "    $ cat raw/S1.fq \\",
        "    $   > x/o",
        "w: 1 job: 1 to run",
    ]


def test_a_finding_in_an_included_file_names_that_file(flow, ox):
    (flow / "mods").mkdir()
    (flow / "mods" / "qc.oxoflow").write_text(
        '[workflow]\nname = "q"\n[[rules]]\nname = "a"\nmemory = "eight"\nshell = "true"\n'
    )
    (flow / "main.oxoflow").write_text(
        GOOD + '[[include]]\npath = "mods/qc.oxoflow"\nnamespace = "qc"\n'
    )
    for verb in ("validate", "lint"):
        assert "\nmods/qc.oxoflow:5:1: error E004: rule 'qc::a'" in "\n" + ox(verb).out
    found = ox("lint", "--json").json["diagnostics"]
    assert {d["file"] for d in found if d["rule"] == "qc::a"} == {"mods/qc.oxoflow"}
    assert all("file" not in d for d in found if d["rule"] != "qc::a")
    assert "in 'mods/qc.oxoflow', line 5: rule 'qc::a'" in ox("run").err
    assert "(line" not in ox("run").err
    with (flow / "mods" / "qc.oxoflow").open("a") as file:
        file.write('[[rules]]\nname = "b"\nmemory = "nine"\nshell = "true"\n')
    assert "\n  'mods/qc.oxoflow' line 9: rule 'qc::b'" in ox("run").err


def test_a_file_that_is_no_text_is_a_finding_too(flow, ox):
    (flow / "main.oxoflow").write_bytes(b'[workflow]\nname = "\xff"\n')
    for verb in ("validate", "lint"):
        assert ox(verb).code == 1
        assert ox(verb).out.startswith("main.oxoflow:2:9: error S001: line 2 is not UTF-8")
        (found,) = ox(verb, "--json").json["diagnostics"]
        assert (found["code"], found["line"], found["column"]) == ("S001", 2, 9)
    assert ox("run").code == 2
