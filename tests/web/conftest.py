"""Give web tests a server application over a fresh home, and clients that are logged in."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

import app as application
from oxoflow.access.accounts import seed
from oxoflow.db import Database
from oxoflow.settings import Settings, resolve
from oxoflow.web.services import Services
from oxoflow.web.textwork import do_here
from tests.patience import PATIENCE, have_cores
from tests.web.contracted import watch

PASSWORDS = {
    "OXO_FLOW_ADMIN_PASSWORD": "admin-secret",
    "OXO_FLOW_USER_PASSWORD": "user-secret",
    "OXO_FLOW_VIEWER_PASSWORD": "viewer-secret",
}

UNHURRIED = {
    "run_control.PATIENCE": PATIENCE,
    "run_control.PAUSE_PATIENCE": PATIENCE,
    "oxify_executions.PATIENCE": PATIENCE,
    "run_records.READ_SECONDS": 2 * PATIENCE,
    "run_records.HASH_SECONDS": PATIENCE,
}

MakeApp = Callable[..., Flask]


class Here:
    """Does the verbs on texts in this process, so that tests start no other."""

    def __call__(self, verb: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        return do_here(verb, asked)

    def stop(self) -> None:
        """Nothing runs."""


@pytest.fixture
def make_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeApp]:
    """Call with OXO_FLOW_ variables (without the prefix): an application over a fresh home.

    No thread of it runs: a test that needs streams or runs calls `services.start()`. It waits for
    what it asked of a runner as long as the slowest machine may need.
    """
    for name, seconds in UNHURRIED.items():
        monkeypatch.setattr(f"oxoflow.web.{name}", seconds)
    have_cores(monkeypatch)
    parts: list[Services] = []

    def make(**variables: str) -> Flask:
        environ = PASSWORDS | {"OXO_FLOW_RATE_LIMIT": "0"}
        environ |= {f"OXO_FLOW_{name}": text for name, text in variables.items()}
        settings = resolve({"home": str(tmp_path / f"home{len(parts)}")}, environ)
        settings.workspace.mkdir(parents=True)
        db = Database(settings.database)
        seed(db, settings)
        parts.append(application.build_services(settings, db))
        parts[-1].texts = Here()
        made = application.create_app(parts[-1])
        made.testing = True
        watch(made)
        return made

    yield make
    for each in parts:
        each.stop()
        each.db.close()


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    """An application with the three environment accounts and the limiter off."""
    return make_app()


@pytest.fixture
def services(app: Flask) -> Services:
    """The parts of that application."""
    return app.extensions["oxoflow"]


@pytest.fixture
def settings(services: Services) -> Settings:
    """The settings of that application."""
    return services.settings


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A client that sends no credentials."""
    return app.test_client(use_cookies=False)


def log_in(app: Flask, name: str, password: str | None = None) -> FlaskClient:
    """A client that sends the Bearer token of a fresh session of `name`."""
    client = app.test_client(use_cookies=False)
    answer = client.post(
        "/api/auth/login", json={"username": name, "password": password or f"{name}-secret"}
    )
    assert answer.status_code == 200, answer.json
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {answer.json['token']}"
    return client


@pytest.fixture
def admin(app: Flask) -> FlaskClient:
    """Logged in as admin."""
    return log_in(app, "admin")


@pytest.fixture
def user(app: Flask) -> FlaskClient:
    """Logged in as user."""
    return log_in(app, "user")


@pytest.fixture
def viewer(app: Flask) -> FlaskClient:
    """Logged in as viewer."""
    return log_in(app, "viewer")
