"""The anonymous verbs: exact keys and exact errors."""

import re

import pytest
from flask.testing import FlaskClient

TWO = """[workflow]
name = "demo"
[[rules]]
name = "a"
output = ["x.txt"]
shell = "date > {output}"
[[rules]]
name = "b"
input = ["x.txt"]
output = ["y.txt"]
threads = 3
shell = "wc {input} > {output}"
"""
CYCLE = """[workflow]
name = "round"
[[rules]]
name = "a"
input = ["y"]
output = ["x"]
shell = "true"
[[rules]]
name = "b"
input = ["x"]
output = ["y"]
shell = "true"
"""
BROKEN = '[workflow]\nname = "x"\nversion = \n'
SAMPLES = """[workflow]
name = "fan"
[[sample_groups]]
name = "all"
samples = ["s1", "s2"]
[[rules]]
name = "join"
input = ["s1.txt", "s2.txt"]
output = ["all.txt"]
shell = "cat {input} > {output}"
[[rules]]
name = "each"
output = ["{sample}.txt"]
shell = "echo {sample} > {output}"
"""
VERBS = ("validate", "parse", "dag", "dry-run", "format", "lint", "stats", "export", "clean")


def ask(client: FlaskClient, verb: str, text: str, **more: object):
    return client.post(f"/api/workflows/{verb}", json={"toml_content": text, **more})


def test_validate_counts_what_is_fine(client: FlaskClient) -> None:
    answer = ask(client, "validate", TWO)
    assert answer.status_code == 200
    assert answer.json == {"valid": True, "errors": [], "rules_count": 2, "edges_count": 1}


def test_validate_answers_200_for_what_is_broken(client: FlaskClient) -> None:
    answer = ask(client, "validate", BROKEN)
    assert answer.status_code == 200
    assert answer.json["valid"] is False
    assert (answer.json["rules_count"], answer.json["edges_count"]) == (None, None)
    assert len(answer.json["errors"]) == 1
    assert "line 3" in answer.json["errors"][0]
    answer = ask(client, "validate", CYCLE)
    assert answer.status_code == 200
    assert (answer.json["valid"], answer.json["rules_count"], answer.json["edges_count"]) == (
        False, 2, None,
    )  # fmt: skip
    assert answer.json["errors"][0].startswith("E006: cycle")
    assert set(answer.json) == {"valid", "errors", "rules_count", "edges_count"}


def test_validate_calls_only_errors_errors_also_of_a_text_that_is_no_workflow(
    client: FlaskClient,
) -> None:
    text = '[workflow]\nname = "w"\n[[rules]]\nname = "a"\nthreads = "4"\nwhen = "config.gone"\n'
    answer = client.post("/api/workflows/validate", json={"toml_content": text}).json
    assert [each.split(":")[0] for each in answer["errors"]] == ["S009"]


def test_a_workflow_with_includes_is_no_worse_for_what_cannot_be_seen(client: FlaskClient) -> None:
    text = '[workflow]\nname = "w"\n[[include]]\npath = "m"\n[[rules]]\nname = "a"\n'
    text += 'depends_on = ["of_m"]\nshell = "x {config.of_m}"\n'
    for verb in ("validate", "dag", "dry-run"):
        assert client.post(f"/api/workflows/{verb}", json={"toml_content": text}).status_code == 200
    assert client.post("/api/workflows/validate", json={"toml_content": text}).json["valid"]


def test_a_workflow_without_rules_is_valid(client: FlaskClient) -> None:
    answer = ask(client, "validate", "[workflow]\nname='x'").json
    assert (answer["valid"], answer["rules_count"], answer["edges_count"]) == (True, 0, 0)


def test_validate_runs_the_e_checks_and_says_where(client: FlaskClient) -> None:
    text = TWO + 'depends_on = ["nobody"]\n'
    answer = ask(client, "validate", text).json
    assert answer["valid"] is False
    assert answer["rules_count"] == 2
    error = next(error for error in answer["errors"] if error.startswith("E007: "))
    assert "nobody" in error
    assert "line 13" in error


def test_parse_shows_the_workflow(client: FlaskClient) -> None:
    answer = ask(client, "parse", TWO)
    assert answer.status_code == 200
    assert {key: answer.json[key] for key in ("name", "version", "description", "author")} == {
        "name": "demo",
        "version": "0.1.0",
        "description": None,
        "author": None,
    }
    assert answer.json["rules_count"] == 2
    assert answer.json["rules"][1] == {
        "name": "b",
        "inputs": ["x.txt"],
        "outputs": ["y.txt"],
        "environment": "system",
        "threads": 3,
    }


def test_dag_draws_rules(client: FlaskClient) -> None:
    assert ask(client, "dag", TWO).json == {
        "dot": 'digraph {\n    0 [ label = "a" ]\n    1 [ label = "b" ]\n    0 -> 1 [ ]\n}\n',
        "nodes": 2,
        "edges": 1,
    }


