"""What the server says about itself."""

import os
from collections.abc import Sequence

import pytest
from flask.testing import FlaskClient

import app as application
import oxoflow
from oxoflow.settings import resolve
from oxoflow.web.probes import Environments
from tests.web.conftest import MakeApp


def test_health_has_exactly_two_keys(client: FlaskClient) -> None:
    assert client.get("/api/health").json == {"status": "ok", "version": oxoflow.__version__}


def test_version_keeps_the_names_of_the_contract(client: FlaskClient) -> None:
    body = client.get("/api/version").json
    assert set(body) == {"version", "crate_name", "rust_version", "python_version"}
    assert body["version"] == oxoflow.__version__


def test_system_describes_the_process(client: FlaskClient) -> None:
    body = client.get("/api/system").json
    assert {"version", "rust_version", "os", "arch", "pid", "uptime_secs"} <= set(body)
    assert body["os"] == "linux"
    assert body["pid"] == os.getpid()
    assert 0 <= body["uptime_secs"] < 600
    assert any("not isolated" in warning for warning in body["warnings"])
    assert any("root" in warning for warning in body["warnings"]) == (os.geteuid() == 0)


def test_metrics_count_requests_and_measure_the_host(client: FlaskClient) -> None:
    first = client.get("/api/metrics").json
    assert set(first) == {
        "uptime_secs", "version", "pid", "os", "arch", "cpu_count",
        "total_requests", "active_workflows", "host",
    }  # fmt: skip
    assert set(first["host"]) == {
        "cpu_usage_percent", "total_memory_mb", "used_memory_mb", "total_swap_mb", "used_swap_mb",
    }  # fmt: skip
    assert first["host"]["total_memory_mb"] > first["host"]["used_memory_mb"] > 0
    assert first["active_workflows"] == 0
    client.get("/nowhere")
    assert client.get("/api/metrics").json["total_requests"] == first["total_requests"] + 2


def test_the_license_is_open(client: FlaskClient) -> None:
    body = client.get("/api/license").json
    assert set(body) == {"valid", "license_type", "issued_to", "schema", "message"}
    assert body["valid"] is True


def test_environments_begin_with_system(client: FlaskClient) -> None:
    body = client.get("/api/environments").json
    assert set(body) == {"available"}
    assert body["available"][0] == "system"


def test_environments_are_probed_once_a_minute_in_a_fixed_order() -> None:
    asked: list[str] = []
    now = [0.0]

    def works(command: Sequence[str]) -> bool:
        asked.append(command[0])
        return command[0] in ("apptainer", "conda", "podman")

    environments = Environments(works, lambda: now[0])
    assert environments.available() == ("system", "conda", "docker", "singularity")
    count = len(asked)
    now[0] = 59
    environments.available()
    assert len(asked) == count
    now[0] = 60
    environments.available()
    assert len(asked) == 2 * count


def test_the_front_page_is_small_and_fetches_nothing_from_afar(client: FlaskClient) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    assert answer.content_type == "text/html; charset=utf-8"
    assert "http://" not in answer.text
    assert "https://" not in answer.text
    policy = answer.headers["Content-Security-Policy"]
    assert "'self'" in policy
    assert "unsafe" not in policy
    for name in ("front.css", "front.js"):
        assert f"static/{name}" in answer.text
        with client.get(f"/static/{name}") as file:
            assert file.status_code == 200
            assert "http" not in file.text


def test_prometheus_can_read_the_figures(client: FlaskClient, user: FlaskClient) -> None:
    client.get("/nowhere")
    client.open("/api/health", method="FROB")
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.content_type.startswith("text/plain; version=0.0.4")
    samples = {}
    for line in answer.text.splitlines():
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            samples[name] = float(value)
    assert samples['oxoflow_http_requests_total{method="GET",status="404"}'] == 1
    assert samples['oxoflow_http_requests_total{method="other",status="405"}'] == 1
    assert samples['oxoflow_http_requests_total{method="POST",status="200"}'] == 1
    count = samples["oxoflow_http_request_duration_seconds_count"]
    assert count == 3 == samples['oxoflow_http_request_duration_seconds_bucket{le="+Inf"}']
    assert samples["oxoflow_sessions"] == 1
    assert samples['oxoflow_runs{status="running"}'] == 0
    assert samples[f'oxify_api_info{{version="{oxoflow.__version__}"}}'] == 1


@pytest.mark.parametrize(
    ("proxies", "header", "warned"),
    [
        ("127.0.0.1", "X-Remote-User", True),
        ("10.0.0.1,::1", "X-Remote-User", True),
        ("127.0.0.0/8", "X-Remote-User", True),
        ("10.0.0.1", "X-Remote-User", False),
        ("127.0.0.1", "", False),
    ],
)
def test_a_header_that_this_machine_may_set_itself_is_warned_of(
    make_app: MakeApp, capsys: pytest.CaptureFixture[str], proxies: str, header: str, warned: bool
) -> None:
    app = make_app(TRUSTED_PROXIES=proxies, **({"USER_HEADER": header} if header else {}))
    told = app.test_client().get("/api/system").json["warnings"]
    assert any("X-Remote-User" in sentence for sentence in told) is warned
    services = app.extensions["oxoflow"]
    server = application.listen(app, resolve({"port": "0"}, {}))
    application.greet(services.settings, server, services.db, None)
    server.close()
    assert ("warning: every process" in capsys.readouterr().out) is warned
