"""Make error diagnostics and the exceptions that carry them.

Owns the two shapes in which `lang` says that something is wrong; the words come from the callers.
"""

from __future__ import annotations

from collections.abc import Sequence

from oxoflow.errors import Diagnostic, ParseError, Severity, WorkflowError

# Codes of our own beside those of the spec.
STRUCTURE = "S009"  # a value has the wrong type, or is nested too deep
UNUSABLE = "E018"  # an entry of a table cannot be used, or a file it names cannot


def error(
    code: str,
    message: str,
    *,
    rule: str | None = None,
    key: str | None = None,
    suggestion: str | None = None,
    line: int | None = None,
    column: int | None = None,
) -> Diagnostic:
    """Make an error."""
    return Diagnostic(Severity.ERROR, code, message, rule, suggestion, line, column, key)


def warning(
    code: str,
    message: str,
    *,
    rule: str | None = None,
    key: str | None = None,
    suggestion: str | None = None,
) -> Diagnostic:
    """Make a warning."""
    return Diagnostic(Severity.WARNING, code, message, rule, suggestion, key=key)


def parse_failure(problems: Sequence[Diagnostic]) -> ParseError:
    """Make the exception for a text that is no workflow."""
    return ParseError(summary(problems), tuple(problems))


def workflow_failure(problems: Sequence[Diagnostic]) -> WorkflowError:
    """Make the exception for a workflow that cannot be planned."""
    return WorkflowError(summary(problems), tuple(problems))


def summary(problems: Sequence[Diagnostic]) -> str:
    """Say the first problem with its cure, and how many more there are."""
    first = problems[0]
    place = f"in '{first.file}', line {first.line}: " if first.file else ""
    cure = f"; {first.suggestion}" if first.suggestion else ""
    rest = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{place}{first.message}{cure}{rest}"
