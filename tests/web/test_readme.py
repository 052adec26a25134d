"""Hold README to the code: its tables of routes and settings, and its session when pasted."""

import re
import subprocess
from pathlib import Path

from flask import Flask

from oxoflow.openapi.contract import ROUTES
from oxoflow.settings import OPTIONS
from tests.patience import PATIENCE
from tests.server_process import ServerProcess

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
ROUTE = re.compile(r"^\| (GET|POST|PUT|PATCH|DELETE) \| `([^`]+)` \|", re.MULTILINE)
WHO = re.compile(r"^\| ([A-Z]+) \| `(/[^`]*)` \| (\w+)(\*?) \|", re.MULTILINE)
SETTING = re.compile(r"^\| `([A-Z_]+)`(?:, `--[^|]*`)? \|([^|]*)\|", re.MULTILINE)


def block_after(marker: str, language: str) -> str:
    """The first fenced block of a language behind a text."""
    start = README.index(marker)
    found = re.compile(rf"```{language}\n(.*?)```", re.DOTALL).search(README, start)
    assert found is not None
    return found[1]


def test_the_table_of_routes_names_every_route_and_no_other(app: Flask) -> None:
    served = {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in rule.methods or ()
        if method not in ("HEAD", "OPTIONS") and rule.endpoint != "static"
    }
    told = set(ROUTE.findall(README))
    assert served - told == set(), "missing in README"
    assert told - served == set(), "in README, but not served"


def test_the_table_of_routes_says_who_may_call_them() -> None:
    told = {(method, path): (who, star) for method, path, who, star in WHO.findall(README)}
    for route in ROUTES:
        open_on_loopback = route.oxify and route.role not in (None, "admin")
        expected = (route.role or "anyone", "*" if open_on_loopback else "")
        assert told[route.method, route.path] == expected, route.path


def test_the_table_of_settings_gives_every_setting_with_its_default() -> None:
    told = {name: default.strip() for name, default in SETTING.findall(README)}
    assert told == {option.name: option.default for option in OPTIONS}


def test_every_command_is_told() -> None:
    listing = subprocess.run(
        [ROOT / ".venv/bin/oxoflow", "--help"], capture_output=True, text=True, check=True
    ).stdout
    verbs = re.findall(r"^  ([a-z-]+) {2,}\S", listing, re.MULTILINE)
    assert len(verbs) > 10
    for verb in verbs:
        assert f"`{verb}" in README, f"README does not tell of 'oxoflow {verb}'"


def test_the_session_works_when_pasted(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "home", ADMIN_PASSWORD="open-sesame")
    (tmp_path / "hello.oxoflow").write_text(block_after("# oxoflow", "toml"))
    script = block_after("<!-- session", "sh")
    try:
        server.start()
        script = script.replace(":8080", f":{server.port}")
        done = subprocess.run(
            ["bash", "-eu", "-c", script],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    finally:
        server.clean_up()
    assert done.returncode == 0, done.stderr
    assert '"valid":true' in done.stdout.replace(" ", "")
    assert '"type":"run_completed"' in done.stdout.replace(" ", "")
    assert "\nsuccess\n" in done.stdout
    assert done.stdout.splitlines()[-2].startswith("Hello ada, this is ")
    assert done.stdout.splitlines()[-1].startswith("Hello ben, this is ")
