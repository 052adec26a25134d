"""Hold what every provider is asked and what it answers, whatever its wire form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

from msgspec import Struct, field

from oxoflow.graph.jsontext import read_json
from oxoflow.graph.model import Image, Llm
from oxoflow.graph.work import NodeFailure

OWN_KEYS = frozenset({"base_url", "cache", "api_key"})  # of extra_params; never sent in a body


class Ask(Struct, frozen=True):
    """A prompt ready to send: the node's settings and its filled texts."""

    node: Llm
    prompt: str
    system: str | None
    extra: Mapping[str, Any]  # extra_params that go into the body
    stream: bool = False
    cache: bool = False

    @property
    def images(self) -> tuple[Image, ...]:
        """The pictures that go with the prompt."""
        return self.node.images


class Usage(Struct, frozen=True):
    """Tokens in and out."""

    prompt: int
    completion: int

    def as_json(self) -> dict[str, int]:
        """The form of the node's output (4.6)."""
        return {
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "total_tokens": self.prompt + self.completion,
        }


class Answer(Struct, frozen=True):
    """What a model said."""

    text: str
    model: str | None = None
    usage: Usage | None = None
    tool_calls: tuple[Mapping[str, Any], ...] = field(default=())
    whole: bool = True  # a stream said that it is over


OnToken = Callable[[str], None]


class Provider(Protocol):
    """One wire form: where to call, what to send, how to read what comes back."""

    def path(self) -> str:
        """The path below the base address."""
        ...

    def headers(self, key: str | None) -> dict[str, str]:
        """The headers that carry the key, if there is one."""
        ...

    def body(self, ask: Ask) -> dict[str, Any]:
        """The request as JSON."""
        ...

    def read(self, reply: Mapping[str, Any]) -> Answer:
        """The answer in a whole reply; raise NodeFailure when it is not there."""
        ...

    def read_stream(self, lines: Iterable[str], on_token: OnToken) -> Answer:
        """The answer in a stream of lines, each piece of text told as it comes."""
        ...


def merged(body: dict[str, Any], ask: Ask) -> dict[str, Any]:
    """The body with the node's further parameters in it."""
    return body | {key: value for key, value in ask.extra.items() if key not in OWN_KEYS}


def present(**values: Any) -> dict[str, Any]:
    """Those values that are not None."""
    return {key: value for key, value in values.items() if value is not None}


DONE: dict[str, Any] = {"done": True}  # what every stream's last line comes to


def events(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The JSON objects of a stream: `data:` lines of server-sent events, or an object a line."""
    for line in lines:
        text = line.strip()
        if text.startswith(("event:", "id:", ":", "retry:")) or not text:
            continue
        text = text.removeprefix("data:").strip()
        if text == "[DONE]":
            yield DONE
            return
        try:
            value = read_json(text)
        except ValueError as error:
            raise NodeFailure(f"the model's stream is not JSON: {error}") from None
        if isinstance(value, dict):
            if "error" in value:
                raise NodeFailure(f"the model failed: {_words(value['error'])}")
            yield value


def _words(error: Any) -> str:
    said = error.get("message") if isinstance(error, dict) else error
    return str(said)[:500]


def whole(value: Any) -> int:
    """A count in a reply; 0 when it is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0


def missing(what: str) -> NodeFailure:
    """The failure of a reply without what it should have."""
    return NodeFailure(f"the model's reply has no {what}")
