"""The server as a process: how it starts, what it says, how it ends, and what it refuses."""

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.patience import PATIENCE

APP = Path(__file__).parent.parent / "app.py"


def environment(**variables: str) -> dict[str, str]:
    return os.environ | {f"OXO_FLOW_{name}": text for name, text in variables.items()}


@contextmanager
def started(home: Path, *flags: str, **variables: str) -> Iterator[tuple[str, list[str]]]:
    """A running server; its URL and the lines it printed."""
    process = subprocess.Popen(
        [sys.executable, str(APP), "--home", str(home), "--port", "0", *flags],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment(**variables),
    )  # fmt: skip
    try:
        assert process.stdout is not None
        lines = [process.stdout.readline().rstrip()]
        match = re.search(r"listens on (http://\S+)", lines[0])
        assert match, process.communicate(timeout=PATIENCE)
        while True:
            line = process.stdout.readline().rstrip()
            if not line:
                break
            lines.append(line)
            if "log in as admin" in line or "has no password" in line:
                break
        yield match[1], lines
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, errors
        assert "Traceback" not in errors


def refused(*argv: str, **variables: str) -> str:
    """The one sentence of a start that was refused."""
    done = subprocess.run(
        [sys.executable, str(APP), *argv],
        capture_output=True, text=True, timeout=PATIENCE, env=environment(**variables),
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 2, done
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    return done.stderr


def call(url: str, body: object = None) -> dict[str, object]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        return dict(json.load(answer))


def test_a_first_start_shows_a_password_that_opens_and_a_restart_keeps_all(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with started(home) as (url, lines):
        assert url.startswith("http://127.0.0.1:")
        password = (home / "admin-password").read_text().strip()
        assert any(password in line for line in lines)
        assert call(url + "api/health")["status"] == "ok"
        login = {"username": "admin", "password": password}
        token = call(url + "api/auth/login", login)["token"]
    with started(home) as (url, lines):
        assert not any(password in line for line in lines)
        request = urllib.request.Request(
            url + "api/auth/me", headers={"Authorization": f"Bearer {token}"}
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            assert json.load(answer)["username"] == "admin"
        # a second server on the same home
        sentence = refused("--home", str(home), "--port", "0")
        assert "in use by another oxoflow server" in sentence
        # and on the same port
        port = url.rsplit(":")[-1].strip("/")
        sentence = refused("--home", str(tmp_path / "other"), "--port", port)
        assert f"cannot listen on 127.0.0.1 port {port}" in sentence
        # nor may the password be changed under a running server
        assert "in use" in refused("password", "admin", "--home", str(home))


def test_a_configured_password_is_named_and_the_base_path_used(tmp_path: Path) -> None:
    flags = ("serve", "--base-path", "/oxo-flow", "--data-roots", f"{tmp_path},/not-mounted")
    with started(tmp_path, *flags, ADMIN_PASSWORD="from-outside", OLD="x") as (url, lines):
        assert url.endswith("/oxo-flow/")
        assert any("OXO_FLOW_ADMIN_PASSWORD" in line for line in lines)
        assert any(line.startswith("warning: OXO_FLOW_OLD") for line in lines)
        roots = [line for line in lines if "data root" in line]
        assert [line.partition(" is no ")[0] for line in roots] == [
            "warning: the data root /not-mounted"
        ]
        assert not (tmp_path / "admin-password").exists()
        login = {"username": "admin", "password": "from-outside"}
        assert call(url + "api/auth/login", login)["role"] == "admin"
        with pytest.raises(urllib.error.HTTPError) as caught:
            call(url.replace("/oxo-flow/", "/api/health"))
        with caught.value as answer:
            assert json.load(answer)["error"] == "Not found"


def test_a_half_open_client_does_not_keep_the_server_from_ending(tmp_path: Path) -> None:
    with started(tmp_path) as (url, _):
        address = url.split("//")[1].strip("/").split(":")
        idle = socket.create_connection((address[0], int(address[1])))
        idle.sendall(b"POST /api/auth/login HTTP/1.1\r\nContent-Length: 99\r\n\r\n")
        assert call(url + "api/health")["status"] == "ok"
    idle.close()


def test_the_password_command_sets_a_stored_password(tmp_path: Path) -> None:
    with started(tmp_path):
        pass

    def set_password(name: str, password: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(APP), "password", name, "--home", str(tmp_path)],
            input=password + "\n", capture_output=True, text=True, timeout=PATIENCE,
        )  # fmt: skip

    assert set_password("admin", "my own choice").returncode == 0
    assert not (tmp_path / "admin-password").exists()
    dump = "\n".join(sqlite3.connect(tmp_path / "oxoflow.db").iterdump())
    assert "my own choice" not in dump
    assert "'set_password','admin','success'" in dump
    for name, password, word in (("admin", "short", "8"), ("nobody", "long enough", "no account")):
        done = set_password(name, password)
        assert done.returncode == 2
        assert word in done.stderr
    with started(tmp_path) as (url, lines):
        assert any("stored password" in line for line in lines)
        login = {"username": "admin", "password": "my own choice"}
        assert call(url + "api/auth/login", login)["role"] == "admin"


@pytest.mark.parametrize(
    ("argv", "variables", "word"),
    [
        (["--colour", "red"], {}, "--colour"),
        (["--por", "1"], {}, "--por"),
        (["--port", "x"], {}, "--port 'x'"),
        (["--port"], {}, "--port"),
        (["fly"], {}, "'fly'"),
        (["serve", "now"], {}, "'now'"),
        (["password"], {}, "name of an account"),
        ([], {"PORT": "70000"}, "OXO_FLOW_PORT"),
        ([], {"TRUSTED_PROXIES": "nginx"}, "OXO_FLOW_TRUSTED_PROXIES"),
        (["--home", "/dev/null/x"], {}, "/dev/null/x cannot be written"),
        (["--host", "no.such.host.invalid"], {}, "cannot listen on no.such.host.invalid"),
    ],
)
def test_a_wrong_start_is_refused_with_one_sentence(
    tmp_path: Path, argv: list[str], variables: dict[str, str], word: str
) -> None:
    home = [] if "--home" in argv else ["--home", str(tmp_path)]
    assert word in refused(*argv, *home, **variables)


def test_help_lists_every_command() -> None:
    done = subprocess.run([sys.executable, str(APP), "--help"], capture_output=True, text=True)
    assert done.returncode == 0
    for word in ("serve", "password NAME", "--base-path", "-p", "OXO_FLOW_RATE_LIMIT"):
        assert word in done.stdout
