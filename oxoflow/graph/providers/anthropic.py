"""Speak the messages form of Anthropic (spec/oxify-api.md 4.12)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec.structs import replace

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
from oxoflow.graph.template import parsed

MAX_TOKENS = 4096  # the service wants a number; this one when the node has none


class Anthropic:
    """`POST {base}/messages`."""

    def path(self) -> str:
        return "/messages"

    def headers(self, key: str | None) -> dict[str, str]:
        version = {"anthropic-version": "2023-06-01"}
        return version | ({"x-api-key": key} if key else {})

    def body(self, ask: Ask) -> dict[str, Any]:
        node = ask.node
        tools = [
            {"name": tool.name, "description": tool.description, "input_schema": tool.parameters}
            for tool in node.tools
        ]
        body = {
            "model": node.model,
            "messages": [{"role": "user", "content": _content(ask)}],
            "max_tokens": node.max_tokens or MAX_TOKENS,
        }
        body |= present(temperature=node.temperature, system=ask.system, tools=tools or None)
        return merged(body | ({"stream": True} if ask.stream else {}), ask)

    def read(self, reply: Mapping[str, Any]) -> Answer:
        blocks = reply.get("content")
        if not isinstance(blocks, list):
            raise missing("content")
        known = [block for block in blocks if isinstance(block, dict)]
        texts = [str(block.get("text", "")) for block in known if block.get("type") == "text"]
        calls = tuple(_call(block) for block in known if block.get("type") == "tool_use")
        model = reply.get("model")
        usage = _usage(reply.get("usage"))
        return Answer("\n".join(texts), model if isinstance(model, str) else None, usage, calls)

    def read_stream(self, lines: Iterable[str], on_token: OnToken) -> Answer:
        blocks: dict[int, dict[str, Any]] = {}
        model: str | None = None
        counts = {"input_tokens": 0, "output_tokens": 0}
        ended = False
        for event in events(lines):
            ended = ended or event is DONE or event.get("type") == "message_stop"
            message = event.get("message")
            if isinstance(message, dict):
                model = message.get("model") or model
                _count(counts, message.get("usage"))
            _count(counts, event.get("usage"))
            _add(blocks, event, on_token)
        reply = {"content": [blocks[at] for at in sorted(blocks)], "model": model, "usage": counts}
        return replace(self.read(reply), whole=ended)


def _content(ask: Ask) -> Any:
    if not ask.images:
        return ask.prompt
    pictures = [{"type": "image", "source": _source(image)} for image in ask.images]
    return [*pictures, {"type": "text", "text": ask.prompt}]


def _source(image: Image) -> dict[str, str]:
    if image.source_type is ImageSource.URL:
        return {"type": "url", "url": image.data}
    media = image.media_type or "image/png"
    return {"type": "base64", "media_type": media, "data": image.data}


def _call(block: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": block.get("id"), "name": block.get("name"), "input": block.get("input")}


def _usage(usage: Any) -> Usage | None:
    if not isinstance(usage, dict):
        return None
    return Usage(whole(usage.get("input_tokens")), whole(usage.get("output_tokens")))


def _count(counts: dict[str, int], usage: Any) -> None:
    if isinstance(usage, dict):
        for key in counts:
            counts[key] = whole(usage.get(key)) or counts[key]


def _add(blocks: dict[int, dict[str, Any]], event: Mapping[str, Any], on_token: OnToken) -> None:
    """Take one event of the stream into the blocks it builds up."""
    at = whole(event.get("index"))
    if event.get("type") == "content_block_start" and isinstance(event.get("content_block"), dict):
        blocks[at] = dict(event["content_block"]) | {"json": ""}
    delta = event.get("delta")
    if event.get("type") != "content_block_delta" or not isinstance(delta, dict):
        if event.get("type") == "content_block_stop" and blocks.get(at, {}).get("json"):
            blocks[at]["input"] = parsed(blocks[at]["json"])
        return
    block = blocks.setdefault(at, {"type": "text", "text": "", "json": ""})
    if isinstance(delta.get("text"), str):
        block["text"] = block.get("text", "") + delta["text"]
        on_token(delta["text"])
    if isinstance(delta.get("partial_json"), str):
        block["json"] += delta["partial_json"]