def test_fan_in_and_fan_out_make_one_edge_between_rules(client: FlaskClient) -> None:
    answer = ask(client, "dag", SAMPLES).json
    assert (answer["nodes"], answer["edges"]) == (2, 1)
    assert "1 -> 0" in answer["dot"]
    run = ask(client, "dry-run", SAMPLES).json
    assert run["execution_order"] == ["each", "join"]
    assert [job["command"] for job in run["jobs"]] == [
        "echo s1 > s1.txt",
        "echo s2 > s2.txt",
        "cat s1.txt s2.txt > all.txt",
    ]


def test_dry_run_shows_the_order_and_echoes_the_config(client: FlaskClient) -> None:
    answer = ask(client, "dry-run", TWO, config={"max_jobs": 4, "strange": 1})
    assert answer.status_code == 200
    body = answer.json
    status = body["status"]
    assert {key: status[key] for key in ("status", "rules_total", "rules_completed")} == {
        "status": "dry-run",
        "rules_total": 2,
        "rules_completed": 0,
    }
    assert set(status) == {"id", "status", "rules_total", "rules_completed", "started_at"}
    assert status["started_at"].endswith("Z")
    assert body["execution_order"] == ["a", "b"] == [rule["name"] for rule in body["rules"]]
    assert body["config"] == {"max_jobs": 4, "dry_run": None, "keep_going": None}
    assert ask(client, "dry-run", TWO).json["status"]["id"] != status["id"]


@pytest.mark.parametrize(
    "config", [{"max_jobs": "4"}, {"max_jobs": 0}, {"max_jobs": True}, {"keep_going": 1}, "x", []]
)
def test_a_wrong_config_is_422(client: FlaskClient, config: object) -> None:
    answer = ask(client, "dry-run", TWO, config=config)
    assert answer.status_code == 422
    assert "config" in answer.json["detail"]


def test_format_is_canonical_and_settled(client: FlaskClient) -> None:
    once = ask(client, "format", "[[rules]]\nshell='y'\nname='r'\n[workflow]\nname='x'").json
    assert set(once) == {"formatted"}
    assert once["formatted"].startswith("[workflow]\n")
    assert ask(client, "format", once["formatted"]).json == once


def test_lint_counts_what_it_lists(client: FlaskClient) -> None:
    body = ask(client, "lint", TWO).json
    assert set(body) == {"diagnostics", "error_count", "warning_count", "info_count"}
    for item in body["diagnostics"]:
        keys = {"severity", "code", "message", "rule", "suggestion", "line", "column"}
        assert set(item) == keys
    for severity in ("error", "warning", "info"):
        listed = sum(item["severity"] == severity for item in body["diagnostics"])
        assert body[f"{severity}_count"] == listed
    assert body["error_count"] == 0
    codes = [item["code"] for item in body["diagnostics"]]
    assert {"W001", "W002", "W003"} <= set(codes)
    assert ask(client, "lint", CYCLE).json["error_count"] == 1


