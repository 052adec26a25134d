"""The front door: texts and files become DAGs, or say all that is wrong with them."""

import pytest

from oxoflow.engine.checking import check_text
from oxoflow.engine.load import (
    DirectoryView,
    directory_of,
    find_workflow,
    load_file,
    load_text,
    read_profile,
    read_text,
)
from oxoflow.errors import GraphError, ParseError, Severity, UsageError, WorkflowError

GOOD = """[workflow]
name = "w"
[[rules]]
name = "a"
output = ["a.txt"]
shell = "touch a.txt"
[[rules]]
name = "b"
input = ["a.txt"]
shell = "cat a.txt"
"""


def test_a_text_is_loaded_without_any_file():
    loaded = load_text(GOOD)
    assert [job.name for job in loaded.jobs] == ["a", "b"]
    assert loaded.dag.parents == ((), (0,))


def test_a_file_is_loaded_with_overrides_relative_to_where_it_runs(tmp_path):
    (tmp_path / "flows").mkdir()
    (tmp_path / "run").mkdir()
    file = tmp_path / "flows/w.oxoflow"
    file.write_text(
        GOOD.replace("[[rules]]", '[config]\nd = "x"\n[[rules]]', 1).replace(
            '"a.txt"', '"{config.d}/a.txt"'
        )
    )
    (tmp_path / "flows/part.oxoflow").write_text(GOOD.replace('"a"', '"c"').replace('"b"', '"d"'))
    file.write_text(file.read_text() + '[[include]]\npath = "part.oxoflow"\nnamespace = "n"\n')
    loaded = load_file(file, workdir=tmp_path / "run", overrides={"d": "y"})
    assert loaded.workflow.config["d"] == "y"
    assert [job.name for job in loaded.jobs] == ["a", "b", "n::c", "n::d"]
    assert directory_of(file, tmp_path / "run") == "../flows"
    assert directory_of(file, tmp_path / "flows") == ""


@pytest.mark.parametrize(
    ("text", "code", "message", "line"),
    [
        ("[workflow]\nname = 3x", None, "", 2),
        (GOOD.replace('shell = "cat', 'depends_on = ["aa"]\nshell = "cat'), "E007", "aa", 10),
        (
            GOOD.replace('name = "a"\n', 'name = "a"\ninput = ["b.txt"]\n').replace(
                'input = ["a.txt"]', 'input = ["a.txt"]\noutput = ["b.txt"]'
            ),
            "E006",
            "a → b → a",
            5,
        ),
    ],
)
def test_checking_finds_what_is_wrong_and_where(text, code, message, line):
    checked = check_text(text)
    assert checked.errors
    assert checked.dag is None
    found = checked.errors[0]
    assert message in found.message
    assert found.line == line
    if code:
        assert found.code == code


def test_a_good_text_has_nothing_to_say():
    checked = check_text(GOOD)
    assert checked.diagnostics == ()
    assert checked.dag is not None
    assert len(checked.jobs) == 2


def test_a_cycle_and_an_unknown_dependency_stop_a_load():
    with pytest.raises(GraphError, match="cycle"):
        load_text(GOOD.replace('output = ["a.txt"]', 'output = ["a.txt"]\ndepends_on = ["b"]'))
    with pytest.raises(WorkflowError, match="zz"):
        load_text(GOOD.replace('shell = "cat', 'depends_on = ["zz"]\nshell = "cat'))


def test_a_load_that_is_stopped_says_all_that_is_wrong():
    circle = GOOD.replace('output = ["a.txt"]', 'output = ["a.txt"]\ndepends_on = ["b"]')
    broken = circle + 'threads = "4"\nmemory = "lots"\n[config]\nk = {}\n'
    with pytest.raises(ParseError, match=r"threads must be an integer.*\(and 2 more\)") as caught:
        load_text(broken)
    assert [d.code for d in caught.value.diagnostics] == ["S009", "E004", "E006"]
    assert all(each.line for each in caught.value.diagnostics)
    with pytest.raises(WorkflowError) as caught_again:
        load_text(circle + 'env_group = "x"\nretry_delay = "soon"\n')
    assert [d.code for d in caught_again.value.diagnostics] == ["E002", "E010", "E006"]


