"""Take files that are too large for a JSON body, piece by piece; a run names those it wants."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from flask import Blueprint, Response, g, request

from oxoflow.db.instants import instant
from oxoflow.errors import Conflict, InvalidInput, NotFound
from oxoflow.web.deeds import deed, write_deed
from oxoflow.web.guards import role, signed_in
from oxoflow.web.http import query_number, reply, services
from oxoflow.workspace import disk_trouble, is_upload_name, open_below

LARGEST_PIECE = 256 * 1024**2  # bytes of one request
CHUNK = 1 << 20

blueprint = Blueprint("uploads", __name__, url_prefix="/api/uploads")


def _place() -> Path:
    return services().workspace.uploads(g.account.username)


def _checked(name: str) -> str:
    if not is_upload_name(name):
        raise InvalidInput(
            "Invalid upload name", "letters, digits, '.', '_', '+' and '-', at most 200, no path"
        )
    return name


@blueprint.get("")
@signed_in
def uploads() -> Response:
    """One's own uploads, by name."""
    found = []
    try:
        with os.scandir(_place()) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.is_file(follow_symlinks=False):
                    found.append(_shown(entry.name, entry.stat(follow_symlinks=False)))
    except FileNotFoundError:
        pass
    return reply(found)


@blueprint.put("/<name>")
@role("user")
def upload(name: str) -> Response:
    """Store the body under a name from `?offset=` on, which must be where the file ends."""
    request.max_content_length = LARGEST_PIECE
    offset = query_number("offset", 0, 0, 2**62)
    try:
        facts = _store(_place(), _checked(name), offset)
    except OSError as error:
        raise disk_trouble(error) from error
    if not offset:
        write_deed(deed("upload", name))
    return reply(_shown(name, facts), 200 if offset else 201)


def _store(place: Path, name: str, offset: int) -> os.stat_result:
    """Write the body of this request; Conflict when `offset` is not where the file ends."""
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = open_below(place, name, os.O_WRONLY | os.O_CREAT)
    with open(descriptor, "wb") as handle:  # of a descriptor: truncates nothing
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise InvalidInput("Invalid upload name", f"'{name}' is no file")
        if offset and facts.st_size != offset:
            raise Conflict("Wrong offset", f"the upload has {facts.st_size} bytes: go on there")
        handle.truncate(offset)
        handle.seek(offset)
        while data := request.stream.read(CHUNK):
            handle.write(data)
        handle.flush()
        os.fsync(descriptor)
        return os.fstat(descriptor)


@blueprint.delete("/<name>")
@role("user")
def delete(name: str) -> Response:
    """Remove an upload; runs that began with it keep their copy."""
    try:
        (_place() / _checked(name)).unlink()
    except FileNotFoundError:
        raise NotFound("Upload not found") from None
    write_deed(deed("delete_upload", name))
    return reply({"status": "deleted"})


def _shown(name: str, facts: os.stat_result) -> dict[str, object]:
    return {"name": name, "size_bytes": facts.st_size, "modified_at": instant(facts.st_mtime)}
