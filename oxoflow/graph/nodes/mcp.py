"""Call a tool of an MCP server, over HTTP or over the pipes of a child process (spec section 6).

Owns the exchange `initialize`, `tools/call`; each call is a session of its own. Registered servers
come with the execution; a server given by its URL needs no registration.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from oxoflow.graph import model as m
from oxoflow.graph.exchange import Request, send
from oxoflow.graph.jsontext import compact, parse_mended
from oxoflow.graph.nodes.mcppipe import PipeSession
from oxoflow.graph.outbound import Guard
from oxoflow.graph.work import Context, NodeFailure, Outcome

VERSION = "2025-03-26"
CLIENT = {"name": "oxoflow", "version": "1"}


class Session(Protocol):
    """A way to send JSON-RPC messages to one server."""

    def request(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """Send a request and wait for the reply with its id."""
        ...

    def notify(self, message: Mapping[str, Any]) -> None:
        """Send a message that has no reply."""
        ...

    def close(self) -> None:
        """End the session."""
        ...


def run_mcp(kind: m.Tool, context: Context) -> Outcome:
    """Open a session, call the tool, close the session."""
    if kind.parameters is not None and not isinstance(kind.parameters, dict):
        raise NodeFailure("parameters of an MCP tool must be an object", retry=False)
    session = _open(kind.server_id, context)
    try:
        return Outcome(_invoke(session, kind.tool_name, kind.parameters or {}))
    finally:
        session.close()


def _open(server_id: str, context: Context) -> Session:
    if server_id.startswith(("http://", "https://")):
        return HttpSession(server_id, context)
    server = context.desk.server(server_id)
    if server is None:
        raise NodeFailure(
            f"no tool server '{server_id}'; register it, or give an http:// address, 'fs' or 'oxo'",
            retry=False,
        )
    if server.get("server_type") == "stdio":
        return PipeSession([str(word) for word in server.get("command") or ()], context)
    return HttpSession(str(server.get("endpoint") or ""), context)


def _invoke(session: Session, name: str, arguments: Mapping[str, Any]) -> Any:
    numbers = itertools.count(1)
    hello = {"protocolVersion": VERSION, "capabilities": {}, "clientInfo": CLIENT}
    _result(session.request(_message("initialize", hello, next(numbers))))
    session.notify({"jsonrpc": "2.0", "method": "notifications/initialized"})
    call = {"name": name, "arguments": dict(arguments)}
    result = _result(session.request(_message("tools/call", call, next(numbers))))
    if isinstance(result, dict) and result.get("isError"):
        raise NodeFailure(f"tool '{name}' failed: {_said(result)}")
    return result


def _message(method: str, parameters: Mapping[str, Any], number: int) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": dict(parameters)}


def _result(reply: Mapping[str, Any]) -> Any:
    error = reply.get("error")
    if error is not None:
        said = error.get("message") if isinstance(error, dict) else error
        raise NodeFailure(f"the tool server answered: {str(said)[:500]}", retry=False)
    return reply.get("result")


def _said(result: Mapping[str, Any]) -> str:
    content = result.get("content")
    texts = [
        str(part.get("text", ""))
        for part in (content if isinstance(content, list) else ())
        if isinstance(part, dict)
    ]
    return " ".join(texts)[:1000] or "no reason given"


class HttpSession:
    """Each message is a POST; the reply is JSON, or an event stream that holds it."""

    def __init__(self, url: str, context: Context) -> None:
        self._url = url
        self._context = context
        self._guard = Guard.of(context.desk.limits.allowed_hosts)
        self._session: str | None = None

    def request(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """Send a request and find its reply."""
        for found in self._post(message):
            if isinstance(found, dict) and found.get("id") == message["id"]:
                return found
        raise NodeFailure("the tool server sent no reply")

    def notify(self, message: Mapping[str, Any]) -> None:
        """Send a message without a reply."""
        self._post(message)

    def close(self) -> None:
        """Nothing is open between messages."""

    def _post(self, message: Mapping[str, Any]) -> list[Any]:
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
        }
        if self._session is not None:
            headers |= {"Mcp-Session-Id": self._session, "MCP-Protocol-Version": VERSION}
        request = Request("POST", self._url, headers, compact(dict(message)).encode())
        with send(request, self._guard, self._context.token) as reply:
            if reply.status >= 300:
                raise reply.refusal(reply.read(64 * 1024).decode("utf-8", "replace").strip())
            self._session = reply.headers.get("mcp-session-id", self._session)
            if reply.content_type == "text/event-stream":
                return _until_reply(reply.lines(), message.get("id"))
            content = reply.read()
        return [_object(content)] if content.strip() else []


def _until_reply(lines: Iterable[str], number: Any) -> list[Any]:
    """The messages of an event stream up to the reply; such a stream may stay open for ever."""
    found: list[Any] = []
    for line in lines:
        if line.startswith("data:"):
            found.append(_object(line.removeprefix("data:").encode()))
            if isinstance(found[-1], dict) and found[-1].get("id") == number:
                break
    return found


def _object(content: bytes) -> Any:
    try:
        return parse_mended(content)
    except ValueError as error:
        raise NodeFailure(f"the tool server's reply is not JSON: {error}") from None
