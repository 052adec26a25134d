"""Read the commands of a rule for constructs that deserve a second look.

Owns W020 to W023 (spec/oxo-flow-api.md 5.3, 5.4) and W030. Commands are not parsed, only searched,
each pattern in linear time; lines that are comments are left out.
"""

from __future__ import annotations

from collections.abc import Iterator

from oxoflow.errors import Diagnostic
from oxoflow.lang.lints.advice import Facts, command_texts, warn
from oxoflow.lang.model import Rule
from oxoflow.lang.patterns import Pattern, compile_pattern
from oxoflow.lang.wildcards import PLACEHOLDER

HOOK_CODES = (("W020", "pre_exec"), ("W021", "on_success"), ("W022", "on_failure"))
HOOK_MARKS = (
    ("$(", "command substitution"),
    ("`", "backticks"),
    (";", "several commands (;)"),
    ("\n", "several lines"),
    ("rm -rf /", "rm -rf of an absolute path"),
)

# (quick test, pattern, what it is, what to do)
CONSTRUCTS: tuple[tuple[str, Pattern, str, str], ...] = (
    (
        "$(",
        compile_pattern(r"\$\((?:[^(]|$)"),
        "command substitution $(…)",
        "compute the value in a rule or in [config], so that a changed value is noticed",
    ),
    ("`", compile_pattern("`"), "backticks", "use $(…), which nests and quotes"),
    (
        "rm",
        compile_pattern(r"\brm\s+(?:-\w+\s+)*-(?:\w*[rR]\w*f|\w*f\w*[rR])"),
        "rm -rf",
        "name the files to remove, or declare them as temp_output",
    ),
    (
        "777",
        compile_pattern(r"\bchmod\s+(?:-\w+\s+)*0?777\b"),
        "chmod 777",
        "give only the rights that are needed, such as chmod g+w",
    ),
    (
        "eval",
        compile_pattern(r"(?m)(?:^|[\s;&|(])eval\s"),
        "eval",
        "write the command out; eval runs whatever the text becomes",
    ),
    (
        "|",
        compile_pattern(r"\b(?:curl|wget)\b[^\n|;]*\|\s*(?:sudo\s+)?(?:ba|da|z|k)?sh\b"),
        "a download piped into a shell",
        "download to a file, check it, then run it",
    ),
)


def command_checks(rule: Rule, facts: Facts) -> Iterator[Diagnostic]:
    """Yield what is doubtful in a rule's hooks and commands."""
    for code, key in HOOK_CODES:
        text = getattr(rule, key)
        if text:
            yield from _hook(rule, code, key, text.strip())
    for key, text in command_texts(rule):
        code_only = without_comments(text)
        for quick, pattern, what, cure in CONSTRUCTS:
            if quick in code_only and pattern.search(code_only):
                message = f"rule '{rule.name}': {what} in {key}"
                yield warn("W023", message, rule, key, cure)
    yield from _comments(rule, facts)


def without_comments(text: str) -> str:
    """Return a command without its comment lines."""
    if "#" not in text:
        return text
    return "\n".join(line for line in text.split("\n") if not line.lstrip().startswith("#"))


def _hook(rule: Rule, code: str, key: str, text: str) -> Iterator[Diagnostic]:
    for mark, what in HOOK_MARKS:
        if mark in text:
            message = f"rule '{rule.name}': {key} holds {what}"
            yield warn(code, message, rule, key, f"put it into a script and let {key} call that")
            return


def _comments(rule: Rule, facts: Facts) -> Iterator[Diagnostic]:
    """Warn of a wildcard that stands in a comment of the command alone, yet fans the rule out."""
    if not rule.shell or "#" not in rule.shell:
        return
    elsewhere = "\n".join([without_comments(rule.shell), *rule.input.paths, *rule.output.paths])
    used = set(PLACEHOLDER.findall(elsewhere))
    commented = dict.fromkeys(PLACEHOLDER.findall(rule.shell))
    for name in commented:
        if name not in used and name in facts.fan_out_names:
            yield warn(
                "W030",
                f"rule '{rule.name}': {{{name}}} stands only in a comment of the command, and "
                "still makes one job for each value",
                rule,
                "shell",
                f"write the comment without braces: {name}",
            )
