"""Pack what an execution needs when it is submitted, and unpack it in its runner (design 2).

Owns the form of `.oxo-flow/inputs.json`, beside `workflow.json`: variables, options, limits,
definitions of sub-workflows, tool servers. Nothing of the server is asked for these later.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from oxoflow.engine.rundir import RunDirectory
from oxoflow.errors import UsageError
from oxoflow.graph.jsontext import parse_mended
from oxoflow.graph.work import Limits

INPUTS = "inputs.json"
DOCUMENT = "workflow.json"
MAX_BYTES = 64 * 1024 * 1024


class Supplies(Struct, frozen=True):
    """What a runner is given besides the graph."""

    workflow_id: str
    variables: Mapping[str, Any] = field(default_factory=dict)
    continue_on_error: bool = False
    documents: Mapping[str, Any] = field(default_factory=dict)  # by workflow_path
    servers: Mapping[str, Any] = field(default_factory=dict)  # tool servers by id
    limits: Limits = field(default_factory=Limits)
    # entries by collection, without a server; with one, look-ups are asked for
    collections: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)


def pack(supplies: Supplies) -> bytes:
    """The content of `inputs.json`."""
    limits = supplies.limits
    body = {
        "workflow_id": supplies.workflow_id,
        "variables": dict(supplies.variables),
        "continue_on_error": supplies.continue_on_error,
        "documents": dict(supplies.documents),
        "servers": dict(supplies.servers),
        "limits": {
            "slots": limits.slots,
            "allowed_hosts": list(limits.allowed_hosts),
            "data_roots": [str(path) for path in limits.data_roots],
            "code": limits.code,
            "memory_mb": limits.memory_mb,
        },
    }
    return json.dumps(body).encode()


def read_supplies(root: Path) -> Supplies:
    """What `write_supplies` wrote; raise UsageError when it is not there or not whole."""
    body = read_object(RunDirectory(root).records / INPUTS)
    if body is None:
        raise UsageError(f"'{root}' holds no execution: .oxo-flow/{INPUTS} is missing or broken")
    limits = body.get("limits", {})
    return Supplies(
        workflow_id=str(body.get("workflow_id", "")),
        variables=body.get("variables", {}),
        continue_on_error=body.get("continue_on_error") is True,
        documents=body.get("documents", {}),
        servers=body.get("servers", {}),
        limits=Limits(
            slots=int(limits.get("slots", 4)),
            allowed_hosts=tuple(map(str, limits.get("allowed_hosts", ()))),
            data_roots=tuple(map(Path, limits.get("data_roots", ()))),
            code=limits.get("code", True) is not False,
            memory_mb=int(limits.get("memory_mb", 4096)),
        ),
    )


def read_object(path: Path) -> dict[str, Any] | None:
    """A JSON object in a file that others could have written; None when it is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, "rb") as handle:
            content = handle.read(MAX_BYTES + 1)
        value = parse_mended(content) if len(content) <= MAX_BYTES else None
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None
