"""Put stars in place of sensitive values, in texts and in what commands print (5.11).

Owns the pipe between a command and its log that only workflows with sensitive values need; all
others write their logs themselves.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import threading
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

HIDDEN = "***"
_HEX = re.compile(r"%[0-9A-F]{2}")
_SHORTEST_PART = 6  # characters of base64: less says little and stands in many words
_PIECE = 65_536
_PATIENCE = 1.0  # seconds that we wait for what a command left running to close its output


def forms(value: str) -> set[str]:
    """A sensitive value as it may be printed: plain, quoted for JSON and URLs, and in base64.

    Base64 inside a longer text depends on where the value stands in its groups of three bytes: of
    each of the three ways, what the value alone decides is hidden.
    """
    found = {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    for quoted in (quote(value, safe=""), quote(value), quote_plus(value)):
        found |= {quoted, _HEX.sub(lambda match: match[0].lower(), quoted)}
    raw = value.encode("utf-8", "surrogateescape")
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for whole in (raw, raw + b"\n"):
            found |= {encode(whole).decode(), encode(whole).decode().rstrip("=")}
        for shift in range(3):
            text = encode(bytes(shift) + raw).decode()
            inner = text[-(-shift * 8 // 6) : (shift + len(raw)) * 8 // 6]
            if len(inner) >= _SHORTEST_PART:
                found.add(inner)
    return found


class Mask:
    """The sensitive values of one workflow; longer ones are replaced first."""

    def __init__(self, values: Iterable[str]) -> None:
        shown = {form for value in values if value for form in forms(value)}
        self._texts = sorted(filter(None, shown), key=len, reverse=True)
        self._bytes = [text.encode("utf-8", "surrogateescape") for text in self._texts]
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
