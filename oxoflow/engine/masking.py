"""Put stars in place of sensitive values, in texts and in what commands print (5.11).

Owns the pipe between a command and its log that only workflows with sensitive values need; all
others write their logs themselves.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterable

HIDDEN = "***"
_PIECE = 65_536
_PATIENCE = 1.0  # seconds that we wait for what a command left running to close its output


class Mask:
    """The sensitive values of one workflow; longer ones are replaced first."""

    def __init__(self, values: Iterable[str]) -> None:
        self._texts = sorted({value for value in values if value}, key=len, reverse=True)
        self._bytes = [text.encode() for text in self._texts]
        self.longest = max(map(len, self._bytes), default=0)

    def __bool__(self) -> bool:
        return bool(self._texts)

    def text(self, text: str) -> str:
        """A text without sensitive values."""
        for secret in self._texts:
            text = text.replace(secret, HIDDEN)
        return text

    def raw(self, content: bytes) -> bytes:
        """Output without sensitive values."""
        for secret in self._bytes:
            content = content.replace(secret, HIDDEN.encode())
        return content


class MaskedStream:
    """A pipe into a log file; `writer` is the end for the command."""

    def __init__(self, target: int, mask: Mask) -> None:
        self._mask = mask
        self._target = os.dup(target)  # what a command leaves running may outlive the log
        self._reader, self.writer = os.pipe()
        self._thread = threading.Thread(target=self._copy, name="mask", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Close our end and wait until all that was written has arrived."""
        os.close(self.writer)
        self._thread.join(_PATIENCE)

    def _copy(self) -> None:
        rest = b""
        try:
            with contextlib.suppress(OSError):  # a full disk: the job's records will say so
                while piece := os.read(self._reader, _PIECE):
                    # A value may be cut by the end of a piece: as much of it stays behind.
                    whole = self._mask.raw(rest + piece)
                    cut = max(0, len(whole) - self._mask.longest + 1)
                    _write(self._target, whole[:cut])
                    rest = whole[cut:]
                _write(self._target, rest)
        finally:
            os.close(self._reader)
            os.close(self._target)


def _write(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]
