"""LLM nodes against loopback fakes of the four wire forms, and the example of the specification."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from oxoflow.graph.journal import NAME
from tests.graph.building import line, node
from tests.graph.conftest import Begin, Execution
from tests.graph.fakes import Fake, Reply
from tests.graph.test_people import ask_of
from tests.patience import PATIENCE

PLATE_QC = json.loads((Path(__file__).parent / "plate_qc.json").read_text())["workflow"]
KEY = "sk-test-0123456789abcdef"
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}

OPENAI = {
    "model": "m-1",
    "choices": [{"message": {"role": "assistant", "content": "Hello."}}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
}
ANTHROPIC = {
    "model": "m-1",
    "content": [{"type": "text", "text": "Hello"}, {"type": "text", "text": "there."}],
    "usage": {"input_tokens": 5, "output_tokens": 2},
}
OLLAMA = {"model": "m-1", "response": "Hello.", "prompt_eval_count": 5, "eval_count": 2}
LLAMA = {"content": "Hello.", "tokens_evaluated": 5, "tokens_predicted": 2}


def llm(provider: str, base: str | None = None, **config: Any) -> dict[str, Any]:
    extra = config.pop("extra_params", {})
    if base is not None:
        extra = {"base_url": base, **extra}
    return node(
        "Ask",
        "LLM",
        {
            "provider": provider, "model": "m", "prompt_template": "Say {{word}}",
            "extra_params": extra or None, **config,
        },
        **config.pop("node", {}),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("provider", "path", "reply", "body", "text"),
    [
        ("openai", "/v1/chat/completions", OPENAI,
         {"model": "m", "temperature": 0.2, "max_tokens": 9, "seed": 3,
          "messages": [{"role": "system", "content": "Be hi."},
                       {"role": "user", "content": "Say hi"}]},
         "Hello."),
        ("anthropic", "/v1/messages", ANTHROPIC,
         {"model": "m", "temperature": 0.2, "max_tokens": 9, "seed": 3, "system": "Be hi.",
          "messages": [{"role": "user", "content": "Say hi"}]}, "Hello\nthere."),
        ("Claude", "/v1/messages", ANTHROPIC, None, "Hello\nthere."),
        ("ollama", "/v1/api/generate", OLLAMA,
         {"model": "m", "prompt": "Say hi", "system": "Be hi.", "stream": False, "seed": 3,
          "options": {"temperature": 0.2, "num_predict": 9}}, "Hello."),
        ("LOCAL", "/v1/api/generate", OLLAMA, None, "Hello."),
        ("llamacpp", "/v1/completion", LLAMA,
         {"prompt": "Be hi.\n\nSay hi", "temperature": 0.2, "n_predict": 9, "stream": False,
          "seed": 3}, "Hello."),
    ],
)  # fmt: skip
def test_each_provider_is_asked_in_its_own_form(
    begin: Begin, fake: Fake, provider: str, path: str, reply: Any, body: Any, text: str
) -> None:
    fake.replies = [Reply(200, reply)]
    doc = line(
        llm(provider, fake.url + "/v1", system_prompt="Be {{word}}.", temperature=0.2, max_tokens=9,
            extra_params={"seed": 3})
    )  # fmt: skip
    done = begin(doc, variables={"word": "hi"}).run()
    assert done.output("Ask") == {
        "provider": provider,
        "model": "m" if provider == "llamacpp" else "m-1",
        "prompt": "Say hi",
        "response": text,
        "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
        "cached": False,
    }
    assert done.item("Ask")["metrics"]["token_usage"] == {
        "input_tokens": 5, "output_tokens": 2, "total_tokens": 7,
    }  # fmt: skip
    assert (fake.seen[0].method, fake.seen[0].path) == ("POST", path)
    if body is not None:
        assert fake.seen[0].json == body


@pytest.mark.parametrize(
    ("provider", "name", "header", "value"),
    [
        ("openai", "OPENAI", "authorization", f"Bearer {KEY}"),
        ("anthropic", "ANTHROPIC", "x-api-key", KEY),
    ],
)
def test_the_operators_key_goes_to_the_operators_address_only(
    begin: Begin, fake: Fake, provider: str, name: str, header: str, value: str
) -> None:
    fake.replies = [Reply(200, OPENAI | ANTHROPIC)]
    environ = {f"{name}_API_KEY": KEY, f"{name}_BASE_URL": fake.url, "PATH": "/usr/bin:/bin"}
    options: Any = {"variables": {"word": "hi"}, "environ": environ, "nonce": "n"}
    assert begin(line(llm(provider)), **options).run().state == "Completed"
    assert fake.seen[0].headers[header] == value
    if provider == "anthropic":
        assert fake.seen[0].headers["anthropic-version"] == "2023-06-01"
    other = fake.url.replace("127.0.0.1", "localhost")
    assert begin(line(llm(provider, other)), **options).run().state == "Completed"
    assert header not in fake.seen[1].headers
    own = begin(line(llm(provider, other)), **(options | {"nonce": None})).run()
    assert own.state == "Completed"
    assert fake.seen[2].headers[header] == value


def test_a_key_that_a_provider_says_back_is_struck_out(begin: Begin, fake: Fake) -> None:
    environ = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": fake.url, "PATH": "/usr/bin:/bin"}
    options: Any = {"variables": {"word": "hi"}, "environ": environ}
    fake.replies = [Reply(401, {"error": f"bad key {KEY}"})]
    refused = begin(line(llm("openai")), **options).run()
    assert 'HTTP 401: {"error": "bad key ***"}' in refused.failure
    fake.replies = [Reply(200, {"choices": [{"message": {"content": f"key {KEY}"}}]})]
    echoed = begin(line(llm("openai")), **options).run()
    assert echoed.output("Ask")["response"] == "key ***"
    for run in (refused, echoed):
        for path in (run.directory.records / NAME, run.directory.events, run.directory.run_json):
            assert KEY not in path.read_text()


def test_an_answer_is_kept_for_the_execution_when_the_node_says_so(
    begin: Begin, fake: Fake
) -> None:
    fake.replies = [Reply(200, OPENAI)]
    body = llm("openai", fake.url, extra_params={"cache": True})["kind"]
    loop = {"variant": "ForEach", "collection_path": "words", "item_variable": "word",
            "body_expression": "x"}  # fmt: skip
    doc = line(node("L", "Loop", {"loop_type": loop, "body": body}))
    done = begin(doc, variables={"words": ["a", "b", "a"]}).run()
    assert [each["cached"] for each in done.output("L")["results"]] == [False, False, True]
    assert len({each["response"] for each in done.output("L")["results"]}) == 1
    assert [seen.json["messages"][-1]["content"] for seen in fake.seen] == ["Say a", "Say b"]
    body["config"]["extra_params"].pop("cache")
    again = begin(doc, variables={"words": ["a", "a"]}).run().output("L")
    assert [each["cached"] for each in again["results"]] == [False, False]


def test_tools_go_in_and_their_calls_come_back(begin: Begin, fake: Fake) -> None:
    tools = [{"name": "f", "description": "d", "parameters": {"type": "object"}}]
    fake.replies = [Reply(200, {"choices": [{"message": {"content": None, "tool_calls": [CALL]}}]})]
    done = begin(line(llm("openai", fake.url, tools=tools)), variables={"word": "x"}).run()
    assert done.output("Ask")["tool_calls"] == [CALL]
    assert done.output("Ask")["response"] == ""
    assert fake.seen[0].json["tools"] == [
        {"type": "function", "function": tools[0]},
    ]
    use = {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}}
    fake.replies = [Reply(200, {"content": [use]})]
    done = begin(line(llm("anthropic", fake.url, tools=tools)), variables={"word": "x"}).run()
    assert done.output("Ask")["tool_calls"] == [{"id": "c1", "name": "f", "input": {"a": 1}}]
    assert fake.seen[1].json["tools"][0]["input_schema"] == {"type": "object"}


def test_a_key_that_comes_back_as_tokens_is_struck_out(begin: Begin, fake: Fake) -> None:
    pieces = sse({"choices": [{"delta": {"content": "you sent k-12345678"}}]})
    fake.replies = [Reply(200, None, {"Content-Type": "text/event-stream"}, pieces=pieces)]
    extra = {"stream": True, "api_key": "k-12345678"}
    done = begin(line(llm("openai", fake.url, extra_params=extra)), variables={"word": "x"}).run()
    assert fake.seen[0].headers["authorization"] == "Bearer k-12345678"
    assert done.output("Ask")["response"] == "you sent ***"
    assert "k-12345678" not in done.directory.events.read_text()


def test_images_go_with_the_prompt(begin: Begin, fake: Fake) -> None:
    images = [{"data": "QUJD", "source_type": "Base64", "media_type": "image/jpeg"}]
    for provider, reply in (("openai", OPENAI), ("anthropic", ANTHROPIC), ("ollama", OLLAMA)):
        fake.replies = [Reply(200, reply)]
        begin(line(llm(provider, fake.url, images=images)), variables={"word": "x"}).run()
    openai, anthropic, ollama = (seen.json for seen in fake.seen)
    assert openai["messages"][0]["content"][1]["image_url"]["url"] == "data:image/jpeg;base64,QUJD"
    assert anthropic["messages"][0]["content"][0]["source"]["data"] == "QUJD"
    assert ollama["images"] == ["QUJD"]


def sse(*events: Any) -> list[bytes]:
    return [b"data: " + json.dumps(event).encode() + b"\n\n" for event in events] + [
        b"data: [DONE]\n\n"
    ]


STREAMS: dict[str, tuple[str, list[bytes]]] = {
    "openai": ("text/event-stream", sse(
        {"model": "m-1", "choices": [{"delta": {"content": "Hel"}}]},
        {"choices": [{"delta": {"content": "lo."}}]},
        {"choices": [{"delta": {"tool_calls": [
            {"index": 0, "id": "c1", "function": {"name": "f", "arguments": '{"a"'}}]}}]},
        {"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]}}]},
        {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2}},
    )),
    "anthropic": ("text/event-stream", sse(
        {"type": "message_start", "message": {"model": "m-1", "usage": {"input_tokens": 5}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hel"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "lo."}},
        {"type": "content_block_start", "index": 1,
         "content_block": {"type": "tool_use", "id": "c1", "name": "f", "input": {}}},
        {"type": "content_block_delta", "index": 1,
         "delta": {"type": "input_json_delta", "partial_json": '{"a":1}'}},
        {"type": "content_block_stop", "index": 1},
        {"type": "message_delta", "usage": {"output_tokens": 2}},
    )),
    "ollama": ("application/x-ndjson", [
        b'{"model":"m-1","response":"Hel"}\n{"resp', b'onse":"lo."}\n',
        b'{"response":"","done":true,"prompt_eval_count":5,"eval_count":2}\n']),
    "llamacpp": ("text/event-stream", sse(
        {"content": "Hel"}, {"content": "lo."},
        {"content": "", "stop": True, "tokens_evaluated": 5, "tokens_predicted": 2})),
}  # fmt: skip


@pytest.mark.parametrize("provider", STREAMS)
def test_streamed_tokens_are_events_and_the_answer_is_whole(
    begin: Begin, fake: Fake, provider: str
) -> None:
    kind, pieces = STREAMS[provider]
    fake.replies = [Reply(200, None, {"Content-Type": kind}, pieces=pieces)]
    doc = line(llm(provider, fake.url, extra_params={"stream": True}))
    done = begin(doc, variables={"word": "hi"}).run()
    output = done.output("Ask")
    assert output["response"] == "Hello."
    assert output["usage"]["total_tokens"] == 7
    if provider in ("openai", "anthropic"):
        assert len(output["tool_calls"]) == 1
    tokens = [event.data["text"] for event in done.lines if event.type == "llm.token"]
    assert "".join(tokens) == "Hello."
    assert fake.seen[0].json["stream"] is True


@pytest.mark.parametrize("provider", STREAMS)
def test_a_stream_that_breaks_off_is_no_answer(begin: Begin, fake: Fake, provider: str) -> None:
    kind, pieces = STREAMS[provider]
    told = b"".join(pieces).split(b"\n")
    half = b"\n".join(told[: len(told) // 2]) + b"\n\n"
    fake.replies = [Reply(200, None, {"Content-Type": kind}, pieces=[half])]
    doc = line(llm(provider, fake.url, extra_params={"stream": True}))
    assert "the model's stream broke off" in begin(doc, variables={"word": "hi"}).run().failure


def test_a_server_that_ignores_stream_is_understood(begin: Begin, fake: Fake) -> None:
    fake.replies = [Reply(200, OPENAI)]
    doc = line(llm("openai", fake.url, extra_params={"stream": True}))
    assert begin(doc, variables={"word": "x"}).run().output("Ask")["response"] == "Hello."


def test_retry_after_is_honoured(begin: Begin, fake: Fake) -> None:
    fake.replies = [Reply(429, {}, {"Retry-After": "1"}), Reply(200, OPENAI)]
    retry = {"max_retries": 1, "initial_delay_ms": 1}
    done = begin(
        line(llm("openai", fake.url) | {"retry_config": retry}), variables={"word": "x"}
    ).run()
    assert done.state == "Completed"
    waited = next(event.data for event in done.lines if event.type == "node.retry")
    assert waited["delay_ms"] == 1000
    assert done.item("Ask")["metrics"]["duration_ms"] >= 1000


@pytest.mark.parametrize(
    ("provider", "reply", "said"),
    [
        ("openai", b"not json", "the model's reply is not JSON"),
        ("openai", [1], "is no JSON object"),
        ("openai", {"choices": []}, "has no choices[0].message"),
        ("anthropic", {}, "has no content"),
        ("ollama", {"done": True}, "has no response"),
        ("llamacpp", {}, "has no content"),
    ],
)
def test_a_reply_without_an_answer_fails(
    begin: Begin, fake: Fake, provider: str, reply: Any, said: str
) -> None:
    fake.replies = [Reply(200, reply)]
    assert said in begin(line(llm(provider, fake.url)), variables={"word": "x"}).run().failure


@pytest.mark.parametrize(
    ("provider", "base", "said"),
    [
        ("parrot", None, "Unknown LLM provider 'parrot'"),
        ("llamacpp", None, "set LLAMACPP_BASE_URL"),
        ("openai", "http://10.0.0.1/v1", "not among the hosts"),
        ("openai", "file:///etc/passwd", "no http or https URL"),
    ],
)
def test_a_model_that_cannot_be_reached_is_no_success(
    begin: Begin, provider: str, base: str | None, said: str
) -> None:
    assert said in begin(line(llm(provider, base)), variables={"word": "x"}).run().failure


def test_a_redirect_is_not_followed_with_a_key(begin: Begin, fake: Fake) -> None:
    fake.replies = [Reply(302, {}, {"Location": "http://127.0.0.1:1/"})]
    assert "HTTP 302" in begin(line(llm("openai", fake.url)), variables={"word": "x"}).run().failure


def test_a_slow_model_is_cancelled(begin: Begin, fake: Fake) -> None:
    fake.replies = [Reply(200, OPENAI, gate=threading.Event())]
    run = begin(line(llm("openai", fake.url)), variables={"word": "x"}).start()
    assert fake.arrived.acquire(timeout=PATIENCE)
    run.control("cancel")
    assert run.finish().state == "Cancelled"


def plate_qc(begin: Begin, fake: Fake, limit: float) -> Execution:
    environ = {"OLLAMA_BASE_URL": fake.url, "PATH": "/usr/bin:/bin"}
    fake.replies = [Reply(200, OLLAMA)]
    variables = {"readings": [0.41, 0.43, 0.42], "cv_limit": limit}
    return begin(PLATE_QC, variables=variables, environ=environ)


def test_the_example_goes_its_wide_way(begin: Begin, fake: Fake) -> None:
    done = plate_qc(begin, fake, 10).run()
    assert done.state == "Completed"
    assert done.results["Sign off"] == "Skipped"
    assert [name for name, result in done.results.items() if result != "Skipped"] == [
        "Start", "Stats", "Spread ok", "Label wells", "Report", "End",
    ]  # fmt: skip
    assert done.output("Label wells") == {
        "loop_type": "foreach",
        "iterations": 3,
        "results": [
            {"well": 0, "od": 0.41}, {"well": 1, "od": 0.43}, {"well": 2, "od": 0.42},
        ],
    }  # fmt: skip
    stats = done.variables["stats"]
    assert (stats["n"], round(stats["cv"], 2)) == (3, 2.38)
    assert set(done.variables) == {"readings", "cv_limit", "stats"}
    assert fake.seen[0].json["prompt"].startswith('One sentence on {"n":3,"mean":')
    assert fake.seen[0].json["system"] == "You write lab notes."


def test_the_example_goes_through_the_approval(begin: Begin, fake: Fake) -> None:
    run = plate_qc(begin, fake, 1).start()
    ask = ask_of(run)
    assert ask["message"].startswith("Spread is 2.38")
    assert ask["context_data"]["stats"]["n"] == 3
    run.control("answer", id=ask["id"], status="approved", by="pi")
    done = run.finish()
    assert done.state == "Completed"
    assert done.results["Label wells"] == "Skipped"
    assert done.output("Sign off")["approved_by"] == "pi"
    assert done.output("Report")["response"] == "Hello."
