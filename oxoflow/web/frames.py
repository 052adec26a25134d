"""Pass JSON values between the server and its text workers: four bytes of length, then the value.

Owns the form of frames and of errors in them. Imports nothing of the language, so that the server
does not load what only its workers use.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any, BinaryIO

from oxoflow.errors import GraphError, ParseError, WorkflowError

LENGTH = struct.Struct("!I")
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


def packed(error: WorkflowError) -> dict[str, str]:
    """An error as fields."""
    kind = next(one.__name__ for one in type(error).__mro__ if one.__name__ in KINDS)
    return {"error": kind, "message": error.message}


def unpacked(found: Mapping[str, Any]) -> dict[str, Any]:
    """A worker's answer, or the error it met, raised here."""
    if "error" in found:
        raise KINDS[found["error"]](found["message"])
    if "fault" in found:
        raise RuntimeError(f"a text worker failed:\n{found['fault']}")
    answer: dict[str, Any] = found["answer"]
    return answer
