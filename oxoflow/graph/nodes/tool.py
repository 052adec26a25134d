"""Run a Tool node: find out from its server and name which kind of tool is meant (spec section 6).

http(s)://…  and  METHOD /path     a plain HTTP call        (here)
http(s)://…  and any other name    MCP over HTTP            (mcp)
fs           and  fs_read …        confined files           (fs)
oxo          and  run              a `.oxoflow` child run   (bridge)
a registered id                    MCP, HTTP or stdio       (mcp)
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, urlencode

from oxoflow.graph import model as m
from oxoflow.graph.exchange import MAX_REDIRECTS, Request, send
from oxoflow.graph.jsontext import compact
from oxoflow.graph.nodes.table import load
from oxoflow.graph.outbound import Guard
from oxoflow.graph.template import fill_deep, parsed, render, text_of
from oxoflow.graph.work import Context, NodeFailure, Outcome

PLAIN = re.compile(r"(GET|HEAD|DELETE|POST|PUT|PATCH)\s+(/.*)", re.ASCII | re.DOTALL)
WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
LOCAL = {"fs": "fs:run_files", "oxo": "bridge:run_oxo"}


def run_tool(kind: m.Tool, context: Context) -> Outcome:
    """Fill the name and the parameters, and call."""
    lookup = context.scope.lookup
    server = render(kind.server_id, lookup).strip()
    name = render(kind.tool_name, lookup).strip()
    filled = m.Tool(server, name, fill_deep(kind.parameters, lookup))
    if server in LOCAL:
        return load(LOCAL[server])(filled, context)
    plain = PLAIN.fullmatch(name)
    if server.startswith(("http://", "https://")) and plain is not None:
        return _call(server, plain[1], plain[2], filled.parameters, context)
    return load("mcp:run_mcp")(filled, context)


def _call(server: str, method: str, path: str, parameters: Any, context: Context) -> Outcome:
    """A plain HTTP call: parameters in the query, or as a JSON body."""
    url = server.rstrip("/") + quote(path, safe="/%?&=:@!$'()*+,;~-._")
    headers = {"Accept": "application/json, */*"}
    body: bytes | None = None
    if method in WITH_BODY:
        headers["Content-Type"] = "application/json"
        body = compact({} if parameters is None else parameters).encode()
    elif parameters:
        url += ("&" if "?" in url else "?") + _query(parameters)
    request = Request(method, url, headers, body)
    guard = Guard.of(context.desk.limits.allowed_hosts)
    with send(request, guard, context.token, MAX_REDIRECTS) as reply:
        text = reply.read().decode("utf-8", "replace")
        if reply.status >= 400:
            raise reply.refusal(text.strip())
        moved = {"bytes_transferred": len(body or b"") + reply.received}
        return Outcome({"status": reply.status, "data": parsed(text)}, usage=moved)


def _query(parameters: Any) -> str:
    if not isinstance(parameters, dict):
        raise NodeFailure("parameters of a GET or DELETE must be an object", retry=False)
    pairs: list[tuple[str, str]] = []
    for name, value in parameters.items():
        values = value if isinstance(value, list) else [value]
        pairs += [(name, text_of(each)) for each in values]
    return urlencode(pairs)
