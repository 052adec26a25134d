"""Talk JSON-RPC with a child process over its pipes, a message a line.

Owns that process: its group is ended when the session closes, and when nobody waits any more.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from oxoflow.graph.jsontext import compact, parse_mended
from oxoflow.graph.work import Context, NodeFailure

MAX_LINE = 8 * 1024 * 1024
GRACE = 1.0  # seconds a server has to end by itself when its input closes


class PipeSession:
    """A server that lives as long as the session."""

    def __init__(self, command: Sequence[str], context: Context) -> None:
        if not command:
            raise NodeFailure("the tool server has no command", retry=False)
        self._context = context
        self._rest = b""
        logs = context.desk.place("logs")
        try:
            with (logs / "mcp.err").open("ab") as errors:
                self._process = subprocess.Popen(
                    list(command),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    cwd=context.desk.place("files"),
                    env=dict(context.desk.environment),
                    start_new_session=True,
                    bufsize=0,
                )
        except OSError as error:
            raise NodeFailure(f"'{command[0]}' could not be started: {error.strerror}") from error

    def request(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """Send a request and wait for the reply with its id."""
        with self._context.token.calling(self._kill):
            self.notify(message)
            while True:
                reply = self._message()
                if reply.get("id") == message["id"] and "method" not in reply:
                    return reply

    def notify(self, message: Mapping[str, Any]) -> None:
        """Send a message."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(compact(dict(message)).encode() + b"\n")
        except OSError as error:
            self._context.token.check()
            raise NodeFailure("the tool server ended before it answered") from error

    def _message(self) -> Mapping[str, Any]:
        """The next JSON object; lines that are none are passed over."""
        while True:
            line, newline, rest = self._rest.partition(b"\n")
            if not newline:
                self._fill()
                continue
            self._rest = rest
            with contextlib.suppress(ValueError):
                value = parse_mended(line)
                if isinstance(value, dict):
                    return value

    def _fill(self) -> None:
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        ready, _, _ = select.select([descriptor], [], [], self._context.token.remaining())
        self._context.token.check()
        piece = os.read(descriptor, 65536) if ready else b""
        if not piece:
            self._context.token.check()
            raise NodeFailure("the tool server ended before it answered")
        self._rest += piece
        if len(self._rest) > MAX_LINE:
            raise NodeFailure(f"the tool server's reply is larger than {MAX_LINE} bytes")

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Close its input, give it a moment, then end its whole group."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE)
        self._kill()
        self._process.stdout.close()
        self._process.wait()
