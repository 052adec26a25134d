"""Send one HTTP request and read its answer, within a token's time and a guard's hosts.

Owns redirects, limits of size, and the end of a call that nobody waits for any more. The standard
library's client is enough: every call has its own connection, whose socket we open and can shut.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin, urlsplit, urlunsplit

from msgspec import Struct

from oxoflow.graph.outbound import Guard
from oxoflow.graph.work import NodeFailure, Stopped, TimedOut, Token

SILENCE = 300.0  # seconds without a byte, for calls without a deadline
MAX_BODY = 8 * 1024 * 1024
MAX_REDIRECTS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})
TRY_AGAIN = frozenset({408, 409, 425, 429})  # and all from 500
MAX_WAIT = 3600.0  # seconds of a Retry-After that we follow
HEADERS = {"User-Agent": "oxoflow", "Accept-Encoding": "identity"}


class Request(Struct, frozen=True):
    """What is sent."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None = None


class Reply:
    """The answer: status and headers at once, the body as it comes."""

    def __init__(self, response: http.client.HTTPResponse, token: Token) -> None:
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self._response = response
        self._token = token
        self._announced = response.length  # bytes of the body; None: nobody said
        self.received = 0  # bytes of the body so far

    @property
    def is_bounded(self) -> bool:
        """Whether a body that breaks off would be noticed: its length is told, or it is chunked."""
        return self._announced is not None or bool(self._response.chunked)

    @property
    def content_type(self) -> str:
        """The media type without its parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def read(self, most: int = MAX_BODY) -> bytes:
        """The whole body; raise NodeFailure when it is larger than `most` bytes."""
        return b"".join(self.chunks(most))

    def chunks(self, most: int = MAX_BODY) -> Iterator[bytes]:
        """The body in pieces as they arrive."""
        size = 0
        while piece := self._response.read1(65536):
            self._token.check()
            size += len(piece)
            self.received += len(piece)
            if size > most:
                raise NodeFailure(f"the answer is larger than {most} bytes", retry=False)
            yield piece
        self._token.check()  # an end that we made ourselves, because time was up, is none
        if self._announced is not None and size < self._announced:
            raise NodeFailure(f"the answer broke off after {size} of {self._announced} bytes")

    def lines(self, most: int = MAX_BODY) -> Iterator[str]:
        """The body line by line as it arrives, without line ends."""
        rest = b""
        for piece in self.chunks(most):
            *whole, rest = (rest + piece).split(b"\n")
            for line in whole:
                yield line.decode("utf-8", "replace").rstrip("\r")
        if rest:
            yield rest.decode("utf-8", "replace")

    def refusal(self, said: str) -> NodeFailure:
        """The failure that a status from 400 is; honours Retry-After."""
        retry = self.status >= 500 or self.status in TRY_AGAIN
        text = f"HTTP {self.status}" + (f": {said[:1000]}" if said else "")
        return NodeFailure(text, retry=retry, after=retry_after(self.headers.get("retry-after")))


@contextlib.contextmanager
def send(request: Request, guard: Guard, token: Token, redirects: int = 0) -> Iterator[Reply]:
    """The reply to a request; raises NodeFailure, TimedOut or Stopped.

    Redirects are followed only when the caller says how many, and each one is judged anew.
    """
    for left in range(redirects, -1, -1):
        with _sent(request, guard, token) as reply:
            target = reply.headers.get("location")
            if reply.status not in REDIRECTS or not target or not left:
                yield reply
                return
            reply.read()
            request = _redirected(request, reply.status, target)


@contextlib.contextmanager
def _sent(request: Request, guard: Guard, token: Token) -> Iterator[Reply]:
    _check_headers(request.headers)
    scheme, host, port, target = _parts(request.url)
    plain = guard.connect(host, port, token)
    connection = http.client.HTTPConnection(host, port)
    try:
        with token.calling(lambda: _shut(plain)), _deadline(plain, token):
            plain.settimeout(token.remaining(SILENCE) or 0.001)
            connection.sock = _secured(plain, host) if scheme == "https" else plain
            headers = {**HEADERS, **request.headers}
            connection.request(request.method, target, request.body, headers)
            yield Reply(connection.getresponse(), token)
    except (NodeFailure, Stopped):
        raise
    except (OSError, http.client.HTTPException, ValueError) as error:
        token.check()
        if isinstance(error, TimeoutError):
            raise TimedOut(f"no answer from {host}:{port} in time") from error
        said = str(error) or type(error).__name__
        raise NodeFailure(f"the call to {host}:{port} broke: {said}") from error
    finally:
        connection.close()
        plain.close()


def _check_headers(headers: Mapping[str, str]) -> None:
    """Refuse a value before the library does, whose message would show it: it may be a key."""
    for name, value in headers.items():
        if not value.isprintable() or max(value, default="") > "\xff":
            raise NodeFailure(
                f"the header {name} holds a character that HTTP cannot carry; correct the key or "
                "setting that it comes from",
                retry=False,
            )


def _secured(plain: socket.socket, host: str) -> socket.socket:
    return ssl.create_default_context().wrap_socket(plain, server_hostname=host)


@contextlib.contextmanager
def _deadline(connection: socket.socket, token: Token) -> Iterator[None]:
    """Shut the connection when the time is over, however slowly its bytes drip."""
    seconds = token.remaining()
    if seconds is None:
        yield
        return
    timer = threading.Timer(seconds, _shut, [connection])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _parts(url: str) -> tuple[str, str, int, str]:
    """Scheme, host, port and request target of a URL; raise NodeFailure when it has none."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise NodeFailure(f"'{url[:200]}' is no URL: {error}", retry=False) from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise NodeFailure(f"'{url[:200]}' is no http or https URL", retry=False)
    if parts.username is not None:
        raise NodeFailure("a URL with a user name in it is not called", retry=False)
    target = urlunsplit(("", "", parts.path or "/", parts.query, ""))
    return parts.scheme, parts.hostname, port or (443 if parts.scheme == "https" else 80), target


def _redirected(request: Request, status: int, target: str) -> Request:
    """The next request; other hosts get no credentials, and 303 asks with GET."""
    url = urljoin(request.url, target)
    headers = dict(request.headers)
    if urlsplit(url).netloc != urlsplit(request.url).netloc:
        headers = {key: value for key, value in headers.items() if key.lower() == "accept"}
    if status == 303 or (status in (301, 302) and request.method == "POST"):
        return Request("GET", url, headers)
    return Request(request.method, url, headers, request.body)


def retry_after(text: str | None, now: float | None = None) -> float | None:
    """The seconds a Retry-After header asks for: a number or a date."""
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit() and len(text) < 12:
        return min(float(text), MAX_WAIT)
    try:
        moment = parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(0.0, moment - (time.time() if now is None else now)), MAX_WAIT)
