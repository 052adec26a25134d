"""Run one piece of Python code: the program of a Code node's child process, never imported.

Reads `job.json` in the directory given, limits itself, runs the code in the directory `work` and
writes `result.json`: the value of `result`, else of the last expression. Needs the standard
library only, as it runs isolated (`python -I`).
"""

from __future__ import annotations

import ast
import json
import os
import resource
import sys
import traceback
from types import CodeType
from typing import Any

NAME = "<code>"
VALUE = "__oxoflow_value__"


def main(directory: str) -> int:
    """Run the job; the exit code is that of the code."""
    with open(os.path.join(directory, "job.json"), encoding="utf-8") as handle:
        job = json.load(handle)
    _limit(job)
    names: dict[str, Any] = {"__name__": "__main__", "inputs": dict(job["inputs"])}
    names |= job["names"] | job["inputs"]
    try:
        exec(_compiled(job["code"]), names)
    except SystemExit as error:
        if error.code:
            if not isinstance(error.code, int):
                print(error.code, file=sys.stderr)
            return error.code if isinstance(error.code, int) else 1
    except BaseException:
        _tell()
        return 1
    return _write(names.get("result", names.get(VALUE)), os.path.join(directory, "result.json"))


def _limit(job: dict[str, Any]) -> None:
    wanted = (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, job["memory"]),
        (resource.RLIMIT_CPU, job["cpu"]),
        (resource.RLIMIT_NOFILE, job["files"]),
        (resource.RLIMIT_FSIZE, job["file_bytes"]),
    )
    for kind, most in wanted:
        _, hard = resource.getrlimit(kind)
        value = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (value, value))


def _compiled(code: str) -> CodeType:
    """The code, its last expression kept as a value."""
    tree = ast.parse(code, NAME)
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        last = tree.body[-1]
        kept = ast.Assign([ast.Name(VALUE, ast.Store())], last.value)
        tree.body[-1] = ast.fix_missing_locations(ast.copy_location(kept, last))
    return compile(tree, NAME, "exec")


def _tell() -> None:
    """Print the traceback from the code on: what read it is no business of its author."""
    kind, error, trace = sys.exc_info()
    while trace is not None and trace.tb_frame.f_code.co_filename != NAME:
        trace = trace.tb_next
    traceback.print_exception(kind, error, trace)


def _write(value: Any, path: str) -> int:
    sys.stdout.flush()
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        print(f"the result is not JSON: {error}", file=sys.stderr)
        return 1
    with open(path, "w", encoding="utf-8") as handle:
        handle.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
