"""Choose the program that runs a script, by the script's suffix.

Owns spec/oxoflow-format.md 5.14 and the check of a rule's own `interpreter` (5.15). Pure: whether
programs exist is passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from oxoflow.lang.model import Rule

BUILT_IN: Mapping[str, str] = {
    ".py": "python",
    ".py3": "python3",
    ".r": "Rscript",
    ".jl": "julia",
    ".sh": "bash",
    ".bash": "bash",
    ".pl": "perl",
    ".rb": "ruby",
    ".qmd": "quarto render",
    ".rmd": "quarto render",
    ".ipynb": "jupyter nbconvert --to notebook --execute",
    ".smk": "snakemake",
    ".nextflow": "nextflow run",
    ".wdl": "miniwdl run",
}
TRUSTED_ROOTS = ("/usr/bin/", "/usr/local/bin/", "/opt/", "/home/", "/Users/")


class Interpreters:
    """The table of one workflow: its `interpreter_map` before the built-in suffixes."""

    def __init__(self, own: Mapping[str, str], has_program: Callable[[str], bool]) -> None:
        self._table = {**BUILT_IN, **own}
        # Debian has no `python`; where there is one, it is what the author means
        self._python = "python" if has_program("python") else "python3"

    def choose(self, script: str, wanted: str | None) -> str | None:
        """Give the interpreter for a script with its arguments; None to execute it as it is.

        `wanted` is the rule's own `interpreter`, passed over when it is not acceptable.
        """
        if wanted and is_acceptable(wanted):
            return wanted
        words = script.split(None, 1)
        if not words:
            return None
        stem, dot, suffix = words[0].rpartition("/")[2].rpartition(".")
        found = self._table.get(f".{suffix.lower()}") if dot and stem else None
        return self._python if found == "python" else found


def passed_over(rules: Iterable[Rule]) -> list[str]:
    """Say which interpreters of rules are not used, and why (5.15)."""
    places = ", ".join(TRUSTED_ROOTS)
    return [
        f"rule '{rule.name}': interpreter '{rule.interpreter}' is passed over, the script's suffix "
        f"decides; name a program on PATH or one below {places}"
        for rule in {id(rule): rule for rule in rules}.values()
        if rule.interpreter and not is_acceptable(rule.interpreter)
    ]


def is_acceptable(interpreter: str) -> bool:
    """Say whether a rule's `interpreter` may be used (5.15): a bare name, or a usual place."""
    program = interpreter.split(None, 1)[0] if interpreter.strip() else ""
    if not program or ".." in program:
        return False
    return "/" not in program or program.startswith(TRUSTED_ROOTS)
