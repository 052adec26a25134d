"""Run a Code node: python or shell in a process of its own (spec/oxify-api.md section 6).

Owns how inputs reach a program and how its value comes back. Other runtimes fail by name.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from oxoflow.graph import model as m
from oxoflow.graph.jsontext import compact, parse_mended
from oxoflow.graph.nodes.program import Finished, run_program
from oxoflow.graph.template import lookup_path, parsed
from oxoflow.graph.work import Context, NodeFailure, Outcome

CHILD = Path(__file__).with_name("pychild.py")
MAX_RESULT = 8 * 1024 * 1024  # bytes of a python result
MAX_VARIABLE = 120 * 1024  # bytes; the kernel takes no longer string in an environment
OPEN_FILES = 512
FILE_BYTES = 2 * 1024**3
TAIL = 2000  # characters of stderr in a failure

Made = tuple[Any, int]  # the value, and the bytes of memory at the peak


def run_code(kind: m.Code, context: Context) -> Outcome:
    """Run the code over its inputs; its value becomes the variable `output`."""
    if not context.desk.limits.code:
        raise NodeFailure("Code nodes are switched off here", retry=False)
    run = RUNTIMES.get(kind.runtime.lower())
    if run is None:
        raise NodeFailure(f"Unsupported runtime: {kind.runtime}", retry=False)
    inputs = {name: _input(name, context) for name in kind.inputs}
    directory = context.desk.scratch(context)
    try:
        result, peak = run(kind.code, inputs, context, directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    output = {"runtime": kind.runtime, "output": kind.output, "result": result}
    named = {kind.output: result} if kind.output else {}
    return Outcome(output, named, {"memory_bytes": peak})


def _input(name: str, context: Context) -> Any:
    try:
        return lookup_path(name, context.scope.lookup)
    except KeyError:
        raise NodeFailure(f"Variable not found: {name}", retry=False) from None


def _python(code: str, inputs: dict[str, Any], context: Context, directory: Path) -> Made:
    outputs = context.scope.outputs()
    used = {name: value for name, value in outputs.items() if name in code and name not in inputs}
    job = {
        "code": code,
        "inputs": inputs,
        "names": used,
        "memory": context.desk.limits.memory_mb * 1024 * 1024,
        "cpu": _cpu_seconds(context),
        "files": OPEN_FILES,
        "file_bytes": FILE_BYTES,
    }
    (directory / "job.json").write_text(compact(job), encoding="utf-8")
    argv = [sys.executable, "-I", str(CHILD), str(directory)]
    finished = run_program(argv, context, directory, {})
    _check_exit(finished)
    return _python_result(directory / "result.json"), finished.peak_bytes


def _python_result(path: Path) -> Any:
    try:
        with path.open("rb") as handle:
            content = handle.read(MAX_RESULT + 1)
    except FileNotFoundError:
        raise NodeFailure("the code ended its process before its result was written") from None
    if len(content) > MAX_RESULT:
        raise NodeFailure(f"the result is larger than {MAX_RESULT} bytes", retry=False)
    try:
        return parse_mended(content)
    except ValueError as error:
        raise NodeFailure(f"the result is not JSON: {error}", retry=False) from None


def _shell(code: str, inputs: dict[str, Any], context: Context, directory: Path) -> Made:
    variables = {}
    for name, value in inputs.items():
        text = value if isinstance(value, str) else compact(value)
        if len(text.encode()) > MAX_VARIABLE or "\0" in text:
            raise NodeFailure(
                f"input '{name}' cannot be a variable of a shell (over {MAX_VARIABLE} bytes, or "
                "with a zero byte); use runtime python",
                retry=False,
            )
        variables["OXIFY_" + re.sub(r"\W", "_", name, flags=re.ASCII).upper()] = text
    memory = context.desk.limits.memory_mb * 1024
    limits = f"ulimit -c 0 -n {OPEN_FILES} -v {memory} -t {_cpu_seconds(context)}; "
    argv = ["bash", "-euo", "pipefail", "-c", limits + code]
    finished = run_program(argv, context, directory, variables)
    _check_exit(finished)
    return parsed(finished.stdout.decode("utf-8", "replace").strip()), finished.peak_bytes


def _cpu_seconds(context: Context) -> int:
    """A bound on CPU time for the case that nobody is left to watch the clock."""
    left = context.token.remaining()
    return 24 * 3600 if left is None else int(left) * 8 + 60


def _check_exit(finished: Finished) -> None:
    if finished.code != 0:
        said = finished.stderr.decode("utf-8", "replace").strip()[-TAIL:]
        raise NodeFailure(f"exit code {finished.code}" + (f": {said}" if said else ""))


RUNTIMES: dict[str, Callable[[str, dict[str, Any], Context, Path], Made]] = {
    "python": _python,
    "shell": _shell,
    "bash": _shell,
}
