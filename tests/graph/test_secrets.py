"""Keys of models: they reach the model, and come back in no result, event, record or error."""

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest

from oxoflow.db.questions import Question, Standing
from oxoflow.executions import showing
from oxoflow.graph.journal import NAME
from tests.graph.building import code, line, node, shell
from tests.graph.conftest import Begin, Execution
from tests.graph.fakes import Fake, Reply, Seen
from tests.graph.test_execution import crash_after
from tests.graph.test_people import ask_of

KEYS = ("sk-abcdefgh12345678", 'sk-"quo\\te$1.*(x', "sk-schlüssel-12")


def ask(**extra: Any) -> dict[str, Any]:
    config = {"provider": "openai", "model": "m", "prompt_template": "x", "extra_params": extra}
    return node("Ask", "LLM", config)


def environ(fake: Fake, key: str) -> dict[str, str]:
    return {"OPENAI_API_KEY": key, "OPENAI_BASE_URL": fake.url, "PATH": "/usr/bin:/bin"}


def forms(key: str) -> list[str]:
    """A key as somebody may spell it."""
    quoted = [json.dumps(key, ensure_ascii=ascii)[1:-1] for ascii in (True, False)]
    return [key, *quoted, base64.b64encode(key.encode()).decode(), quote(key, safe="")]


def spelled(done: Execution, key: str) -> list[str]:
    """The ways in which a key stands in what an execution leaves for anybody to read."""
    paths = (done.directory.records / NAME, done.directory.events, done.directory.run_json)
    told = "\n".join(path.read_text() for path in paths) + json.dumps(done.detail)
    return [form for text in forms(key) for form in forms(text)[:3] if form in told]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("own", [False, True])
def test_a_key_that_a_model_says_back_in_any_form_is_hidden(
    begin: Begin, fake: Fake, key: str, own: bool
) -> None:
    def echo(seen: Seen) -> Reply:
        assert seen.headers["authorization"] == f"Bearer {key}"
        call = {"id": key, "function": {"arguments": json.dumps({key: key})}}
        said = {"content": " ".join(forms(key)), "tool_calls": [call]}
        return Reply(200, {"model": f"m {key}", "choices": [{"message": said}]})

    fake.answer = echo
    extra = {"base_url": fake.url, "api_key": key} if own else {}
    done = begin(line(ask(**extra)), environ=environ(fake, "" if own else key)).run()
    assert done.state == "Completed"
    assert done.output("Ask")["response"] == "*** *** *** *** ***"
    assert done.output("Ask")["tool_calls"] == [
        {"id": "***", "function": {"arguments": '{"***": "***"}'}}
    ]
    assert spelled(done, key) == []


def test_a_short_key_is_hidden_in_what_its_server_says(begin: Begin, fake: Fake) -> None:
    fake.replies = [Reply(200, {"choices": [{"message": {"content": "the key is abc12"}}]})]
    done = begin(line(ask()), environ=environ(fake, "abc12")).run()
    assert done.output("Ask")["response"] == "the key is ***"


@pytest.mark.parametrize("key", KEYS)
def test_a_key_in_the_refusal_of_a_model_is_hidden(begin: Begin, fake: Fake, key: str) -> None:
    fake.replies = [Reply(401, {"error": {"message": f"no such key: {key}"}})]
    done = begin(line(ask()), environ=environ(fake, key)).run()
    assert "no such key: ***" in done.failure
    assert spelled(done, key) == []


def test_a_key_is_taken_without_the_line_end_of_its_file(begin: Begin, fake: Fake) -> None:
    fake.replies = [Reply(200, {"choices": [{"message": {"content": "hi"}}]})]
    done = begin(line(ask()), environ=environ(fake, KEYS[0] + "\n")).run()
    assert done.state == "Completed"
    assert fake.seen[0].headers["authorization"] == f"Bearer {KEYS[0]}"


@pytest.mark.parametrize("key", ["sk-first-line\nsecond-line", "sk-with-emoji-😀"])
def test_a_key_that_no_header_can_carry_is_refused_without_being_named(
    begin: Begin, fake: Fake, key: str
) -> None:
    done = begin(line(ask()), environ=environ(fake, key)).run()
    assert "the header Authorization holds a character that HTTP cannot carry" in done.failure
    assert spelled(done, key) == []
    assert "sk-" not in done.failure
    assert not fake.seen