@pytest.mark.parametrize(
    ("query", "page", "count", "following", "before"),
    [
        ("", 1, 20, False, False),
        ("page=1&per_page=2", 1, 2, True, False),
        ("page=2&per_page=2", 2, 2, True, True),
        ("page=99&per_page=2", 99, 0, False, True),
        ("page=0&per_page=2", 1, 2, True, False),
        ("page=-5&per_page=0", 1, 1, True, False),
        ("per_page=1000", 1, 100, False, False),
    ],
)
def test_lint_by_pages(
    client: FlaskClient, query: str, page: int, count: int, following: bool, before: bool
) -> None:
    every = ask(client, "lint", TWO).json
    total = len(every["diagnostics"])
    body = ask(client, f"lint/paginated?{query}", TWO).json
    assert set(body) == {"diagnostics", "pagination", "summary"}
    assert body["summary"] == {key: every[key] for key in body["summary"]}
    pages = body["pagination"]
    assert len(body["diagnostics"]) == min(count, total)
    assert (pages["page"], pages["has_next"], pages["has_prev"]) == (page, following, before)
    assert pages["total_items"] == total
    assert pages["total_pages"] == -(-total // pages["per_page"])


def test_every_page_of_lint_together_is_all_of_it(client: FlaskClient) -> None:
    every = ask(client, "lint", TWO).json["diagnostics"]
    pages = [
        ask(client, f"lint/paginated?page={page}&per_page=3", TWO).json["diagnostics"]
        for page in range(1, 9)
    ]
    assert [item for page in pages for item in page] == every


def test_a_text_without_findings_has_one_empty_page(client: FlaskClient) -> None:
    text = "[workflow]\nname='x'\ndescription='d'\nauthor='a'\n"
    body = ask(client, "lint/paginated", text).json
    assert body["diagnostics"] == []
    assert (body["pagination"]["total_items"], body["pagination"]["total_pages"]) == (0, 1)


@pytest.mark.parametrize(
    "query", ["page=x", "per_page=1.5", "page=", "page=1e3", "page=1_0", "page=%D9%A3", "page=1%20"]
)
def test_a_page_that_is_no_number_is_400(client: FlaskClient, query: str) -> None:
    assert ask(client, f"lint/paginated?{query}", TWO).status_code == 400


def test_stats_are_figures(client: FlaskClient) -> None:
    assert ask(client, "stats", TWO).json == {
        "rule_count": 2,
        "shell_rules": 2,
        "script_rules": 0,
        "dependency_count": 1,
        "parallel_groups": 2,
        "max_depth": 1,
        "environments": [],
        "total_threads": 4,
        "wildcard_count": 0,
        "wildcard_names": [],
    }
    round_ = ask(client, "stats", CYCLE).json
    assert (round_["rule_count"], round_["dependency_count"], round_["parallel_groups"]) == (
        2,
        0,
        0,
    )


def test_diff_tells_meaning_from_spelling(client: FlaskClient) -> None:
    def diff(a: str, b: str):
        return client.post("/api/workflows/diff", json={"toml_a": a, "toml_b": b})

    assert diff(TWO, TWO.replace('"', "'") + "# a comment\n").json == {"diff_count": 0, "diffs": []}
    body = diff(TWO, TWO.replace("threads = 3", "threads = 4")).json
    assert body["diff_count"] == 1
    assert body["diffs"][0]["category"] == "rules"
    assert "3" in body["diffs"][0]["description"]
    for a, b, side in ((BROKEN, TWO, "toml_a"), (TWO, BROKEN, "toml_b")):
        answer = diff(a, b)
        assert (answer.status_code, answer.json["error"]) == (400, "Invalid workflow TOML")
        assert side in answer.json["detail"]
    detail = diff(TWO, "[workflow]\nname = 'x'\n[[rules]]\nname = 'a'\noutput = ['y']").json[
        "detail"
    ]
    assert detail.startswith("toml_b: ")
    assert "(line 5 column 1)" in detail
    assert client.post("/api/workflows/diff", json={"toml_a": TWO}).status_code == 422


@pytest.mark.parametrize(
    ("format", "start"), [("docker", "FROM "), ("singularity", "Bootstrap: docker")]
)
def test_export_writes_a_recipe(client: FlaskClient, format: str, start: str) -> None:
    body = ask(client, "export", TWO, format=format).json
    assert set(body) == {"format", "content"}
    assert body["format"] == format
    assert any(line.startswith(start) for line in body["content"].splitlines())
    assert ask(client, "export", TWO, format=format).json == body


def test_export_is_docker_by_default_and_refuses_the_unknown(client: FlaskClient) -> None:
    assert ask(client, "export", TWO).json["format"] == "docker"
    assert ask(client, "export", TWO, format=None).json["format"] == "docker"
    for wrong in ("podman", "", "Docker"):
        answer = ask(client, "export", TWO, format=wrong)
        assert (answer.status_code, answer.json["error"]) == (400, "Unsupported export format")


def test_clean_lists_outputs_as_written(client: FlaskClient) -> None:
    assert ask(client, "clean", SAMPLES).json == {
        "workflow_name": "fan",
        "files_to_clean": ["all.txt", "{sample}.txt"],
        "total_files": 2,
    }


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "validate"])
def test_a_broken_text_is_400_with_its_line(client: FlaskClient, verb: str) -> None:
    answer = ask(client, verb, BROKEN)
    assert answer.status_code == 400
    assert answer.json["error"] == "Invalid workflow TOML"
    assert "line 3" in answer.json["detail"]


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "validate"])
def test_a_text_that_is_toml_but_no_workflow_is_400_with_its_line(
    client: FlaskClient, verb: str
) -> None:
    answer = ask(client, verb, "[workflow]\nname = 'x'\n[[rules]]\nname = 'a'\noutput = ['y']")
    assert (answer.status_code, answer.json["error"]) == (400, "Invalid workflow TOML")
    assert answer.json["detail"].count("line") == 1
    assert "(line 5 column 1)" in answer.json["detail"]


@pytest.mark.parametrize("verb", ["dag", "dry-run"])
def test_a_cycle_is_422(client: FlaskClient, verb: str) -> None:
    answer = ask(client, verb, CYCLE)
    assert (answer.status_code, answer.json["error"]) == (422, "DAG construction failed")
    assert re.search(r"\(line \d+ column \d+\)", answer.json["detail"])
    assert "cycle" in answer.json["detail"]


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("body", "status"), [({}, 422), ({"toml_content": 5}, 422), ({"toml_content": None}, 422)]
)
def test_every_verb_needs_a_text(
    client: FlaskClient, verb: str, body: dict[str, object], status: int
) -> None:
    assert client.post(f"/api/workflows/{verb}", json=body).status_code == status
