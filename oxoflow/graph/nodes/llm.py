"""Run an LLM node: fill the prompt, call the provider, read or stream the answer (spec 4.12).

Owns addresses and keys: the operator's key goes to the operator's address only, and is struck out
of whatever a provider says back. Knows no wire form; those are in `providers`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Any

from msgspec import Struct

from oxoflow.engine.masking import Mask
from oxoflow.graph import model as m
from oxoflow.graph.exchange import Reply, Request, send
from oxoflow.graph.hiding import SAID_BACK, hidden, mask_of
from oxoflow.graph.jsontext import compact, mended, parse_mended
from oxoflow.graph.outbound import Guard
from oxoflow.graph.providers.answer import OWN_KEYS, Answer, Ask, Provider
from oxoflow.graph.providers.anthropic import Anthropic
from oxoflow.graph.providers.local import LlamaCpp, Ollama
from oxoflow.graph.providers.openai import OpenAi
from oxoflow.graph.template import fill_deep, render
from oxoflow.graph.work import Context, NodeFailure, Outcome

STREAMS = frozenset({"text/event-stream", "application/x-ndjson", "application/jsonl"})
TOKEN_SECONDS = 0.1  # tokens are told in bundles of this time, so that streams stay readable


class Place(Struct, frozen=True):
    """Where a provider is: the variables of its address and key, and the address without one."""

    provider: Provider
    address: str
    key: str | None
    default: str | None


PROVIDERS: dict[str, Place] = {
    "openai": Place(OpenAi(), "OPENAI_BASE_URL", "OPENAI_API_KEY", "https://api.openai.com/v1"),
    "anthropic": Place(
        Anthropic(), "ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY", "https://api.anthropic.com/v1"
    ),
    "ollama": Place(Ollama(), "OLLAMA_BASE_URL", None, "http://127.0.0.1:11434"),
    "llamacpp": Place(LlamaCpp(), "LLAMACPP_BASE_URL", None, None),
}
ALIASES = {"claude": "anthropic", "local": "ollama"}


class Target(Struct, frozen=True):
    """One call's address, key and the hosts it may go to."""

    base: str
    key: str | None
    guard: Guard


def run_llm(kind: m.Llm, context: Context) -> Outcome:
    """Ask the model once."""
    name = kind.provider.lower()
    place = PROVIDERS.get(ALIASES.get(name, name))
    if place is None:
        raise NodeFailure(
            f"Unknown LLM provider '{kind.provider}'; there are {', '.join(PROVIDERS)}",
            retry=False,
        )
    ask = _ask(kind, context)
    target = _target(kind, place, context)
    mask = mask_of((target.key,), SAID_BACK)
    request = _request(place.provider, ask, target)
    known = context.desk.answers
    name = sha256(request.url.encode() + b"\n" + (request.body or b"")).hexdigest()
    if ask.cache and name in known:
        return _outcome(kind, ask, known[name], mask, 0, cached=True)
    try:
        answer, moved = _call(place.provider, ask, request, target, context)
    except NodeFailure as failure:
        raise _without_key(failure, mask) from None
    if ask.cache:
        known[name] = answer
    return _outcome(kind, ask, answer, mask, moved)


def _ask(kind: m.Llm, context: Context) -> Ask:
    lookup = context.scope.lookup
    extra = fill_deep(kind.extra_params, lookup)
    if extra is not None and not isinstance(extra, dict):
        raise NodeFailure("extra_params must be an object", retry=False)
    extra = extra or {}
    system = None if kind.system_prompt is None else render(kind.system_prompt, lookup)
    stream = bool(extra.get("stream", False))
    body = {key: value for key, value in extra.items() if key not in OWN_KEYS | {"stream"}}
    return Ask(
        kind, render(kind.prompt_template, lookup), system, body, stream,
        cache=extra.get("cache") is True,
    )  # fmt: skip


def _target(kind: m.Llm, place: Place, context: Context) -> Target:
    """Where to call. The operator's own address is allowed, a node's only if it is listed."""
    extra = fill_deep(kind.extra_params, context.scope.lookup) or {}
    own = context.desk.setting(place.address) or place.default
    own_key = (context.desk.setting(place.key) or "").strip() if place.key else None
    given, key = extra.get("base_url"), extra.get("api_key")
    allowed = context.desk.limits.allowed_hosts
    if isinstance(given, str) and given:
        same = own is not None and _origin(given) == _origin(own)
        trusted = same or not context.desk.attended  # on the command line both are the caller's
        key = key.strip() if isinstance(key, str) else own_key if trusted else None
        return Target(given.rstrip("/"), key, Guard.of(allowed))
    if own is None:
        raise NodeFailure(
            f"provider '{kind.provider}' has no address: set {place.address} or "
            "extra_params.base_url",
            retry=False,
        )
    host = _origin(own)[1].partition("@")[2] or _origin(own)[1]
    return Target(own.rstrip("/"), own_key, Guard.of((*allowed, _host(host))))


