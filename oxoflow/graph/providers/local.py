"""Speak to models on one's own machine: Ollama and llama.cpp's server (spec/oxify-api.md 4.12)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from oxoflow.graph.model import Image, ImageSource
from oxoflow.graph.providers.answer import (
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
from oxoflow.graph.work import NodeFailure


class Ollama:
    """`POST {base}/api/generate`; temperature and length go where Ollama reads them."""

    def path(self) -> str:
        return "/api/generate"

    def headers(self, key: str | None) -> dict[str, str]:
        return {}

    def body(self, ask: Ask) -> dict[str, Any]:
        if ask.node.tools:
            raise NodeFailure(
                "Ollama's generate call knows no tools; use provider openai with Ollama's /v1",
                retry=False,
            )
        options = present(temperature=ask.node.temperature, num_predict=ask.node.max_tokens)
        extra = dict(ask.extra)
        given = extra.pop("options", None)
        options |= given if isinstance(given, dict) else {}
        body: dict[str, Any] = {"model": ask.node.model, "prompt": ask.prompt}
        body |= present(system=ask.system, options=options or None)
        if ask.images:
            body["images"] = [_base64(image) for image in ask.images]
        body["stream"] = ask.stream
        return merged(body, Ask(ask.node, ask.prompt, ask.system, extra, ask.stream))

    def read(self, reply: Mapping[str, Any]) -> Answer:
        text = reply.get("response")
        if not isinstance(text, str):
            raise missing("response")
        model = reply.get("model")
        usage = None
        if "eval_count" in reply or "prompt_eval_count" in reply:
            usage = Usage(whole(reply.get("prompt_eval_count")), whole(reply.get("eval_count")))
        return Answer(text, model if isinstance(model, str) else None, usage)

    def read_stream(self, lines: Iterable[str], on_token: OnToken) -> Answer:
        return _joined(self, lines, on_token, "response")


class LlamaCpp:
    """`POST {base}/completion`: one text, the system prompt before the user's."""

    def path(self) -> str:
        return "/completion"

    def headers(self, key: str | None) -> dict[str, str]:
        return {}

    def body(self, ask: Ask) -> dict[str, Any]:
        if ask.node.tools or ask.images:
            raise NodeFailure(
                "llama.cpp's completion call knows no tools and no images; use provider openai "
                "with its /v1",
                retry=False,
            )
        prompt = f"{ask.system}\n\n{ask.prompt}" if ask.system else ask.prompt
        body: dict[str, Any] = {"prompt": prompt}
        body |= present(temperature=ask.node.temperature, n_predict=ask.node.max_tokens)
        return merged(body | {"stream": ask.stream}, ask)

    def read(self, reply: Mapping[str, Any]) -> Answer:
        text = reply.get("content")
        if not isinstance(text, str):
            raise missing("content")
        usage = None
        if "tokens_predicted" in reply:
            usage = Usage(
                whole(reply.get("tokens_evaluated")), whole(reply.get("tokens_predicted"))
            )
        return Answer(text, None, usage)

    def read_stream(self, lines: Iterable[str], on_token: OnToken) -> Answer:
        return _joined(self, lines, on_token, "content")


def _joined(
    provider: Ollama | LlamaCpp, lines: Iterable[str], on_token: OnToken, key: str
) -> Answer:
    """A stream of objects, each with a piece of text; the last one has the counts."""
    parts: list[str] = []
    last: dict[str, Any] = {}
    for event in events(lines):
        piece = event.get(key)
        if isinstance(piece, str) and piece:
            parts.append(piece)
            on_token(piece)
        last |= event
    ended = bool(last.get("done") or last.get("stop"))
    return replace(provider.read(last | {key: "".join(parts)}), whole=ended)


def _base64(image: Image) -> str:
    if image.source_type is ImageSource.URL:
        raise NodeFailure("Ollama takes images as Base64, not as Url", retry=False)
    return image.data
