"""Tool nodes: HTTP with its guard, files, MCP, the bridge; Vision and Retriever."""

import base64
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oxoflow.graph.exchange import retry_after
from oxoflow.graph.outbound import Guard
from oxoflow.graph.work import NodeFailure, Token
from tests.graph.building import line, node
from tests.graph.conftest import Begin
from tests.graph.fakes import Fake, Reply
from tests.patience import PATIENCE


def tool(server: str, name: str, parameters: Any = None, **more: Any) -> dict[str, Any]:
    config = {"server_id": server, "tool_name": name, "parameters": parameters}
    return node("T", "Tool", config, **more)


def test_a_post_sends_json_and_gives_status_and_data(begin: Begin, fake: Fake) -> None:
    fake.replies = [Reply(201, {"made": [1]})]
    doc = line(tool(fake.url, "POST /echo/{{name}}", {"id": "{{sample}}", "deep": ["v{{n}}"]}))
    done = begin(doc, variables={"sample": {"k": 1}, "n": 2, "name": "a b"}).run()
    assert done.output("T") == {"status": 201, "data": {"made": [1]}}
    moved = len('{"id":{"k":1},"deep":["v2"]}') + len('{"made": [1]}')
    assert done.item("T")["metrics"]["bytes_transferred"] == moved
    seen = fake.seen[0]
    assert (seen.method, seen.path) == ("POST", "/echo/a%20b")
    assert seen.json == {"id": {"k": 1}, "deep": ["v2"]}
    assert seen.headers["content-type"] == "application/json"


def test_a_get_puts_parameters_into_the_query_and_text_stays_text(begin: Begin, fake: Fake) -> None:
    fake.replies = [Reply(200, b"plain text", {"Content-Type": "text/plain"})]
    doc = line(tool(fake.url + "/api", "GET /q?fixed=1", {"a": [1, 2], "b": "x&y", "c": True}))
    done = begin(doc).run()
    assert done.output("T") == {"status": 200, "data": "plain text"}
    assert fake.seen[0].path == "/api/q?fixed=1&a=1&a=2&b=x%26y&c=true"


@pytest.mark.parametrize(("status", "tries"), [(404, 1), (400, 1), (500, 3), (503, 3), (429, 3)])
def test_an_error_status_fails_and_only_some_are_tried_again(
    begin: Begin, fake: Fake, status: int, tries: int
) -> None:
    fake.replies = [Reply(status, {"why": "so"})]
    retry = {"max_retries": 2, "initial_delay_ms": 1, "max_delay_ms": 1}
    done = begin(line(tool(fake.url, "GET /x", retry_config=retry))).run()
    assert f'HTTP {status}: {{"why": "so"}}' in done.failure
    assert len(fake.seen) == tries


def test_500_then_200_succeeds_with_a_retry(begin: Begin, fake: Fake) -> None:
    fake.replies = [Reply(500), Reply(200, {"ok": True})]
    done = begin(line(tool(fake.url, "GET /x", retry_config={"initial_delay_ms": 1}))).run()
    assert done.output("T")["data"] == {"ok": True}
    assert done.item("T")["retry_count"] == 1


@pytest.mark.parametrize("dripping", [False, True])
def test_a_slow_server_times_out(begin: Begin, fake: Fake, dripping: bool) -> None:
    gate = threading.Event()
    fake.replies = [Reply(200, {}, gate=gate, pieces=[b"{", b"}"] if dripping else None)]
    timeout = {"execution_timeout_ms": 300}
    done = begin(line(tool(fake.url, "GET /x", timeout_config=timeout))).run()
    gate.set()
    assert done.failure == "Node 'T' failed: Timed out after 0.3 s"