def test_a_key_that_comes_in_pieces_is_hidden_in_the_tokens_too(begin: Begin, fake: Fake) -> None:
    key = KEYS[0]

    def piece(text: str) -> bytes:
        return f"data: {json.dumps({'choices': [{'delta': {'content': text}}]})}\n\n".encode()

    pieces = [piece(text) for text in ("it is ", key[:6], key[6:], ", s", "k?", "\ud83d", "\ude00")]
    headers = {"Content-Type": "text/event-stream", "Connection": "close"}
    fake.replies = [Reply(200, headers=headers, pieces=[*pieces, b"data: [DONE]\n\n"])]
    done = begin(line(ask(stream=True)), environ=environ(fake, key)).run()
    assert done.output("Ask")["response"] == "it is ***, sk?😀"
    tokens = [each.data["text"] for each in done.lines if each.type == "llm.token"]
    assert "".join(tokens) == "it is ***, sk?😀"
    assert not [text for text in tokens if text.endswith("sk-abc") or "defgh" in text]


FORM = {
    "title": "Access",
    "fields": [
        {"id": "user", "label": "User", "field_type": "Text"},
        {"id": "word", "label": "Password", "field_type": "Password", "required": True},
    ],
}
WORD = 'hunter2 "quoted" \\ ü'
GIVEN = {"user": "ann", "word": WORD}


def use_of_a_password(begin: Begin, **options: Any) -> Execution:
    text = "word = form_data['word']\nresult = [len(word), word]"
    used = code("Use", text, "used", ["form_data"])
    said = node("Say", "TryCatch", {"try_expression": "{{nowhere}} {{form_data.word}}",
                                    "catch_expression": "word={{form_data.word}}"})  # fmt: skip
    fails = shell("Fail", 'echo "$OXIFY_FORM_DATA" >&2; exit 1', "", ["form_data"])
    return begin(line(node("Ask", "Form", FORM), used, said, fails), **options)


def test_a_password_given_to_a_form_is_used_and_shown_nowhere(begin: Begin) -> None:
    run = use_of_a_password(begin).start()
    run.control("answer", id=ask_of(run, "form")["id"], by="ann", form_data=GIVEN)
    done = run.finish()
    assert done.variables["form_data"] == {"user": "ann", "word": "***"}
    assert done.variables["used"] == [len(WORD), "***"]
    assert done.output("Ask")["form_data"] == {"user": "ann", "word": "***"}
    assert done.output("Say")["catch_result"] == "word=***"
    assert "Node 'Fail' failed: exit code 1: " in done.failure
    told = [done.directory.events.read_text(), done.directory.run_json.read_text()]
    assert not [text for text in (*told, json.dumps(done.detail)) if "hunter2" in text]


def test_an_approver_is_not_shown_a_password(begin: Begin) -> None:
    sign = {"message": "Let {{form_data.user}} in with {{form_data.word}}?",
            "context_data": {"form": "{{form_data}}"}}  # fmt: skip
    run = begin(line(node("Ask", "Form", FORM), node("Sign", "Approval", sign))).start()
    run.control("answer", id=ask_of(run, "form")["id"], by="ann", form_data=GIVEN)
    asked = ask_of(run)
    assert asked["message"] == "Let ann in with ***?"
    assert asked["context_data"] == {"form": {"user": "ann", "word": "***"}}
    run.control("answer", id=asked["id"], status="approved", by="pi")
    assert run.finish().state == "Completed"


def test_a_password_is_still_known_and_hidden_after_a_crash(begin: Begin) -> None:
    run = use_of_a_password(begin).start()
    run.control("answer", id=ask_of(run, "form")["id"], by="ann", form_data=GIVEN)
    first = run.finish()
    crash_after(first, "Ask")
    first.directory.events.write_text("")
    again = use_of_a_password(begin, root=first.root, execution_id=first.id).run()
    assert again.variables["used"] == [len(WORD), "***"]
    assert "hunter2" not in again.directory.events.read_text() + json.dumps(again.detail)


def test_the_view_of_a_form_shows_no_password() -> None:
    form = Question(
        "q", "e", "u", "form", "n", FORM, Standing.SUBMITTED, "2026-05-26T08:00:00.000Z",
        answer={"form_data": GIVEN},
    )  # fmt: skip
    assert showing.form(form)["form_data"] == {"user": "ann", "word": "***"}
