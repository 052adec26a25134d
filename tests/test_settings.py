"""Settings: flag before variable before default, and a malformed one names itself."""

import argparse
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import fields, replace

from oxoflow.errors import SettingsError
from oxoflow.limits import LIMIT_OPTIONS, LimitOption, Limits
from oxoflow.settings import (
    OPTIONS,
    Settings,
    add_flags,
    limit_variables,
    load_limits,
    resolve,
    variables_help,
)

READ = [
    ("HOST", "0.0.0.0", "host", "0.0.0.0"),
    ("HOST", "[::1]", "host", "::1"),
    ("PORT", "9000", "port", 9000),
    ("BASE_PATH", "oxo-flow/", "base_path", "/oxo-flow"),
    ("BASE_PATH", "/", "base_path", ""),
    ("BASE_PATH", "/a/b", "base_path", "/a/b"),
    ("HOME", "/srv/oxo", "home", Path("/srv/oxo")),
    ("ADMIN_PASSWORD", " with blanks ", "admin_password", " with blanks "),
    ("USER_PASSWORD", "u", "user_password", "u"),
    ("VIEWER_PASSWORD", "v", "viewer_password", "v"),
    (
        "ALLOWED_ORIGINS", "https://a.example, http://b:1",
        "allowed_origins", ("https://a.example", "http://b:1"),
    ),
    ("RATE_LIMIT", "0", "rate_limit", 0),
    ("RATE_WINDOW", "1.5", "rate_window", 1.5),
    ("TRUSTED_PROXIES", "10.0.0.0/8", "trusted_proxies", (ip_network("10.0.0.0/8"),)),
    ("MAX_BODY", "3M", "max_body", 3 * 1024**2),
    ("MAX_BODY", "4096", "max_body", 4096),
    ("MAX_BODY", "1 GiB", "max_body", 1024**3),
    ("MAX_RUNS", "0", "max_runs", 0),
    ("MAX_RUNS_PER_USER", "9", "max_runs_per_user", 9),
    ("MAX_PENDING_PER_USER", "9", "max_pending_per_user", 9),
    ("STREAMS_PER_USER", "9", "streams_per_user", 9),
    ("MAX_STREAMS", "9", "max_streams", 9),
    ("GRAPH_NODES", "9", "graph_nodes", 9),
    ("EVENT_DAYS", "9", "event_days", 9),
    ("CACHE_SIZE", "10G", "cache_size", 10 * 1024**3),
    ("CACHE_SIZE", "0", "cache_size", 0),
    ("PASS_ENV", "A, B_1", "pass_env", ("A", "B_1")),
    ("DATA_ROOTS", "/data,/ref", "data_roots", (Path("/data"), Path("/ref"))),
    ("LOG_LEVEL", "DEBUG", "log_level", "debug"),
]  # fmt: skip

MALFORMED = [
    ("HOST", "a b"),
    ("PORT", "http"),
    ("PORT", "65536"),
    ("PORT", "-1"),
    ("PORT", "٨٠"),
    ("BASE_PATH", "/a//b"),
    ("BASE_PATH", "/../x"),
    ("BASE_PATH", "/a b"),
    ("HOME", "a\0b"),
    ("ALLOWED_ORIGINS", "*"),
    ("ALLOWED_ORIGINS", "https://a.example/path"),
    ("ALLOWED_ORIGINS", "a.example"),
    ("RATE_LIMIT", "many"),
    ("RATE_LIMIT", "-1"),
    ("RATE_WINDOW", "0"),
    ("RATE_WINDOW", "nan"),
    ("TRUSTED_PROXIES", "10.0.0.0/8, proxy"),
    ("USER_HEADER", "X User"),
    ("MAX_BODY", "2 megabytes"),
    ("MAX_BODY", "0"),
    ("MAX_RUNS", "1.5"),
    ("MAX_RUNS_PER_USER", "0"),
    ("STREAMS_PER_USER", "-1"),
    ("MAX_STREAMS", ""  "x"),
    ("EVENT_DAYS", "0"),
    ("GRAPH_NODES", "0"),
    ("CACHE_SIZE", "-1"),
    ("PASS_ENV", "A-B"),
    ("PASS_ENV", "OXO_FLOW_ADMIN_PASSWORD"),
    ("DATA_ROOTS", "relative"),
    ("LOG_LEVEL", "loud"),
    ("LIMIT_JOBS", "0"),
    ("LIMIT_TEXT", "much"),
    ("ADMIN_PASSWORD", "x" * 1025),
]  # fmt: skip


def parsed(*argv: str) -> dict[str, Any]:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_flags(parser)
    return vars(parser.parse_args(argv))


@pytest.mark.parametrize(("name", "text", "field", "value"), READ)
def test_a_variable_sets_its_field(name: str, text: str, field: str, value: object) -> None:
    assert getattr(resolve({}, {f"OXO_FLOW_{name}": text}), field) == value


@pytest.mark.parametrize(("name", "text", "field", "value"), READ)
def test_a_flag_beats_the_variable_and_no_password_has_one(
    name: str, text: str, field: str, value: object
) -> None:
    option = next(option for option in OPTIONS if option.name == name)
    assert bool(option.all_flags) == (not name.endswith("PASSWORD"))
    if option.all_flags:
        found = resolve(parsed(option.all_flags[0], text), {f"OXO_FLOW_{name}": "§ malformed"})
        assert getattr(found, field) == value