def test_a_call_in_progress_is_cancelled(begin: Begin, fake: Fake) -> None:
    fake.replies = [Reply(200, {}, gate=threading.Event())]
    run = begin(line(tool(fake.url, "GET /x"))).start()
    assert fake.arrived.acquire(timeout=PATIENCE)
    run.control("cancel")
    assert run.finish().state == "Cancelled"


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1",
        "http://192.168.1.1:8080",
        "http://169.254.169.254",
        "http://[fd00::1]",
        "http://0.0.0.0:1",
        "http://[::ffff:10.0.0.1]",
        "http://93.184.216.34",
        "http://224.0.0.1",
    ],
)
def test_addresses_off_the_list_are_refused_before_a_connection(begin: Begin, url: str) -> None:
    done = begin(line(tool(url, "GET /latest/meta-data"))).run()
    assert "is not among the hosts that graphs may connect to" in done.failure


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://user:pw@127.0.0.1", "user name in it"),
        ("http://", "no http or https URL"),
        ("http://127.0.0.1:99999", "is no URL"),
        ("http://no-such-host.invalid", "cannot be found"),
        ("http://127.0.0.1:1", "cannot connect to 127.0.0.1:1"),
        ("ftp://127.0.0.1", "no tool server"),
    ],
)
def test_urls_that_cannot_be_called_say_why(begin: Begin, url: str, said: str) -> None:
    assert said in begin(line(tool(url, "GET /x"))).run().failure


def test_the_guard_judges_addresses_not_names() -> None:
    guard = Guard.of(["lims.example", "*.lab.example", "10.1.0.0/16"])
    public, private, lab = "93.184.216.34", "10.9.9.9", "10.1.2.3"
    assert guard.permitted("lims.example", [public, private, lab]) == [public, lab]
    assert guard.permitted("a.lab.example", [public]) == [public]
    assert guard.permitted("lab.example", [public]) == []
    assert guard.permitted("other.example", [public, lab]) == [lab]
    assert guard.permitted("other.example", ["127.0.0.1", "::1", "::ffff:127.0.0.1"]) == [
        "127.0.0.1", "::1", "::ffff:127.0.0.1",
    ]  # fmt: skip
    with pytest.raises(NodeFailure, match="not among the hosts"):
        Guard.of([]).connect("192.0.2.1", 80, Token())


def test_redirects_are_followed_on_the_list_and_refused_off_it(begin: Begin, fake: Fake) -> None:
    fake.replies = [Reply(302, {}, {"Location": "/there"}), Reply(200, {"at": "there"})]
    done = begin(line(tool(fake.url, "POST /here", {"a": 1}))).run()
    assert done.output("T")["data"] == {"at": "there"}
    assert [(each.method, each.path) for each in fake.seen] == [
        ("POST", "/here"),
        ("GET", "/there"),
    ]
    fake.replies = [Reply(307, {}, {"Location": "http://10.0.0.1/secret"})]
    assert "host '10.0.0.1' is not among" in begin(line(tool(fake.url, "GET /x"))).run().failure


def test_a_redirect_without_end_is_an_answer(begin: Begin, fake: Fake) -> None:
    fake.replies = [Reply(302, {}, {"Location": "/again"})]
    assert begin(line(tool(fake.url, "GET /x"))).run().output("T")["status"] == 302
    assert len(fake.seen) == 6


def test_an_answer_that_breaks_off_is_a_failure(begin: Begin, fake: Fake) -> None:
    fake.replies = [Reply(200, None, {"Content-Length": "1000"}, pieces=[b"half of it"])]
    assert (
        "the answer broke off after 10 of 1000"
        in begin(line(tool(fake.url, "GET /x"))).run().failure
    )


def test_an_endless_answer_is_cut_off(begin: Begin, fake: Fake) -> None:
    fake.replies = [Reply(200, b"x" * 9_000_000)]
    assert "larger than 8388608 bytes" in begin(line(tool(fake.url, "GET /x"))).run().failure


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5", 5.0), (" 0 ", 0.0), ("Thu, 01 Jan 1970 00:02:00 GMT", 20.0), ("soon", None),
     ("99999999", 3600.0), (None, None), ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0)],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date(text: str | None, seconds: float | None) -> None:
    assert retry_after(text, now=100.0) == seconds