def _origin(url: str) -> tuple[str, str]:
    scheme, _, rest = url.partition("://")
    return scheme.lower(), rest.partition("/")[0].lower()


def _host(authority: str) -> str:
    if authority.startswith("["):
        return authority[1:].partition("]")[0]
    return authority.partition(":")[0]


def _request(provider: Provider, ask: Ask, target: Target) -> Request:
    accept = "text/event-stream, application/json" if ask.stream else "application/json"
    headers = {"Content-Type": "application/json", "Accept": accept}
    headers |= provider.headers(target.key)
    body = compact(provider.body(ask)).encode()
    return Request("POST", target.base + provider.path(), headers, body)


def _call(
    provider: Provider, ask: Ask, request: Request, target: Target, context: Context
) -> tuple[Answer, int]:
    """The answer, and how many bytes went to and fro."""
    with send(request, target.guard, context.token) as reply:
        if reply.status >= 300:
            raise reply.refusal(reply.read(64 * 1024).decode("utf-8", "replace").strip())
        if ask.stream and reply.content_type in STREAMS:
            with _Tokens(context, target.key) as tokens:
                answer = provider.read_stream(reply.lines(), tokens.add)
            if not (answer.whole or reply.is_bounded):
                raise NodeFailure("the model's stream broke off before its end")
        else:
            answer = provider.read(_json(reply))
        return answer, len(request.body or b"") + reply.received


def _json(reply: Reply) -> dict[str, Any]:
    try:
        value = parse_mended(reply.read())
    except ValueError as error:
        raise NodeFailure(f"the model's reply is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise NodeFailure("the model's reply is no JSON object")
    return value


class _Tokens:
    """Tell tokens as events, several in one, in order; what may be part of a key waits."""

    def __init__(
        self, context: Context, key: str | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._context = context
        self._key = key or ""
        self._mask = mask_of((key,), SAID_BACK)
        self._clock = clock
        self._parts: list[str] = []
        self._told = 0.0

    def __enter__(self) -> _Tokens:
        return self

    def __exit__(self, *_: object) -> None:
        self._tell("".join(self._parts))

    def add(self, text: str) -> None:
        """One more piece of text."""
        self._parts.append(text)
        if self._clock() - self._told >= TOKEN_SECONDS:
            said = "".join(self._parts)
            end = len(said) - _unfinished(said, self._key)
            self._tell(said[:end])
            self._parts = [said[end:]]

    def _tell(self, said: str) -> None:
        text = self._mask.text(mended(said))
        for piece in _pieces(text, 2000):
            self._context.desk.emit("llm.token", self._context, text=piece)
        self._told = self._clock()


def _unfinished(text: str, key: str) -> int:
    """How many characters at the end could be the beginning of the key, or half a character."""
    for size in range(min(len(key) - 1, len(text)), 0, -1):
        if text.endswith(key[:size]):
            return size
    return int("\ud800" <= text[-1:] <= "\udbff")


def _pieces(text: str, size: int) -> Iterable[str]:
    return (text[at : at + size] for at in range(0, len(text), size))


def _outcome(
    kind: m.Llm, ask: Ask, answer: Answer, mask: Mask, moved: int, cached: bool = False
) -> Outcome:
    usage = answer.usage
    output: dict[str, Any] = {
        "provider": kind.provider,
        "model": answer.model or kind.model,
        "prompt": ask.prompt,
        "response": answer.text,
        "usage": None if usage is None else usage.as_json(),
        "cached": cached,
    }
    if answer.tool_calls:
        output["tool_calls"] = [dict(call) for call in answer.tool_calls]
    spent: dict[str, Any] = {"bytes_transferred": moved}
    if usage is not None and not cached:
        spent["token_usage"] = {
            "input_tokens": usage.prompt,
            "output_tokens": usage.completion,
            "total_tokens": usage.prompt + usage.completion,
        }
    return Outcome(hidden(mended(output), mask), usage=spent)


def _without_key(failure: NodeFailure, mask: Mask) -> NodeFailure:
    failure.message = mask.text(failure.message)
    failure.args = (failure.message,)
    return failure