def test_a_scatter_without_values_is_told_when_it_is_loaded():
    text = GOOD + "[config]\nnone = []\n"
    for values in ("", ', values_from = "config.none"', ', values_from = "config.gone"'):
        scatter = f'[[rules]]\nname = "s"\nshell = "x"\nscatter = {{ variable = "k"{values} }}\n'
        (warning,) = load_text(text + scatter).workflow.warnings
        assert warning.startswith("rule 's' has no jobs: ")
    assert [each.code for each in check_text(text + scatter).diagnostics] == ["E005"]
    scatter = scatter.replace("config.gone", "config.none")
    assert [each.code for each in check_text(text + scatter).diagnostics] == ["W035"]


def test_config_must_be_defined_wherever_it_is_named():
    for change in (
        ('shell = "cat', 'envvars = { K = "{config.no}" }\nshell = "cat'),
        ('shell = "cat', 'log = "{config.no}"\nshell = "cat'),
        ('shell = "cat', 'params = { p = "{config.no}" }\nshell = "cat'),
        ('["a.txt"]\nshell = "cat', '["a.txt", "{config.no}"]\nshell = "cat'),
    ):
        with pytest.raises(WorkflowError, match=r"rule 'b'.*config.no"):
            load_text(GOOD.replace(*change))


def test_the_workflow_of_a_directory_is_main_else_the_first(tmp_path):
    with pytest.raises(UsageError, match=r"no \*\.oxoflow file"):
        find_workflow(tmp_path)
    (tmp_path / "b.oxoflow").write_text(GOOD)
    (tmp_path / "a.oxoflow").write_text(GOOD)
    assert find_workflow(tmp_path).name == "a.oxoflow"
    (tmp_path / "main.oxoflow").write_text(GOOD)
    assert find_workflow(tmp_path).name == "main.oxoflow"


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(UsageError, match=r"'.*no.oxoflow' not found"):
        read_text(tmp_path / "no.oxoflow")
    with pytest.raises(UsageError, match="cannot be read"):
        read_text(tmp_path)


def test_profiles_stand_beside_the_workflow(tmp_path):
    with pytest.raises(UsageError, match=r"'hpc' not found; '.*profiles' holds no profile"):
        read_profile(tmp_path, "hpc")
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles/lab.toml").write_text("[config]\nq = 1\n")
    assert read_profile(tmp_path, "lab") == {"config": {"q": 1}}
    with pytest.raises(UsageError, match="profiles there: lab"):
        read_profile(tmp_path, "hpc")
    (tmp_path / "w.oxoflow").write_text(GOOD)
    assert load_file(tmp_path / "w.oxoflow", profile="lab").workflow.config["q"] == 1


def test_a_required_config_value_without_one_stops_a_run_naming_its_flag() -> None:
    text = '[workflow]\nname = "w"\n[config]\nk = { required = true, help = "the kit" }\n'
    with pytest.raises(WorkflowError, match=r"'k' is required.*--k VALUE \(the kit\)"):
        load_text(text)
    with pytest.raises(WorkflowError, match=r"did you mean it where 'kk' is set\?"):
        load_text(text, overrides={"kk": "v2"})
    assert load_text(text, overrides={"k": "v2"}).workflow.config["k"] == "v2"
    assert load_text(text, to_run=False).jobs == ()


def test_a_value_outside_its_choices_stops_a_run_naming_them() -> None:
    text = '[workflow]\nname = "w"\n[config]\n'
    text += 'mode = { default = "dna", choices = ["dna", "rna"] }\n'
    with pytest.raises(WorkflowError, match="must be one of: dna, rna"):
        load_text(text, overrides={"mode": "xyz"})


def test_what_validate_calls_an_error_stops_a_run_but_an_odd_name_does_not() -> None:
    head = '[workflow]\nname = "w"\n[[rules]]\n'
    with pytest.raises(WorkflowError, match="eight"):
        load_text(head + 'name = "a"\nmemory = "eight"\nshell = "true"\n')
    assert [job.name for job in load_text(head + 'name = "a.b"\nshell = "true"\n').jobs] == ["a.b"]


