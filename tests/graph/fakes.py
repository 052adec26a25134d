"""Loopback servers for graphs: requests are kept, answers given in order or by a function."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.patience import PATIENCE


@dataclass
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclass
class Reply:
    """One answer; `pieces` are sent one by one, each after its gate (if any) opens."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    pieces: list[bytes] | None = None
    gate: threading.Event | None = None


class Fake:
    """A server that answers with `replies` in turn; the last one is given again and again."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.replies: list[Reply] = [Reply()]
        self.answer: Callable[[Seen], Reply] | None = None
        self.arrived = threading.Semaphore(0)
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def reply_to(self, seen: Seen) -> Reply:
        if self.answer is not None:
            return self.answer(seen)
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


def _handler(fake: Fake) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            seen = Seen(self.command, self.path, headers, self.rfile.read(length).decode())
            fake.seen.append(seen)
            reply = fake.reply_to(seen)
            fake.arrived.release()
            try:
                self._send(reply)
            except OSError:
                self.close_connection = True

        def _send(self, reply: Reply) -> None:
            if reply.gate is not None and reply.pieces is None:
                reply.gate.wait(PATIENCE)
            body = reply.body
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(reply.status)
            headers = {"Content-Type": "application/json"} | reply.headers
            if reply.pieces is None:
                headers["Content-Length"] = str(len(content))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            for piece in reply.pieces if reply.pieces is not None else [content]:
                self.wfile.write(piece)
                self.wfile.flush()
                if reply.gate is not None:
                    reply.gate.wait(PATIENCE)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _serve

        def log_message(self, *_: object) -> None:
            return

    return Handler


@contextmanager
def fake_server() -> Iterator[Fake]:
    fake = Fake()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(fake))
    server.daemon_threads = True
    fake.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        for reply in fake.replies:
            if reply.gate is not None:
                reply.gate.set()
        server.shutdown()
        server.server_close()
        thread.join()
