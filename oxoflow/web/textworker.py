"""Be a process that does verbs on workflow texts, one at a time, until its input ends.

Limits its own memory. Imports no Flask.
"""

from __future__ import annotations

import gc
import resource
import sys
import traceback
from collections.abc import Mapping
from typing import Any

from oxoflow import SELDOM
from oxoflow.errors import WorkflowError
from oxoflow.web.frames import frame, packed, read_frame
from oxoflow.web.textwork import do_here

LARGEST_MEMORY = 2 * 1024**3  # bytes of address space


def answer(verb: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """What a verb gives, or its error, as fields."""
    try:
        return {"answer": do_here(verb, asked)}
    except WorkflowError as error:
        return packed(error)
    except (MemoryError, RecursionError):
        return packed(WorkflowError("the workflow is too large to be looked at"))
    except Exception:  # the boundary of this process: a fault of ours, told as one
        return {"fault": traceback.format_exc()}


def main() -> None:
    """Say that we are ready by an empty frame, then serve frames from stdin on stdout."""
    resource.setrlimit(resource.RLIMIT_AS, (LARGEST_MEMORY, LARGEST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    gc.set_threshold(*SELDOM)
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    sink.write(frame({}))
    sink.flush()
    while (asked := read_frame(source)) is not None:
        sink.write(frame(answer(asked["verb"], asked["asked"])))
        sink.flush()


if __name__ == "__main__":
    main()
