"""Send a file or a part of it without a request thread waiting for the client.

The body is handed to the server's own file wrapper: waitress reads and sends it from its main loop,
so memory stays flat and a slow client costs nothing. Owns byte ranges, entity tags and the reading
of files that may change meanwhile. Opens nothing: it is given a descriptor.
"""

from __future__ import annotations

import codecs
import os
import re
from typing import IO, Any, cast
from urllib.parse import quote

from flask import Response, request
from werkzeug.exceptions import RequestedRangeNotSatisfiable
from werkzeug.wsgi import wrap_file

UNPLAIN = re.compile(r"[^A-Za-z0-9 ._+,=@~()-]")
LONGEST_CHARACTER = 4  # bytes of UTF-8


class Shrunk(OSError):
    """The file became shorter than was promised: the connection can only be closed."""


class Part:
    """`length` bytes of an open file from `start`, as a file object; owns the descriptor."""

    def __init__(self, descriptor: int, start: int, length: int) -> None:
        self._descriptor = descriptor
        self._start = start
        self._length = length
        self._at = 0

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, exactly as many as are left within it; raises Shrunk."""
        left = self._length - self._at
        size = left if size < 0 else min(size, left)
        data = self._bytes(self._start + self._at, size) if size else b""
        if len(data) < size:
            raise Shrunk("the file became shorter while it was sent")
        self._at += size
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._length}[whence]
        self._at = min(max(0, base + offset), self._length)
        return self._at

    def tell(self) -> int:
        return self._at

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _bytes(self, at: int, size: int) -> bytes:
        found = b""
        while len(found) < size:
            data = os.pread(self._descriptor, size - len(found), at + len(found))
            if not data:
                break
            found += data
        return found


class TextPart(Part):
    """A part whose every byte that is no UTF-8 is a question mark: lengths and ranges stay true."""

    def _bytes(self, at: int, size: int) -> bytes:
        before = min(at, LONGEST_CHARACTER - 1)
        wide = super()._bytes(at - before, before + size + LONGEST_CHARACTER - 1)
        return as_text(wide)[before : before + size]


def as_text(data: bytes) -> bytes:
    """The same number of bytes, all of them UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return data.decode(errors="oxoflow.question").encode()
    return data


def _question(error: UnicodeError) -> tuple[str, int]:
    broken = cast(UnicodeDecodeError, error)
    return "?" * (broken.end - broken.start), broken.end


codecs.register_error("oxoflow.question", _question)


def send(descriptor: int, content_type: str, kind: type[Part] = Part) -> Response:
    """Answer with a regular file from its descriptor, which is closed when all is sent.

    Honours `Range` (one range), `If-Range`, `If-None-Match` and `If-Modified-Since`; raises
    RequestedRangeNotSatisfiable.
    """
    facts = os.fstat(descriptor)
    size = facts.st_size
    try:
        start, stop = _wanted(size, f'"{_tag(facts)}"')
        part = kind(descriptor, start, stop - start)
        body = wrap_file(request.environ, cast("IO[bytes]", part), 64 * 1024)
        response = Response(body, content_type=content_type, direct_passthrough=True)
    except BaseException:
        os.close(descriptor)
        raise
    response.content_length = stop - start
    response.headers["Cache-Control"] = "private, no-cache"  # kept, but asked after every time
    response.accept_ranges = "bytes"
    response.set_etag(_tag(facts))
    response.last_modified = facts.st_mtime  # type: ignore[assignment]
    if stop - start < size:
        response.status_code = 206
        response.content_range.set(start, stop, size)
        return response
    response.make_conditional(request)
    if response.status_code == 304:
        part.close()
    return response


def attachment(name: str) -> str:
    """The Content-Disposition of a file to be stored under this name, whatever is in it.

    Old clients read the first form, all others the second one where both are there.
    """
    plain = UNPLAIN.sub("_", name)
    told = quote(name, safe="", errors="surrogateescape")
    rest = "" if plain == name else f"; filename*=UTF-8''{told}"
    return f'attachment; filename="{plain}"{rest}'


def send_rest(descriptor: int, offset: int, content_type: str) -> Response:
    """Answer with what a growing text file has behind `offset`, and where to go on from."""
    size = os.fstat(descriptor).st_size
    start = min(offset, size)
    part = TextPart(descriptor, start, size - start)
    body = wrap_file(request.environ, cast("IO[bytes]", part), 64 * 1024)
    response = Response(body, content_type=content_type, direct_passthrough=True)
    response.content_length = size - start
    response.headers["X-Next-Offset"] = str(size)
    return response


def _tag(facts: os.stat_result) -> str:
    return f"{facts.st_ino:x}-{facts.st_size:x}-{facts.st_mtime_ns:x}"


def _wanted(size: int, tag: str) -> tuple[int, int]:
    """The bytes asked for; all of them when the range is for another version of the file."""
    asked = request.range
    condition: Any = request.headers.get("If-Range")
    if asked is None or asked.units != "bytes" or len(asked.ranges) != 1:
        return 0, size
    if condition is not None and condition.strip() != tag:
        return 0, size
    found = asked.range_for_length(size)
    if found is None:
        raise RequestedRangeNotSatisfiable(size)
    return found
