"""Run the workflow's own hook when all jobs have ended: on_complete, or on_error.

Owns their placeholders and their bounds. They are later than spec/oxoflow-format.md: best effort,
without influence on the run, and never run for one that was cancelled.
"""

from __future__ import annotations

import threading
from queue import Empty, SimpleQueue

from oxoflow.engine.control import POLL_SECONDS, Cancel, Control
from oxoflow.engine.ending import end_run
from oxoflow.engine.failures import describe_exit
from oxoflow.engine.options import Counts
from oxoflow.engine.parts import Parts
from oxoflow.engine.rulerun import RuleRun
from oxoflow.errors import OxoflowError
from oxoflow.lang.danger import find_dangers
from oxoflow.lang.latepattern import late
from oxoflow.lang.model import Workflow

SECONDS = 600.0  # after which a hook is ended
_NUMBERS = late(r"\{(succeeded|failed|skipped|workdir)\}")


def hook_of(workflow: Workflow, counts: Counts) -> tuple[str, str] | None:
    """Give the name and text of the hook that ends such a run, if the workflow has it."""
    failed = _failed(counts)
    text = workflow.on_error if failed else workflow.on_complete
    return ("on_error" if failed else "on_complete", text) if text else None


def _failed(counts: Counts) -> int:
    return counts.failed + counts.non_required_failed


def run_hook(
    name: str,
    text: str,
    parts: Parts,
    counts: Counts,
    rules: RuleRun,
    control: Control,
    words: SimpleQueue[object],
    run_id: str,
) -> None:
    """Run one hook in the working directory; a cancel meanwhile ends it, and the run with it."""
    hook = threading.Thread(target=_carry_out, args=(name, text, parts, counts), name="hook")
    hook.start()
    while hook.is_alive():
        hook.join(POLL_SECONDS)
        while (word := _next_word(words)) is not None:
            if isinstance(word, Cancel):
                rules.cancel(word.exit_code)
        for message in control.messages():
            rules.message(message)
        if rules.cancelled is not None and hook.is_alive():
            rules.receipt = end_run(parts.table, run_id)


def _next_word(words: SimpleQueue[object]) -> object | None:
    try:
        return words.get_nowait()
    except Empty:
        return None


def _carry_out(name: str, text: str, parts: Parts, counts: Counts) -> None:
    try:
        fact = _command(name, _filled(text, parts, counts), parts)
    except OxoflowError as error:
        fact = error.message
    if fact is not None:
        message = parts.jobs.tools.preparer.mask.text(f"workflow hook {name}: {fact}")
        parts.recorder.event("warning", message=message)


def _filled(text: str, parts: Parts, counts: Counts) -> str:
    tools = parts.jobs.tools
    numbers = {
        "succeeded": str(counts.succeeded),
        "failed": str(_failed(counts)),
        "skipped": str(counts.skipped),
        "workdir": tools.root,
    }
    filled = _NUMBERS.sub(lambda match: numbers[match[1]], text)
    return tools.planner.renderer.texts.command(filled)


def _command(name: str, filled: str, parts: Parts) -> str | None:
    """Run the command to its end; gives what is to be said of it, if anything."""
    tools = parts.jobs.tools
    for danger in find_dangers(filled):
        return f"not run: it {danger.effect} ({danger.category})"
    prelude = (tools.preparer.workflow.defaults.shell_prelude or "").strip("\n")
    logs = tools.open_logs(name)
    try:
        ended = tools.commands.run(
            tools.preparer.site.shell.argv(f"{prelude}\n{filled}" if prelude else filled),
            job=name,
            token=f"{name}.1",
            logs=logs,
            cwd=tools.root,
            variables={},
            timeout=SECONDS,
        )
    finally:
        logs.close()
    if ended.timed_out:
        return f"ended after {SECONDS:g} s"
    return None if ended.code == 0 else f"{describe_exit(ended.code)}; see the log of the run"
