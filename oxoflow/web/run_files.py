"""Serve the files of one's own runs: listed, one by one with ranges, or together as a zip."""

from __future__ import annotations

import io
import mimetypes
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

from flask import Blueprint, Response, request

from oxoflow.db.instants import instant
from oxoflow.errors import InvalidInput, NotFound, TooLarge
from oxoflow.web.filebody import attachment, send
from oxoflow.web.guards import signed_in
from oxoflow.web.http import reply, services
from oxoflow.web.runs import own_run
from oxoflow.web.sending import send_in_own_thread
from oxoflow.workspace import Listing, OutputFile, inside_path, list_files, open_regular

MOST_LISTED = 10_000
MOST_ZIPPED = 4096
LARGEST_ZIP = 2 * 1024**3  # bytes before compression
CHUNK = 256 * 1024
EARLIEST = (1980, 1, 1, 0, 0, 0)  # a zip knows no earlier time
# Types that no browser executes; everything else is bytes.
HARMLESS = frozenset({"text/csv", "text/tab-separated-values", "image/png", "application/json"})

blueprint = Blueprint("run_files", __name__)


@blueprint.get("/api/runs/<run_id>/files")
@signed_in
def listing(run_id: str) -> Response:
    """Every file that a run made, or those below `?under=`."""
    found = _listed(_directory(run_id), MOST_LISTED)
    return reply(
        {
            "files": [
                {
                    "path": file.path,
                    "size_bytes": file.size,
                    "modified_at": instant(file.modified),
                }
                | encoded_path(file)
                for file in found.files
            ],
            "total_bytes": sum(file.size for file in found.files),
            "truncated": found.truncated,
        }
    )


def encoded_path(file: OutputFile) -> dict[str, str]:
    """What a listing adds for a file whose name is no text: how a URL names it."""
    return {} if file.encoded is None else {"encoded_path": file.encoded}


@blueprint.get("/api/runs/<run_id>/files/<path:name>")
@signed_in
def one(run_id: str, name: str) -> Response:
    """One file, whole or a range of it; never shown as a page."""
    directory = _directory(run_id)
    name = _as_sent(name)
    try:
        path = inside_path(name)
    except InvalidInput:
        raise _absent(name) from None
    descriptor = open_regular(directory, str(path))
    if descriptor is None:
        raise _absent(name)
    response = send(descriptor, _type_of(path.name))
    response.headers["Content-Disposition"] = attachment(path.name)
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


@blueprint.get("/api/runs/<run_id>/files.zip")
@signed_in
def archive(run_id: str) -> Response:
    """All files of a run, or those below `?under=`, as one zip that is made while it is sent."""
    directory = _directory(run_id)
    found = _listed(directory, MOST_ZIPPED)
    total = sum(file.size for file in found.files)
    if found.truncated or total > LARGEST_ZIP:
        raise TooLarge(
            "Too much for one archive",
            f"at most {MOST_ZIPPED} files and {LARGEST_ZIP} bytes: choose with 'under', "
            "or take the files one by one",
        )
    return send_in_own_thread(
        lambda: zipped(directory, found.files),
        {
            "Content-Type": "application/zip",
            "Content-Disposition": attachment(f"{run_id}.zip"),
            "X-Content-Type-Options": "nosniff",
        },
    )


def _as_sent(name: str) -> str:
    """The name that a URL ends with, byte by byte: what is no UTF-8 in it was replaced."""
    if "\ufffd" not in name:
        return name
    path: bytes = request.environ["PATH_INFO"].encode("latin-1")
    return os.fsdecode(path.split(b"/files/", 1)[1])


def _directory(run_id: str) -> Path:
    run = own_run(run_id)
    return services().workspace.run_directory(run.username, run.id)


def _listed(directory: Path, most: int) -> Listing:
    listing = list_files(directory, most)
    under = request.args.get("under", "").strip("/")
    if not under:
        return listing
    kept = tuple(file for file in listing.files if file.path.startswith(under + "/"))
    return Listing(kept, listing.truncated)


def _absent(name: str) -> NotFound:
    shown = os.fsencode(name[:200]).decode(errors="replace")
    return NotFound("File not found", f"'{shown}' is no file of this run")


def _type_of(name: str) -> str:
    guessed, encoding = mimetypes.guess_type(name, strict=True)
    return guessed if guessed in HARMLESS and not encoding else "application/octet-stream"


class _Outbox(io.RawIOBase):
    """A file that only appends; what was written is taken out again."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        piece = bytes(data)  # type: ignore[call-overload]
        self._parts.append(piece)
        return len(piece)

    def take(self) -> bytes:
        """Everything written since the last time."""
        found = b"".join(self._parts)
        self._parts.clear()
        return found


def zipped(directory: Path, files: tuple[OutputFile, ...]) -> Iterator[bytes]:
    """A zip of these files in pieces; one that is gone meanwhile is left out."""
    outbox = _Outbox()
    with zipfile.ZipFile(outbox, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as bundle:
        for file in files:
            descriptor = open_regular(directory, file.opened_as)
            if descriptor is None:
                continue
            with open(descriptor, "rb") as source:
                info = _entry(file, os.fstat(descriptor))
                with bundle.open(info, "w", force_zip64=True) as target:
                    while data := source.read(CHUNK):
                        target.write(data)
                        if piece := outbox.take():
                            yield piece
            yield outbox.take()
    yield outbox.take()


def _entry(file: OutputFile, facts: os.stat_result) -> zipfile.ZipInfo:
    moment = instant(facts.st_mtime)
    when = tuple(int(moment[place : place + 2]) for place in (5, 8, 11, 14, 17))
    path = file.encoded or file.path  # a zip keeps names as text
    info = zipfile.ZipInfo(path, max(EARLIEST, (int(moment[:4]), *when)))  # type: ignore[arg-type]
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    return info