@pytest.mark.parametrize(("name", "text"), MALFORMED)
def test_a_malformed_value_is_refused_by_its_name(name: str, text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        resolve({}, {f"OXO_FLOW_{name}": text})
    message = str(caught.value)
    assert message.startswith(f"OXO_FLOW_{name}")
    assert "\n" not in message
    assert (text in message) != name.endswith("PASSWORD")


def test_a_malformed_flag_is_refused_by_the_flag() -> None:
    with pytest.raises(SettingsError, match=r"^--port 'x' is not a whole number"):
        resolve(parsed("-p", "x"), {})


def test_without_anything_the_defaults_hold() -> None:
    found = resolve({}, {})
    assert (found.host, found.port, found.base_path) == ("127.0.0.1", 8080, "")
    assert found.home == Path.cwd() / "data"
    assert (found.rate_limit, found.rate_window) == (100, 60.0)
    assert found.max_body == 2 * 1024**2
    assert found.max_runs >= 2
    assert (found.max_runs_per_user, found.max_pending_per_user) == (4, 50)
    assert (found.streams_per_user, found.max_streams, found.event_days) == (8, 2000, 30)
    assert found.environment_passwords == {}
    assert found.warnings == ()
    assert found.database == found.home / "oxoflow.db"


def test_an_empty_variable_counts_as_unset() -> None:
    assert resolve({}, {"OXO_FLOW_PORT": "", "OXO_FLOW_ADMIN_PASSWORD": ""}) == resolve({}, {})


def test_the_default_origins_know_our_port() -> None:
    assert resolve({}, {"OXO_FLOW_PORT": "9000"}).allowed_origins == (
        "http://localhost:8080",
        "http://127.0.0.1:8080",
        "http://localhost:9000",
        "http://127.0.0.1:9000",
    )
    assert len(resolve({}, {}).allowed_origins) == 2


def test_oxify_variables_are_taken_when_ours_are_unset() -> None:
    theirs = {"OXIFY_HOST": "::1", "OXIFY_PORT": "81", "OXIFY_LOG_LEVEL": "error"}
    found = resolve({}, theirs)
    assert (found.host, found.port, found.log_level) == ("::1", 81, "error")
    assert resolve({}, theirs | {"OXO_FLOW_PORT": "82"}).port == 82
    with pytest.raises(SettingsError, match=r"^OXIFY_PORT "):
        resolve({}, {"OXIFY_PORT": "x"})


@pytest.mark.parametrize(
    "name", ["OXIFY_DATABASE_URL", "OXIFY_REDIS_URL", "OXO_FLOW_DB", "OXO_FLOW_RATELIMIT"]
)
def test_a_variable_that_does_nothing_is_said_to(name: str) -> None:
    found = resolve({}, {name: "x"})
    assert len(found.warnings) == 1
    assert found.warnings[0].startswith(name)


def test_a_trusted_user_header_needs_a_trusted_proxy() -> None:
    with pytest.raises(SettingsError, match="TRUSTED_PROXIES is empty"):
        resolve({}, {"OXO_FLOW_USER_HEADER": "X-Remote-User"})
    both = {"OXO_FLOW_USER_HEADER": "X-Remote-User", "OXO_FLOW_TRUSTED_PROXIES": "127.0.0.1"}
    assert resolve({}, both).user_header == "X-Remote-User"


def test_passwords_are_not_shown_with_the_settings() -> None:
    assert "hunter2" not in repr(resolve({}, {"OXO_FLOW_ADMIN_PASSWORD": "hunter2"}))


def test_help_names_every_flag_variable_and_default() -> None:
    parser = argparse.ArgumentParser(epilog=variables_help())
    add_flags(parser)
    shown = " ".join(parser.format_help().split())
    for option in OPTIONS:
        assert option.variable in shown
        assert f"default {option.default}" in shown
        assert all(flag in shown for flag in option.all_flags)


def test_every_option_is_a_field_and_the_reverse() -> None:
    names = set(Settings.__struct_fields__) - {"warnings", "limits"}
    names |= {f"limit_{item.name}" for item in fields(Limits)}
    assert {option.field for option in OPTIONS} == names


@pytest.mark.parametrize("each", LIMIT_OPTIONS)
def test_a_limit_is_set_by_flag_or_variable_and_handed_on(
    each: LimitOption, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = resolve({}, {f"OXO_FLOW_{each.name}": "7"})
    assert found.limits == replace(Limits(), **{each.field: 7})
    flag = f"--limit-{each.field.replace('_', '-')}"
    assert resolve(parsed(flag, "7"), {}).limits == found.limits
    assert limit_variables(found.limits) == {f"OXO_FLOW_{each.name}": "7"}
    assert limit_variables(Limits()) == {}
    monkeypatch.setenv(f"OXO_FLOW_{each.name}", "7")
    assert load_limits() == found.limits


def test_the_defaults_of_limits_are_told_as_they_are() -> None:
    told = resolve({}, {f"OXO_FLOW_{each.name}": each.default for each in LIMIT_OPTIONS})
    assert told.limits == Limits()
