"""Format long texts in a process of their own that can be stopped (design.md 7).

Owns the limit from which a text counts as long, the child process and its time; formatting itself
is `lang.format`. The child gets the text on stdin and answers one JSON object on stdout.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from msgspec.structs import asdict

from oxoflow.errors import Diagnostic, ParseError, Severity, WorkflowError
from oxoflow.lang.format import format_workflow
from oxoflow.settings import load_limits

LARGE = 256 * 1024  # characters; below this a text formats in well under a second
SECONDS = 30.0
_ROOT = Path(__file__).resolve().parents[2]  # where `-m oxoflow…` finds the package
_COMMAND = (sys.executable, "-m", "oxoflow.commands.format_large")


def format_any(text: str, *, large: int = LARGE, seconds: float = SECONDS) -> str:
    """Return the canonical form of a workflow text of any length.

    Raises ParseError for a text that is no workflow, WorkflowError when it takes too long.
    """
    if len(text) <= large:
        return format_workflow(text, load_limits())
    try:
        done = subprocess.run(
            _COMMAND,
            input=text.encode("utf-8", "surrogatepass"),
            capture_output=True,
            cwd=_ROOT,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise WorkflowError(
            f"formatting took longer than {seconds:g} s and was stopped; split the workflow"
        ) from None
    if done.returncode != 0:
        raise WorkflowError("formatting stopped early, perhaps for want of memory; try again")
    return _answer(json.loads(done.stdout))


def _answer(answer: dict[str, object]) -> str:
    formatted = answer.get("formatted")
    if isinstance(formatted, str):
        return formatted
    rows = answer.get("diagnostics")
    diagnostics = [
        Diagnostic(**{**row, "severity": Severity(row["severity"])})
        for row in (rows if isinstance(rows, list) else ())
    ]
    raise ParseError(str(answer.get("error")), tuple(diagnostics))


def main() -> None:
    """Be the child: text from stdin, answer to stdout."""
    text = sys.stdin.buffer.read().decode("utf-8", "surrogatepass")
    try:
        answer: dict[str, object] = {"formatted": format_workflow(text, load_limits())}
    except ParseError as error:
        rows = [{**asdict(each), "severity": each.severity.value} for each in error.diagnostics]
        answer = {"error": error.message, "diagnostics": rows}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