def test_what_is_wrong_in_a_nested_file_is_told_at_its_place_there(tmp_path):
    files = {
        "good": GOOD.replace('"a', '"g').replace('"b', '"h'),
        "deep": '[workflow]\nname = "m"\n[[include]]\npath = "part"\n',
        "part": '[workflow]\nname = "m"\n[[rules]]\nname = "p"\nshell = "x"\nmemory = "?"\n',
        "broken": "[workflow]\nname = 3x\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    host = '[workflow]\nname = "w"\n' + "".join(
        f'[[include]]\npath = "{name}"\n' for name in ("good", "deep")
    )
    view = DirectoryView(str(tmp_path))
    (found,) = check_text(host, view).errors
    assert (found.code, found.rule, found.file, found.line) == ("E004", "p", "part", 6)
    errors = check_text(host + '[[include]]\npath = "broken"\n', view).errors
    assert [(e.file, e.line, e.column) for e in errors if e.code == "S001"] == [("broken", 2, 9)]
    (found,) = [each for each in errors if each.rule == "p"]
    assert (found.file, found.line) == ("part", 6)


def test_a_circle_is_told_beside_an_unknown_name():
    head = '[workflow]\nname = "w"\n'
    rules = [
        f'[[rules]]\nname = "{name}"\ninput = ["{reads}"]\noutput = ["{writes}"]\nshell = "x"\n'
        for name, reads, writes in (("a", "y", "x"), ("b", "x", "y"))
    ]
    checked = check_text(head + "".join(rules) + 'depends_on = ["gone"]\n')
    assert [each.code for each in checked.errors] == ["E007", "E006"]
    assert "a → b → a" in checked.errors[1].message
    checked = check_text(head + rules[0] + 'depends_on = ["gone"]\n')
    assert [each.code for each in checked.errors] == ["E007"]
    assert checked.dag is None


def test_a_default_that_its_own_declaration_refuses_is_told_before_a_run(tmp_path):
    text = GOOD + (
        '[config]\na = { default = "9", range = "0..5" }\nb = { required = true }\n'
        'c = { default = "x", choices = ["x"] }\n'
    )
    view = DirectoryView(str(tmp_path))
    (found,) = check_text(text, view, look=True).diagnostics
    assert (found.severity, found.code, found.line) == (
        Severity.WARNING,
        "E005",
        text[: text.index("a = {")].count("\n") + 1,
    )
    assert "from 0 to 5" in found.message


def test_a_workflow_without_rules_is_told_when_it_is_checked_where_it_runs(tmp_path):
    text, view = '[workflow]\nname = "w"\n', DirectoryView(str(tmp_path))
    (found,) = check_text(text, view, look=True).diagnostics
    assert (found.severity, found.code, found.line) == (Severity.WARNING, "W036", 1)
    assert "no rules" in found.message
    assert check_text(text).diagnostics == ()
    (tmp_path / "m").write_text(GOOD)
    assert check_text(text + '[[include]]\npath = "m"\n', view, look=True).diagnostics == ()


def test_a_rule_without_files_to_group_is_told_when_loading_and_when_checking(tmp_path):
    groups = """input_groups = [{ pattern = "{s}_{l}.fq", group_by = "s" }]"""
    text = GOOD + f'[[rules]]\nname = "m"\n{groups}\nshell = "cat {{input}}"\n'
    (warning,) = load_text(text).workflow.warnings
    assert "rule 'm' has no jobs: '{s}_{l}.fq' gives no group" in warning
    view = DirectoryView(str(tmp_path))
    (found,) = check_text(text, view, look=True).diagnostics
    assert (found.code, found.rule, found.line) == ("W035", "m", 13)
    assert check_text(text, view).diagnostics == ()
    (tmp_path / "S_1.fq").touch()
    assert load_text(text, view=view).workflow.warnings == ()
