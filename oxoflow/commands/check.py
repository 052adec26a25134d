"""Check a workflow text: `validate` for errors, `lint` for advice too.

Owns how findings are shown and what exit code they give; the checks are in `lang`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oxoflow.commands.arguments import Arguments, Verb
from oxoflow.commands.loading import Place, find_place
from oxoflow.commands.options import FILE, JSON, WORKDIR, flag
from oxoflow.commands.output import counts, diagnostic_json, diagnostic_lines, plural, print_json
from oxoflow.engine.checking import Checked, check_text
from oxoflow.engine.load import DirectoryView, directory_of, read_text
from oxoflow.engine.select import rule_graph
from oxoflow.errors import Diagnostic, ParseError, Severity
from oxoflow.lang.findings import once
from oxoflow.lang.lint import lint, lint_written
from oxoflow.lang.positions import locate
from oxoflow.settings import load_limits


def _check(place: Place) -> tuple[str, Checked]:
    try:
        text = read_text(place.file)
    except ParseError as error:
        return "", Checked(None, (), None, error.diagnostics)
    view = DirectoryView(str(place.workdir))
    directory = directory_of(place.file, place.workdir)
    checked = check_text(text, view, directory=directory, look=True, limits=load_limits())
    return text, checked


def _edges(checked: Checked) -> list[tuple[str, str]] | None:
    if checked.dag is None or checked.workflow is None:
        return None
    return rule_graph(checked.dag, checked.workflow.rules).named_edges


def show_validation(arguments: Arguments) -> int:
    """Print the errors of a workflow; exit 1 when there are any."""
    place = find_place(arguments)
    _, checked = _check(place)
    errors = checked.errors
    if arguments.json:
        print_json(_validation_json(checked))
    else:
        _print_findings(place, checked.diagnostics)
        if not errors and checked.workflow:
            edges = len(_edges(checked) or ())
            rules = plural(len(checked.workflow.rules), "rule")
            print(f"{place.file.name}: valid, {rules}, {plural(edges, 'dependency edge')}")
    return 1 if errors else 0


def _validation_json(checked: Checked) -> dict[str, Any]:
    edges = _edges(checked)
    return {
        "valid": not checked.errors,
        "errors": [item.message for item in checked.errors],
        "rules_count": len(checked.workflow.rules) if checked.workflow else None,
        "edges_count": None if edges is None else len(edges),
        "diagnostics": [diagnostic_json(item) for item in checked.diagnostics],
    }


def show_lint(arguments: Arguments) -> int:
    """Print errors and advice; exit 1 for errors, with --strict for warnings too."""
    place = find_place(arguments)
    text, checked = _check(place)
    found = list(checked.diagnostics)
    if checked.workflow is not None:
        view = DirectoryView(str(place.workdir))
        advice = lint(checked.workflow, _edges(checked), view=view)
        found += once(locate(text, advice, checked.workflow.modules))
    elif checked.readable is not None:
        found += locate(text, lint_written(checked.readable), checked.readable.modules)
    if arguments.json:
        print_json({"diagnostics": [diagnostic_json(item) for item in found], **counts(found)})
    else:
        shown = _unrepeated(found)
        _print_findings(place, shown)
        words = [
            plural(number, name.removesuffix("_count")) for name, number in counts(shown).items()
        ]
        print(f"{place.file.name}: {', '.join(words)}")
    bad = {Severity.ERROR, Severity.WARNING} if arguments.strict else {Severity.ERROR}
    return 1 if any(item.severity in bad for item in found) else 0


def _unrepeated(found: list[Diagnostic]) -> list[Diagnostic]:
    """Leave out the advice that says no more than an error does: W014 of E007, W015 of E008."""
    said = {(item.message, item.file) for item in found if item.severity is Severity.ERROR}
    return [
        item
        for item in found
        if item.severity is Severity.ERROR or (item.message, item.file) not in said
    ]


def _print_findings(place: Place, found: tuple[Diagnostic, ...] | list[Diagnostic]) -> None:
    for line in diagnostic_lines(place.file.name, found):
        print(line)


VERBS: Mapping[str, Verb] = {
    "validate": Verb(
        "Check a workflow for errors. Exit code 1 when there are any.",
        (FILE, WORKDIR, JSON),
        show_validation,
    ),
    "lint": Verb(
        "Check a workflow for errors and questionable style.",
        (FILE, WORKDIR, flag("--strict", help="let warnings fail too"), JSON),
        show_lint,
    ),
}
