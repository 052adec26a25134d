"""Count the lines of a file, for conditions that ask how much a job above has left.

Reads in pieces, unpacks what is packed, and counts a file that did not change only once.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from functools import lru_cache
from typing import BinaryIO

_PIECE = 1 << 20
_PACKED = b"\x1f\x8b"
_GZIP = 31  # zlib's word for a gzip header and its checksum


def count_lines(path: str, status: os.stat_result) -> int | None:
    """Give the lines of a file as `wc -l` does, of what is in it when it is gzipped.

    None for what cannot be read, and for a packed file that is cut or broken. A last line without
    an end counts too.
    """
    return _count(path, status.st_ino, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=10_000)
def _count(path: str, inode: int, size: int, changed: int) -> int | None:
    lines, last = 0, b"\n"
    try:
        with open(path, "rb") as file:
            for piece in _unpacked(file) if file.peek(2)[:2] == _PACKED else _pieces(file):
                lines, last = lines + piece.count(b"\n"), piece[-1:]
    except (OSError, EOFError, zlib.error):
        return None
    return lines + (last != b"\n")


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        yield piece


def _unpacked(file: BinaryIO) -> Iterator[bytes]:
    """Unpack all the parts of a gzipped file (bgzip writes many); raises EOFError when one is cut.

    Modules for that in the standard library would cost every command a millisecond of its start.
    """
    part, begun = zlib.decompressobj(_GZIP), False
    packed = file.read(_PIECE)
    while packed:
        piece = part.decompress(packed, _PIECE)
        begun = True
        if piece:
            yield piece
        packed = part.unconsumed_tail
        if part.eof:
            packed = part.unused_data
            part, begun = zlib.decompressobj(_GZIP), False
        packed = packed or file.read(_PIECE)
        packed = packed if begun else packed.lstrip(b"\0")
    if begun:
        raise EOFError
