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

from oxoflow.lang.latepattern import late

HIDDEN = b"***"
_HEX = late(r"%[0-9A-F]{2}")
_SHORTEST_PART = 6  # characters of base64: less says little and stands in many words
_PIECE = 65_536
_PATIENCE = 1.0  # seconds that we wait for what a command left running to close its output


def plain_forms(value: str) -> set[str]:
    """A sensitive value as it may be printed: plain, and quoted for JSON and for URLs."""
    found = {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    for quoted in (quote(value, safe=""), quote(value), quote_plus(value)):
        found |= {quoted, _HEX.sub(lambda match: match[0].lower(), quoted)}
    return found


def base64_forms(value: str) -> set[str]:
    """A sensitive value in base64, alone and inside a longer text.

    Inside, it depends on where the value stands in its groups of three bytes: of each of the three
    ways, what the value alone decides is hidden.
    """
    found = set()
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
    """The sensitive values of one workflow; longer ones are replaced first.

    Base64 is found across line breaks too, since most programs wrap it; the line breaks stay.
    """

    def __init__(self, values: Iterable[str]) -> None:
        values = [value for value in values if value]
        plain = {form.encode("utf-8", "surrogateescape") for v in values for form in plain_forms(v)}
        wrapped = {form.encode() for value in values for form in base64_forms(value)} - plain
        self._needles = tuple(filter(None, plain | wrapped))
        patterns = [(form, re.escape(form)) for form in plain]
        patterns += [(form, _across_lines(form)) for form in wrapped]
        patterns.sort(key=lambda each: (-len(each[0]), each[0]))
        self._pattern = re.compile(b"|".join(pattern for _, pattern in patterns if pattern))
        self.longest = max((len(form) * 3 for form in self._needles), default=0)

    def __bool__(self) -> bool:
        return bool(self._needles)

    def text(self, text: str) -> str:
        """A text without sensitive values."""
        if not self._needles:
            return text
        how = "surrogateescape"
        try:
            raw = text.encode("utf-8", how)
        except UnicodeEncodeError:  # half a character, as JSON may hold it
            how = "surrogatepass"
            raw = text.encode("utf-8", how)
        return self.raw(raw).decode("utf-8", how) if self._holds(raw) else text

    def raw(self, content: bytes) -> bytes:
        """Output without sensitive values."""
        return self._pattern.sub(_hide, content) if self._holds(content) else content

    def start(self, content: bytes) -> tuple[bytes, bytes]:
        """Output of which more will follow: what may be shown, and the rest to put before that.

        Whatever begins in what is shown is there as a whole, so the longest value is found first.
        """
        safe = max(0, len(content) - self.longest + 1)
        if not self._holds(content):
            return content[:safe], content[safe:]
        shown, at = [], 0
        for match in self._pattern.finditer(content):
            if match.start() >= safe:
                break
            shown += [content[at : match.start()], _hide(match)]
            at = match.end()
        cut = max(at, safe)
        return b"".join([*shown, content[at:cut]]), content[cut:]

    def _holds(self, content: bytes) -> bool:
        """A quick look: nearly all output holds nothing, and searching by pattern is slow."""
        joined = content.translate(None, b"\r\n")
        return any(needle in content or needle in joined for needle in self._needles)


NO_MASK = Mask(())


def _across_lines(form: bytes) -> bytes:
    return rb"(?:\r?\n)?".join(re.escape(form[at : at + 1]) for at in range(len(form)))


def _hide(match: re.Match[bytes]) -> bytes:
    return HIDDEN + b"\n" * match[0].count(b"\n") if b"\n" in match[0] else HIDDEN


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
                    shown, rest = self._mask.start(rest + piece)
                    _write(self._target, shown)
                _write(self._target, self._mask.raw(rest))
        finally:
            os.close(self._reader)
            os.close(self._target)


def _write(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]
