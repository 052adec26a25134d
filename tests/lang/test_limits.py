"""Hold the limits of one workflow: each is where it is set, and says which setting moves it."""

from __future__ import annotations

import pytest

from oxoflow.engine.checking import check_text
from oxoflow.engine.load import load_text
from oxoflow.errors import Diagnostic, Severity, WorkflowError
from oxoflow.lang.findings import MORE, bounded, first_of
from oxoflow.lang.lint import lint
from oxoflow.lang.lints.advice import collect_facts
from oxoflow.lang.parse import parse_workflow
from oxoflow.limits import DEFAULT, Limits
from tests.lang.build import HEAD, Files, composed, rule

GROUPS = "name\tsamples\ng\tS1\n"
NESTED = {
    "a": HEAD + '[[include]]\npath = "b"\n' + rule("a"),
    "b": HEAD + '[[include]]\npath = "c"\n' + rule("b"),
    "c": HEAD + rule("c"),
}
FIRST = HEAD + '[[include]]\npath = "a"\n'
FAN_OUT = '[[sample_groups]]\nname = "g"\nsamples = ["a", "b", "c"]\n'


@pytest.mark.parametrize(
    ("text", "enough", "short", "message"),
    [
        (FIRST, {"include_depth": 3}, {"include_depth": 2}, "the depth limit is 2"),
        (FIRST, {"includes": 3}, {"includes": 2}, "more than 2 files are included"),
        (
            '[workflow]\nname = "w"\nsample_groups_file = "g.tsv"\n',
            {"sheet": len(GROUPS)},
            {"sheet": len(GROUPS) - 1},
            "bytes, more than 17",
        ),
        (HEAD, {"text": len(HEAD)}, {"text": len(HEAD) - 1}, "more than 21; split the workflow"),
        (
            HEAD + FAN_OUT + rule("a", shell='"{sample}"'),
            {"jobs": 3},
            {"jobs": 2},
            "would become 3 jobs, and only 2 more jobs are allowed",
        ),
        (
            HEAD + rule("a", output='["a"]', shell='"a"') + rule("b", input='["a"]', shell='"b"'),
            {"edges": 1},
            {"edges": 0},
            "more than 0 edges",
        ),
        (
            HEAD + FAN_OUT + rule("a", shell='"{sample}"') + rule("b", depends_on='["a"]'),
            {"edges": 3},
            {"edges": 2},
            "more than 2 edges at job 'b'",
        ),
        (
            HEAD
            + FAN_OUT
            + rule("a", shell='"{sample}"')
            + rule("b", shell='"b"')
            + '[[execution_group]]\nname = "g"\nmode = "sequential"\nrules = ["a", "b"]\n',
            {"edges": 3},
            {"edges": 2},
            "more than 2 edges at job 'b'",
        ),
    ],
)
def test_a_workflow_at_its_limit_loads_and_one_above_is_refused(
    text: str, enough: dict[str, int], short: dict[str, int], message: str
):
    files = Files({**NESTED, "g.tsv": GROUPS})
    load_text(text, view=files, limits=Limits(**enough))
    with pytest.raises(WorkflowError, match=message):
        load_text(text, view=files, limits=Limits(**short))


def test_a_sheet_of_the_command_line_has_the_same_limit():
    limits = Limits(sheet=len(GROUPS) - 1)
    with pytest.raises(WorkflowError, match="more than 17"):
        composed("", {"g.tsv": GROUPS}, limits=limits, samples=["@g.tsv"])


def many(number: int, severity: Severity = Severity.ERROR) -> list[Diagnostic]:
    return [Diagnostic(severity, "E001", str(each)) for each in range(number)]


def test_findings_up_to_the_limit_are_all_listed():
    found = [*many(3), *many(3, Severity.WARNING)]
    assert bounded(found, 3) == found
    assert first_of(found, 6) == found


def test_findings_above_the_limit_are_counted_in_a_last_note():
    *kept, note = bounded(many(5), 3)
    assert kept == many(3)
    assert (note.severity, note.code) == (Severity.INFO, MORE)
    assert note.message.startswith("and 2 more findings")
    assert "OXO_FLOW_LIMIT_FINDINGS" in (note.suggestion or "")


def test_an_error_is_listed_however_many_warnings_stand_before_it():
    found = bounded([*many(9, Severity.WARNING), *many(1)], 3)
    assert found[3] == many(1)[0]
    assert found[4].message.startswith("and 6 more")


def test_looking_for_errors_ends_when_there_are_twice_as_many_as_are_listed():
    source = iter(many(100))
    *_, note = bounded(source, 3)
    assert note.message.startswith("and at least")
    assert len(list(source)) > 90
    *_, note = first_of(iter(many(100)), 3)
    assert "more findings" in note.message


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "".join(rule(f"r{n}", output="3") for n in range(30)),
        HEAD + "".join(rule("r") for _ in range(30)),
        HEAD + "".join(rule(f"r{n}", depends_on='["x"]') for n in range(30)),
        HEAD + rule("r", shell='"a"', depends_on=str([f"x{n}" for n in range(30)])),
        "pairs = [" + "{ pair_id = 1 }," * 30 + "]\n" + HEAD,
        HEAD + "".join(f'[[include]]\npath = "{n}"\n' for n in range(30)),
    ],
)
def test_a_text_with_many_errors_lists_as_many_as_the_limit_and_says_that_there_are_more(text: str):
    checked = check_text(text, Files(), limits=Limits(findings=5))
    assert [each.code for each in checked.diagnostics[-1:]] == [MORE]
    assert len(checked.errors) == 5
    assert all(each.line for each in checked.diagnostics)


def test_advice_is_listed_up_to_the_limit():
    text = HEAD + "".join(rule(f"r{n}", shell='"a"') for n in range(30))
    found = lint(parse_workflow(text, Limits(findings=5)), None)
    assert len(found) == 6
    assert found[-1].code == MORE
    assert MORE not in [each.code for each in lint(parse_workflow(text, DEFAULT), None)]


def test_unknown_names_are_repeated_as_advice_only_up_to_the_limit():
    text = HEAD + rule("r", depends_on=str([f"x{n}" for n in range(30)]))
    facts = collect_facts(parse_workflow(text, Limits(findings=5)), None, None)
    assert [len(found) for found in facts.repeats.values()] == [6]