def test_files_are_written_read_and_listed_in_the_executions_own_place(begin: Begin) -> None:
    write = tool("fs", "fs_write", {"path": "deep/a.txt", "content": "café {{n}}"}) | {"name": "W"}
    read = tool("fs", "fs_read", {"path": "deep/a.txt"}) | {
        "name": "R", "id": node("R", "x")["id"]}  # fmt: skip
    listed = tool("fs", "fs_list", {"path": "deep"}) | {"name": "Ls", "id": node("Ls", "x")["id"]}
    done = begin(line(write, read, listed), variables={"n": 7}).run()
    assert done.output("R") == {"path": "deep/a.txt", "content": "café 7", "size": 7}
    assert done.output("Ls")["entries"] == [{"name": "a.txt", "type": "file", "size": 7}]
    assert (done.root / "files/deep/a.txt").read_text() == "café 7"


@pytest.mark.parametrize(
    ("name", "parameters", "said"),
    [
        ("fs_read", {"path": "../workflow.json"}, "lies outside"),
        ("fs_read", {"path": "/etc/passwd"}, "lies outside"),
        ("fs_read", {"path": "link"}, "lies outside"),
        ("fs_write", {"path": "../x", "content": ""}, "lies outside"),
        ("fs_write", {"path": "{root}/x", "content": ""}, "lies outside"),
        ("fs_write", {"path": "x"}, "'content' is missing"),
        ("fs_list", {"path": "/"}, "lies outside"),
        ("fs_read", {"path": "none"}, "No such file"),
        ("fs_read", {"path": 5}, "must be a path"),
        ("fs_read", {"path": "a\0b"}, "must be a path"),
        ("fs_delete", {"path": "x"}, "no tool 'fs_delete'"),
    ],
)
def test_no_file_outside_is_touched(
    begin: Begin, tmp_path: Path, name: str, parameters: dict[str, Any], said: str
) -> None:
    roots = tmp_path / "data"
    roots.mkdir()
    (roots / "in.txt").write_text("42")
    path = parameters["path"]
    given = parameters | {"path": path.replace("{root}", str(roots)) if path != 5 else path}
    run = begin(line(tool("fs", name, given)), data_roots=(roots,))
    (run.root / "files").mkdir(parents=True)
    (run.root / "files/link").symlink_to("/etc/passwd")
    assert said in run.run().failure


