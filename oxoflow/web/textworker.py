"""Be a process that does verbs on workflow texts, one at a time, until its input ends.

Limits its own memory. Talks in frames: four bytes of length, then JSON. Imports no Flask.
"""

from __future__ import annotations

import json
import resource
import struct
import sys
from collections.abc import Mapping
from typing import Any, BinaryIO

from oxoflow.errors import GraphError, ParseError, WorkflowError
from oxoflow.web.textwork import do_here

LENGTH = struct.Struct("!I")
LARGEST_MEMORY = 2 * 1024**3  # bytes of address space
KINDS: Mapping[str, type[WorkflowError]] = {
    kind.__name__: kind for kind in (ParseError, GraphError, WorkflowError)
}


def read_frame(stream: BinaryIO) -> Any:
    """The next JSON value; None at the end of the stream."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    return json.loads(stream.read(LENGTH.unpack(head)[0]))


def frame(value: Any) -> bytes:
    """A JSON value with its length before it."""
    data = json.dumps(value, default=str).encode()
    return LENGTH.pack(len(data)) + data


def answer(verb: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """What a verb gives, or its error, as fields."""
    try:
        return {"answer": do_here(verb, asked)}
    except WorkflowError as error:
        kind = next(one.__name__ for one in type(error).__mro__ if one.__name__ in KINDS)
        return {"error": kind, "message": error.message}
    except (MemoryError, RecursionError):
        return {"error": "WorkflowError", "message": "the workflow is too large to be looked at"}


def main() -> None:
    """Serve frames from stdin on stdout."""
    resource.setrlimit(resource.RLIMIT_AS, (LARGEST_MEMORY, LARGEST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while (asked := read_frame(source)) is not None:
        sink.write(frame(answer(asked["verb"], asked["asked"])))
        sink.flush()


if __name__ == "__main__":
    main()
