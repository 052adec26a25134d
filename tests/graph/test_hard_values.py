"""Numbers and characters that JSON may spell and nobody can keep: refused or mended at the door."""

import json
import math
from typing import Any

import pytest
from flask.testing import FlaskClient

from oxoflow.graph.evaluate import value_of
from oxoflow.graph.expression import ExpressionError
from oxoflow.graph.jsontext import compact, parse_json
from oxoflow.graph.template import parsed, resolve
from tests.graph.building import code, line, node, shell
from tests.graph.conftest import Begin

V1 = "/api/v1"
NOBODY = "00000000-0000-4000-8000-000000000000"
HALF = '"\\ud83d"'
NOTHING: dict[str, Any] = {}


@pytest.mark.parametrize("text", ["1e999", "-1e400", '{"a": [1e309]}', "NaN", "Infinity"])
def test_a_number_that_is_not_finite_is_no_json(text: str) -> None:
    with pytest.raises(ValueError, match=r"is too large a number|is not JSON"):
        parse_json(text)
    assert parsed(text) == text
    assert resolve(text, NOTHING.__getitem__) == text


def test_a_number_of_very_many_digits_is_refused_without_words_about_the_interpreter() -> None:
    with pytest.raises(ValueError, match=r"^a whole number has too many digits$"):
        parse_json("9" * 5000)


def nested(levels: int) -> str:
    return "[" * levels + "1" + "]" * levels


def test_values_may_be_nested_five_hundred_levels_deep() -> None:
    assert compact(parse_json(nested(500))) == nested(500)
    for levels in (501, 990, 100_000):
        with pytest.raises(ValueError, match=r"nested deeper than 500 levels"):
            parse_json(nested(levels))
    wide = "[" + ",".join([nested(3)] * 1000) + "]"
    assert compact(parse_json(wide)) == wide


@pytest.mark.parametrize("levels", [600, 975, 990])
def test_a_value_too_deep_fails_its_node_and_nothing_else(begin: Begin, levels: int) -> None:
    text = f"r = 1\nfor _ in range({levels}):\n    r = [r]\nresult = r"
    caught = {"try_expression": "x", "catch_expression": "{{error}}"}
    body = {"type": "Code", "config": {"runtime": "python", "code": text, "output": ""}}
    done = begin(line(node("Try", "TryCatch", caught | {"try_body": body}))).run()
    assert "nested deeper than 500 levels" in done.output("Try")["catch_result"]


def test_an_output_that_grows_from_node_to_node_ends_in_a_failure(begin: Begin) -> None:
    grow = [node(f"n{at}", "TryCatch", {"try_expression": f"{{{{n{at - 1}}}}}"}) for at in
            range(1, 560)]  # fmt: skip
    done = begin(line(*grow), variables={"n0": 1}).run()
    assert "failed: the output is nested deeper than 500 levels" in done.failure


def test_what_a_program_prints_as_a_number_too_large_stays_text(begin: Begin) -> None:
    done = begin(line(shell("Big", "echo 1e999", "big"))).run()
    assert done.variables == {"big": "1e999"}
    assert all(math.isfinite(number) for number in (parsed("1e308"), parsed("-0.5")))


def test_a_number_too_large_in_a_condition_is_an_error() -> None:
    with pytest.raises(ExpressionError, match="the number is too large"):
        value_of("1e999 > 1", NOTHING.__getitem__)


def test_half_a_character_from_a_program_is_replaced_and_can_be_passed_on(begin: Begin) -> None:
    first = code("Name", "result = ['a\\udcffb', {'\\ud83d': 1}]", "names")
    second = code("Again", "result = [n for n in names]", "again", ["names"])
    third = shell("Shell", 'echo "$OXIFY_NAMES"', "told", ["names"])
    done = begin(line(first, second, third)).run()
    assert done.state == "Completed"
    expected = ["a\ufffdb", {"\ufffd": 1}]
    assert done.variables == {"names": expected, "again": expected, "told": expected}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/workflows/GRAPH/execute", '{"variables": {"x": %s}}'),
        ("/workflows/GRAPH/execute", '{"variables": {%s: 1}}'),
        ("/workflows/GRAPH/execute", '{"variables": {"x": 1e999}}'),
        ("/workflows/GRAPH/versions", '{"description": %s}'),
        ("/workflows/GRAPH/test", '{"expected_output": %s}'),
        ("/vectors/collections/c/vectors", '{"vectors": [{"id": %s, "vector": []}]}'),
        ("/mcp/servers/register", '{"server_id": "a", "server_type": "stdio", "command": [%s]}'),
        (f"/approvals/{NOBODY}/approve", '{"comments": %s}'),
        ("/auth/login", '{"email": %s, "password": "x"}'),
    ],
)
def test_a_body_with_half_a_character_or_a_number_too_large_is_refused(
    client: FlaskClient, path: str, body: str
) -> None:
    answer = client.post(f"{V1}/workflows", json={"workflow": line()})
    client.post(
        f"{V1}/vectors/collections", json={"name": "c", "dimension": 0, "provider": "sqlite"}
    )
    path = V1 + path.replace("GRAPH", answer.json["id"] if answer.json else "")
    refused = client.post(path, data=body % HALF if "%s" in body else body)
    assert refused.status_code == 400
    said: Any = json.loads(refused.data)
    assert said["error"] == "ValidationError"
    assert said["message"].startswith("Invalid request body: ")
    assert set(said) == {"error", "message"}


def test_a_body_in_another_encoding_than_utf_8_is_refused(client: FlaskClient) -> None:
    text = json.dumps({"workflow": line()})
    refused = client.post(f"{V1}/workflows", data=text.encode("utf-16"))
    assert refused.status_code == 400
    assert "the text is not UTF-8" in (refused.json or {})["message"]
    assert client.post(f"{V1}/workflows", data=text.encode("utf-8-sig")).status_code == 201
