"""Read on in a log that grows, in pieces that never cut a character.

Owns the position in one file of one run. The file belongs to the run's rules: it is opened anew for
every piece, and nothing is followed out of the run directory.
"""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import Struct

from oxoflow.web.filebody import as_text
from oxoflow.workspace import open_regular

PIECE = 32 * 1024  # bytes
MOST = 8  # logs that one client may follow


class Tail(Struct):
    """A log that somebody follows; `offset` is what was read, in bytes."""

    run_id: str
    directory: Path
    name: str
    offset: int

    def read(self) -> bytes:
        """The next bytes as text, at most PIECE of them; empty when there are none just now."""
        descriptor = open_regular(self.directory, self.name)
        if descriptor is None:
            return b""
        try:
            data = os.pread(descriptor, PIECE, self.offset)
        finally:
            os.close(descriptor)
        whole = len(data) - unfinished(data)
        self.offset += whole
        return as_text(data[:whole])


def unfinished(data: bytes) -> int:
    """How many bytes at the end begin a character that is not complete; 0 to 3."""
    for back in range(1, min(3, len(data)) + 1):
        byte = data[-back]
        if byte >= 0xC0:  # the first byte of a character of several
            size = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return back if size > back else 0
        if byte < 0x80:
            return 0
    return 0
