"""Reports on texts: data with stable sections, and a page that no name can break out of."""

import re

import pytest
from flask.testing import FlaskClient

from tests.web.test_verbs import BROKEN, CYCLE, TWO

URL = "/api/reports/generate"
HOSTILE = "</title><script>alert(1)</script><b>\"'&"


def test_the_json_report_has_its_sections(client: FlaskClient) -> None:
    answer = client.post(URL, json={"toml_content": TWO, "format": "json"})
    assert answer.status_code == 200
    report = answer.json
    assert report["title"] == "demo — Workflow Report"
    assert (report["workflow_name"], report["workflow_version"]) == ("demo", "0.1.0")
    assert report["generated_at"].endswith("Z")
    assert report["metadata"] == {"rules_count": "2", "edges_count": "1"}
    overview, order = report["sections"]
    assert (overview["id"], overview["title"]) == ("overview", "Workflow Overview")
    assert overview["content"]["type"] == "KeyValue"
    pairs = dict(overview["content"]["pairs"])
    assert (pairs["Description"], pairs["Rules"], pairs["DAG edges"]) == ("N/A", "2", "1")
    assert (order["id"], order["subsections"]) == ("execution-order", [])
    assert order["content"] == {
        "type": "Table",
        "headers": ["Step", "Rule", "Threads", "Environment"],
        "rows": [["1", "a", "1", "system"], ["2", "b", "3", "system"]],
    }


def test_the_page_is_html_by_default(client: FlaskClient) -> None:
    answer = client.post(URL, json={"toml_content": TWO})
    assert answer.status_code == 200
    assert answer.content_type == "text/html; charset=utf-8"
    assert answer.text.startswith("<!DOCTYPE html>")
    assert "<h1>demo — Workflow Report</h1>" in answer.text
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert "script-src" not in answer.headers["Content-Security-Policy"]
    assert not re.search(r"<script|https?://", answer.text)


def test_hostile_names_stay_text(client: FlaskClient) -> None:
    text = TWO.replace('"demo"', f"'''{HOSTILE}'''").replace(
        'name = "demo"', f"name = '''{HOSTILE}'''"
    )
    text = text.replace("[[rules]]", f"description = '''{HOSTILE}'''\n[[rules]]", 1)
    page = client.post(URL, json={"toml_content": text}).text
    assert "alert(1)" in page
    assert "<script" not in page
    assert "<b>" not in page
    report = client.post(URL, json={"toml_content": text, "format": "json"}).json
    assert report["workflow_name"] == HOSTILE


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ({"toml_content": BROKEN}, 400, "Invalid workflow TOML"),
        ({"toml_content": CYCLE}, 422, "DAG construction failed"),
        ({"toml_content": TWO, "format": "pdf"}, 400, "Unsupported report format"),
        ({"toml_content": TWO, "format": ""}, 400, "Unsupported report format"),
        ({"toml_content": TWO, "format": 1}, 422, "Invalid request body"),
        ({"toml_content": TWO, "run_id": 1}, 422, "Invalid request body"),
        ({"toml_content": TWO, "run_id": "x"}, 401, "Authentication required"),
        ({"toml_content": None}, 422, "Invalid request body"),
        ({}, 422, "Invalid request body"),
    ],
)
def test_what_cannot_be_reported_says_why(
    client: FlaskClient, body: dict[str, object], status: int, error: str
) -> None:
    answer = client.post(URL, json=body)
    assert (answer.status_code, answer.json["error"]) == (status, error)
