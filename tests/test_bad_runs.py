"""Submit what is wrong to a real server: answers name thing and cure, and it serves on."""

import json
from typing import Any

import pytest

from tests.server_process import ServerProcess

HEAD = '[workflow]\nname = "w"\n'


def rule(name: str, **keys: Any) -> str:
    lines = [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
    return f'[[rules]]\nname = "{name}"\n' + "\n".join(lines) + "\n"


REFUSED = {
    "broken TOML": ("[workflow\nname = 1", ["line 1"]),
    "no workflow table": (rule("a", shell="true"), ["[workflow]"]),
    "a cycle": (
        HEAD
        + rule("a", input=["y"], output=["x"], shell="touch x")
        + rule("b", input=["x"], output=["y"], shell="touch y"),
        ["cycle", "a", "b", "→"],
    ),
    "a duplicate rule": (HEAD + rule("a", shell="true") * 2, ["duplicate", "a", "rename"]),
    "an unknown depends_on": (
        HEAD + rule("map", shell="true") + rule("call", depends_on=["mapp"], shell="true"),
        ["call", "mapp", "map"],
    ),
    "an undefined config key": (
        HEAD + "[config]\nquality = 1\n" + rule("a", shell="echo {config.qualty}"),
        ["a", "config.qualty", "quality"],
    ),
}

FAILED = {
    "a missing input": (
        rule("make", output=["raw.fastq"], shell="touch raw.fastq")
        + rule("use", input=["raw.fq"], output=["o"], shell="touch o", depends_on=["make"]),
        "use",
        ["raw.fq", "raw.fastq"],
    ),
    "a rule that exits 1": (
        rule("a", output=["o"], shell="echo the disk is on fire >&2; exit 1"),
        "a",
        ["exit", "1", "the disk is on fire"],
    ),
    "a rule that makes no output": (
        rule("a", output=["o"], shell="true"),
        "a",
        ["did not make", "o"],
    ),
    "a rule killed by its timeout": (
        rule("a", output=["o"], shell="sleep 600", resources={}).replace(
            "resources = {}", 'resources = { time_limit = "1s" }'
        ),
        "a",
        ["timed out", "time_limit"],
    ),
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Any:
    server = ServerProcess(tmp_path_factory.mktemp("bad") / "home")
    try:
        yield server.start()
    finally:
        server.clean_up()


@pytest.mark.parametrize("what", REFUSED)
def test_a_text_that_cannot_run_is_refused_with_words(shared: ServerProcess, what: str) -> None:
    text, words = REFUSED[what]
    status, answer = shared.call("POST", "/api/workflows/run", {"toml_content": text}, user="user")
    assert status in (400, 422), answer
    assert set(answer) >= {"error", "detail"}
    for word in words:
        assert word in answer["detail"], f"{word!r} is not in {answer['detail']!r}"
    status, answer = shared.call("POST", "/api/workflows/validate", {"toml_content": text})
    assert (status, answer["valid"]) == (200, False)
    for word in words:
        assert word in " ".join(answer["errors"])


@pytest.mark.parametrize("what", FAILED)
def test_a_rule_that_fails_is_named_with_its_reason(shared: ServerProcess, what: str) -> None:
    text, job, words = FAILED[what]
    run_id = shared.submit(HEAD + text)
    detail = shared.finish(run_id)
    assert detail["status"] == "failed"
    assert job in detail["error"]
    _, jobs = shared.call("GET", f"/api/runs/{run_id}/jobs", user="user")
    failed = next(each for each in jobs if each["job"] == job)
    assert failed["status"] == "failed"
    told = json.dumps(failed, ensure_ascii=False) + detail["error"]
    for word in words:
        assert word in told, f"{word!r} is not in {told!r}"
    if "timeout" in what:
        assert failed["exit_code"] == 124


def test_a_large_body_is_refused_and_read_no_further(shared: ServerProcess) -> None:
    body = {"toml_content": "#" * 5_000_000}
    status, answer = shared.call("POST", "/api/workflows/validate", body)
    assert status == 413
    assert "2097152" in answer["detail"] or "2 MiB" in answer["detail"]


@pytest.mark.parametrize("token", ["0" * 32, "", "x" * 5000, "\u00e9"])
def test_an_invalid_session_is_401_with_a_challenge(shared: ServerProcess, token: str) -> None:
    status, answer = shared.call("GET", "/api/runs", Authorization=f"Bearer {token}")
    assert (status, answer["error"]) == (401, "Authentication required")
    assert shared.call("GET", "/api/health")[0] == 200
