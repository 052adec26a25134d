"""Speak the chat form of OpenAI and of the many servers that copy it (spec/oxify-api.md 4.12)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from oxoflow.graph.model import Image, ImageSource
from oxoflow.graph.providers.answer import (
    DONE,
    Answer,
    Ask,
    OnToken,
    Usage,
    events,
    merged,
    missing,
    present,
    whole,
)


class OpenAi:
    """`POST {base}/chat/completions`."""

    def path(self) -> str:
        return "/chat/completions"

    def headers(self, key: str | None) -> dict[str, str]:
        return {"Authorization": f"Bearer {key}"} if key else {}

    def body(self, ask: Ask) -> dict[str, Any]:
        messages: list[dict[str, Any]] = []
        if ask.system:
            messages.append({"role": "system", "content": ask.system})
        messages.append({"role": "user", "content": _content(ask)})
        node = ask.node
        tools = [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": tool.parameters,
                },
            }
            for tool in node.tools
        ]
        body: dict[str, Any] = {"model": node.model, "messages": messages}
        body |= present(
            temperature=node.temperature, max_tokens=node.max_tokens, tools=tools or None
        )
        if ask.stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return merged(body, ask)

    def read(self, reply: Mapping[str, Any]) -> Answer:
        message = _message(reply)
        text = message.get("content")
        calls = tuple(_objects(message.get("tool_calls")))
        if not isinstance(text, str) and not calls:
            raise missing("choices[0].message.content")
        return Answer(text if isinstance(text, str) else "", _model(reply), _usage(reply), calls)

    def read_stream(self, lines: Iterable[str], on_token: OnToken) -> Answer:
        parts: list[str] = []
        calls: dict[int, dict[str, Any]] = {}
        model, usage, ended = None, None, False
        for event in events(lines):
            ended = ended or event is DONE
            model, usage = model or _model(event), _usage(event) or usage
            for choice in _objects(event.get("choices")):
                ended = ended or bool(choice.get("finish_reason"))
                delta = _object(choice.get("delta"))
                if isinstance(delta.get("content"), str) and delta["content"]:
                    parts.append(delta["content"])
                    on_token(delta["content"])
                for piece in _objects(delta.get("tool_calls")):
                    _join(calls.setdefault(whole(piece.get("index")), {}), piece)
        made = tuple(calls[at] for at in sorted(calls))
        return Answer("".join(parts), model, usage, made, ended)


def _content(ask: Ask) -> Any:
    if not ask.images:
        return ask.prompt
    parts: list[dict[str, Any]] = [{"type": "text", "text": ask.prompt}]
    parts += [{"type": "image_url", "image_url": {"url": _url(image)}} for image in ask.images]
    return parts


def _url(image: Image) -> str:
    if image.source_type is ImageSource.URL:
        return image.data
    return f"data:{image.media_type or 'image/png'};base64,{image.data}"


def _message(reply: Mapping[str, Any]) -> Mapping[str, Any]:
    choices = reply.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    message = _object(first).get("message")
    if not isinstance(message, dict):
        raise missing("choices[0].message")
    return message


def _objects(value: Any) -> list[Mapping[str, Any]]:
    """The objects of a list; none when it is no list."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _model(reply: Mapping[str, Any]) -> str | None:
    model = reply.get("model")
    return model if isinstance(model, str) else None


def _usage(reply: Mapping[str, Any]) -> Usage | None:
    usage = reply.get("usage")
    if not isinstance(usage, dict):
        return None
    return Usage(whole(usage.get("prompt_tokens")), whole(usage.get("completion_tokens")))


def _join(call: dict[str, Any], piece: Mapping[str, Any]) -> None:
    """Add a piece of a tool call to what came before: arguments arrive bit by bit."""
    call |= {key: piece[key] for key in ("id", "type") if piece.get(key)}
    function = call.setdefault("function", {"name": "", "arguments": ""})
    given = _object(piece.get("function"))
    for key in ("name", "arguments"):
        function[key] += given[key] if isinstance(given.get(key), str) else ""
