"""Replies of models with the right envelope and something odd inside: an answer or a reason."""

import itertools
import json
from typing import Any

import pytest

from tests.graph.building import line, node
from tests.graph.conftest import Begin
from tests.graph.fakes import Fake, Reply

ODD: tuple[Any, ...] = (None, 5, "x", [], [None], [5], ["x"], {}, {"a": 1}, [[]])


def ask(provider: str, base: str, name: str, stream: bool) -> dict[str, Any]:
    extra = {"base_url": base} | ({"stream": True} if stream else {})
    return node(name, "LLM", {"provider": provider, "model": "m", "prompt_template": "x",
                              "extra_params": extra})  # fmt: skip


def openai(odd: Any) -> list[Any]:
    function = {"name": odd, "arguments": odd}
    messages = [
        odd, {"content": odd}, {"content": "t", "tool_calls": odd},
        {"content": "t", "tool_calls": [{"index": odd, "function": function}]},
        {"content": "t", "tool_calls": [{"function": odd, "id": odd}]},
    ]  # fmt: skip
    found: list[Any] = [{"choices": odd}, {"choices": [odd]}]
    for key in ("message", "delta"):
        found += [{"choices": [{key: message}]} for message in messages]
    usage = {"prompt_tokens": odd}
    return [*found, {"choices": [{"message": {"content": "t"}}], "usage": usage, "model": odd}]


def anthropic(odd: Any) -> list[Any]:
    block = {"type": "tool_use", "id": odd, "name": odd, "input": odd}
    start = {"type": "content_block_start", "index": 0, "content_block": odd}
    text = {"type": "content_block_delta", "index": odd, "delta": {"text": odd}}
    part = {"type": "content_block_delta", "index": 0, "delta": {"partial_json": odd}}
    whole = {"type": "content_block_start", "index": 0, "content_block": block}
    return [
        {"content": odd}, {"content": [odd]}, {"content": [block]}, {"content": [], "usage": odd},
        {"content": [{"type": "text", "text": odd}], "model": odd}, start, text, whole, part,
        {"type": "message_start", "message": odd}, {"type": "message_delta", "delta": odd},
    ]  # fmt: skip


def local(odd: Any) -> list[Any]:
    more = {"done": odd, "stop": odd, "eval_count": odd, "tokens_predicted": odd, "model": odd}
    return [odd, {"response": odd, "content": odd}, {"response": "t", "content": "t"} | more]


FORMS = {"openai": openai, "anthropic": anthropic, "ollama": local, "llamacpp": local}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("provider", FORMS)
def test_an_odd_reply_is_an_answer_or_a_failure_of_the_model(
    begin: Begin, fake: Fake, provider: str, stream: bool
) -> None:
    replies = list(itertools.chain.from_iterable(map(FORMS[provider], ODD)))
    if stream:
        kind = {"Content-Type": "text/event-stream", "Connection": "close"}
        streams = [f"data: {json.dumps(body)}\n\ndata: [DONE]\n\n".encode() for body in replies]
        fake.replies = [Reply(200, headers=kind, pieces=[text]) for text in streams]
    else:
        fake.replies = [Reply(200, body) for body in replies]
    asks = [ask(provider, fake.url, f"n{at}", stream) for at in range(len(replies))]
    tries = [{"id": each["id"], "expression": "x", "body": each["kind"]} for each in asks]
    config = {"strategy": "AllSettled", "tasks": tries, "max_concurrency": 1}
    done = begin(line(node("All", "Parallel", config))).run()
    results = done.output("All")["results"]
    assert len(results) == len(replies)
    for result in results.values():
        if result["status"] == "error":
            assert "internal" not in result["error"]
            assert "model" in result["error"]
        else:
            assert isinstance(result["value"]["response"], str)