def test_data_roots_may_be_read(begin: Begin, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("42")
    doc = line(tool("fs", "fs_read", {"path": str(tmp_path / "in.txt")}))
    assert begin(doc, data_roots=(tmp_path,)).run().output("T")["content"] == "42"


def mcp(seen: Any) -> Reply:
    message = seen.json
    session = {"Mcp-Session-Id": "s-1"}
    if message["method"] == "initialize":
        result = {"protocolVersion": message["params"]["protocolVersion"], "capabilities": {}}
        return Reply(200, {"jsonrpc": "2.0", "id": message["id"], "result": result}, session)
    if "id" not in message:
        return Reply(202, b"")
    given = message["params"]["arguments"]
    if message["params"]["name"] == "fail":
        result = {"content": [{"type": "text", "text": "no such gene"}], "isError": True}
    else:
        result = {"content": [{"type": "text", "text": str(given["a"] + given["b"])}]}
    reply = {"jsonrpc": "2.0", "id": message["id"], "result": result}
    data = b': hello\n\ndata: {"method": "log"}\n\ndata: ' + json.dumps(reply).encode() + b"\n\n"
    return Reply(200, None, {"Content-Type": "text/event-stream"}, pieces=[data])


def test_mcp_over_http_initializes_and_calls(begin: Begin, fake: Fake) -> None:
    fake.answer = mcp
    done = begin(line(tool(fake.url + "/mcp", "add", {"a": 1, "b": 2}))).run()
    assert done.output("T") == {"content": [{"type": "text", "text": "3"}]}
    methods = [each.json["method"] for each in fake.seen]
    assert methods == ["initialize", "notifications/initialized", "tools/call"]
    assert fake.seen[2].headers["mcp-session-id"] == "s-1"


def test_a_tool_that_reports_an_error_fails_the_node(begin: Begin, fake: Fake) -> None:
    fake.answer = mcp
    done = begin(line(tool(fake.url, "fail", {}))).run()
    assert done.failure == "Node 'T' failed: tool 'fail' failed: no such gene"


def test_mcp_over_pipes_calls_a_registered_server(begin: Begin, servers: dict[str, Any]) -> None:
    done = begin(line(tool("calc", "add", {"a": 40, "b": 2})), servers=servers).run()
    assert done.output("T") == {"content": [{"type": "text", "text": "42"}]}


@pytest.mark.parametrize(
    ("name", "said"), [("die", "ended before it answered"), ("hang", "Timed out after 0.5 s")]
)
def test_a_tool_server_that_dies_or_hangs_fails_the_node(
    begin: Begin, servers: dict[str, Any], name: str, said: str
) -> None:
    timeout = {"execution_timeout_ms": 500 if name == "hang" else 30000}
    done = begin(line(tool("calc", name, {}, timeout_config=timeout)), servers=servers).run()
    assert said in done.failure


def test_an_unknown_server_is_told_with_a_cure(begin: Begin) -> None:
    assert "no tool server 'calc'; register it" in begin(line(tool("calc", "add"))).run().failure


def test_the_bridge_runs_an_oxoflow_workflow(begin: Begin) -> None:
    text = """
[workflow]
name = "child"
[config]
word = "none"
[[rules]]
name = "say"
output = ["out/said.txt"]
shell = "echo {config.word} > {output}"
"""
    parameters = {"toml_content": text, "config": {"word": "{{word}}"}}
    done = begin(line(tool("oxo", "run", parameters)), variables={"word": "hello"}).run()
    output = done.output("T")
    assert (output["state"], output["outputs"]) == ("success", ["out/said.txt"])
    assert (done.root / "runs" / output["run_id"] / "out/said.txt").read_text() == "hello\n"
    parameters["toml_content"] = text.replace("echo", "false && echo")
    assert (
        "ended failed"
        in begin(line(tool("oxo", "run", parameters)), variables={"word": "x"}).run().failure
    )


def test_no_process_shows_the_config_of_a_child(begin: Begin) -> None:
    text = """
[workflow]
name = "child"
[[rules]]
name = "say"
output = ["said.txt", "shown.txt"]
envvars = { WORD = "{config.word}" }
shell = '''printf %s "$WORD" > said.txt; cat /proc/$PPID/cmdline > shown.txt'''
"""
    word = 'it\'s a "word"\n= --config'
    parameters = {"toml_content": text, "config": {"word": "{{word}}"}}
    done = begin(line(tool("oxo", "run", parameters)), variables={"word": word}).run()
    place = done.root / "runs" / done.output("T")["run_id"]
    assert (place / "said.txt").read_text() == word
    assert "it's" not in (place / "shown.txt").read_text()
    assert str(place) in (place / "shown.txt").read_text()


def test_a_server_is_asked_for_children_and_look_ups(begin: Begin) -> None:
    retrieve = node("R", "Retriever", {"db_type": "fts5", "collection": "sops",
                                       "query": "{{q}}", "top_k": 3})  # fmt: skip
    doc = line(tool("oxo", "run", {"toml_content": "x", "config": {"k": 1}}), retrieve)
    run = begin(doc, variables={"q": "how?"}, nonce="n").start()
    child = run.await_event("child.requested").data["id"]
    run.control("answer", id=child, child="r-1", state="success", outputs=["a"])
    lookup = run.await_event("lookup.requested").data["id"]
    found = [{"id": "d", "score": 0.5, "payload": {}}]
    run.control("answer", id=lookup, results=found)
    done = run.finish()
    assert done.output("T") == {"run_id": "r-1", "state": "success", "outputs": ["a"]}
    assert done.output("R") == {
        "db_type": "fts5", "collection": "sops", "query": "how?", "results": found, "count": 1,
    }  # fmt: skip


def test_a_child_that_was_never_run_is_told_as_such(begin: Begin) -> None:
    run = begin(line(tool("oxo", "run", {"toml_content": "bad ["})), nonce="n").start()
    child = run.await_event("child.requested").data["id"]
    run.control("answer", id=child, child=None, state="failed", error="not valid TOML", outputs=[])
    assert run.finish().failure == "Node 'T' failed: the workflow was not run: not valid TOML"


@pytest.mark.parametrize(
    ("db_type", "said"), [("qdrant", "is not available"), ("fts5", "give --collection")]
)
def test_a_look_up_that_cannot_be_answered_fails(begin: Begin, db_type: str, said: str) -> None:
    config = {"db_type": db_type, "collection": "c", "query": "q", "top_k": 1}
    assert said in begin(line(node("R", "Retriever", config))).run().failure


def test_vision_mock_says_that_it_is_one_and_others_fail_by_name(begin: Begin) -> None:
    done = begin(line(node("V", "Vision", {"provider": "mock", "image_input": "img"}))).run()
    assert done.output("V")["text"].startswith("mock:")
    done = begin(line(node("V", "Vision", {"provider": "surya", "image_input": "img"}))).run()
    assert "Vision provider 'surya' is not available" in done.failure


def test_tesseract_is_called_with_the_picture(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin/tesseract"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "$3 $4 $(cat "$1")"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    config = {"provider": "tesseract", "image_input": "aGVsbG8=", "language": "deu"}
    assert begin(line(node("V", "Vision", config))).run().output("V")["text"] == "-l deu hello"
    for bad, said in (({"language": "-x y"}, "is no language"), ({"image_input": "%%"}, "neither")):
        assert said in begin(line(node("V", "Vision", config | bad))).run().failure


DOTS = {
    "H": ("1   1", "1   1", "1   1", "11111", "1   1", "1   1", "1   1"),
    "E": ("11111", "1    ", "1    ", "1111 ", "1    ", "1    ", "11111"),
    "L": ("1    ", "1    ", "1    ", "1    ", "1    ", "1    ", "11111"),
    "O": (" 111 ", "1   1", "1   1", "1   1", "1   1", "1   1", " 111 "),
}


def picture_of(word: str, dot: int = 6) -> bytes:
    """A grey picture (PGM) of a word in capital letters."""
    empty = [" " * (6 * len(word) + 6)] * 4
    rows = [f"   {' '.join(DOTS[letter][at] for letter in word)}    " for at in range(7)]
    lines = [bytes(0 if each == "1" else 255 for each in row for _ in range(dot))
             for row in [*empty, *rows, *empty]]  # fmt: skip
    head = f"P5 {len(lines[0])} {len(lines) * dot} 255\n"
    return head.encode() + b"".join(each * dot for each in lines)


@pytest.mark.real
def test_tesseract_reads_a_picture(begin: Begin, need_tools: Callable[..., None]) -> None:
    need_tools("tesseract")
    picture = base64.b64encode(picture_of("HELLO")).decode()
    config = {"provider": "tesseract", "image_input": "{{picture}}"}
    done = begin(line(node("V", "Vision", config)), variables={"picture": picture}).run()
    assert done.output("V")["text"] == "HELLO"
    unread = begin(
        line(node("V", "Vision", config | {"language": "xyz"})), variables={"picture": picture}
    )
    assert "tesseract ended with exit code 1" in unread.run().failure
