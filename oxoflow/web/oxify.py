"""Hold what every OxiFY route shares: who may use it, how it is refused, how bodies are read.

Each module of routes makes its blueprint here, so that no route can miss the access rule of the
design (section 10). Holds no route.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, g, request
from flask.blueprints import BlueprintSetupState
from werkzeug.routing import BaseConverter

from oxoflow.access import LOCAL_ACCOUNT, Account, Role, Via
from oxoflow.access.openness import LOOPBACK_NAMES, bound_openly, is_loopback
from oxoflow.db.accounts import find_user_named
from oxoflow.errors import InvalidInput, OxoflowError, Unavailable
from oxoflow.executions.service import Owner
from oxoflow.graph import model as m
from oxoflow.graph.jsontext import Unkeepable, parse_json
from oxoflow.graph.validate import validate
from oxoflow.openapi.contract import complaint
from oxoflow.settings import Settings
from oxoflow.web.guards import SAFE, demand, find_account
from oxoflow.web.http import error_reply, services

FORWARDED = re.compile(r"Forwarded|X-Forwarded-.*|X-Real-Ip", re.IGNORECASE)
ORIGIN = re.compile(r"https?://([^/:\[\]]+|\[[0-9a-f:]+\])(:\d+)?", re.IGNORECASE)
HOST = re.compile(r"([^:\[\]]+|\[[0-9a-f:]+\])(:\d+)?", re.IGNORECASE)
UUID_TEXT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class Refusal(OxoflowError):
    """An answer of this API that has a name of its own: `{"error": name, "message": …}`."""

    def __init__(self, status: int, name: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.name = name


class ItemConverter(BaseConverter):
    """A name in a path that is none of the fixed words which stand in the same place.

    Without it a fixed path would also answer to the methods of the item's route.
    """

    part_isolating = True
    regex = r"(?!(?:batch|import|validate|compare)\Z)[^/]+"


def _add_converter(state: BlueprintSetupState) -> None:
    state.app.url_map.converters["item"] = ItemConverter


class _Guarded(Blueprint):
    """A blueprint whose views carry the role that `admit` demands, for the contract's test."""

    def add_url_rule(
        self, rule: str, endpoint: str | None = None, view_func: Any = None,
        provide_automatic_options: bool | None = None, **options: Any,
    ) -> None:  # fmt: skip
        safe = set(options.get("methods") or ("GET",)) <= SAFE
        view_func.least_role = Role.VIEWER if safe else Role.USER
        super().add_url_rule(rule, endpoint, view_func, provide_automatic_options, **options)


def make_blueprint(name: str, public: bool = False) -> Blueprint:
    """A blueprint whose routes are guarded and refuse in two keys."""
    blueprint = (Blueprint if public else _Guarded)(name.rpartition(".")[2], name)
    blueprint.record(_add_converter)
    if not public:
        blueprint.before_request(admit)
    blueprint.register_error_handler(Refusal, _refused)
    return blueprint


def _refused(error: Refusal) -> Response:
    return error_reply(error.status, error.message, None, error.name)


# Who may use it


def admit() -> None:
    """Set `g.account` and `g.owner`, or raise Unauthorized or Forbidden."""
    credentials = any(name in request.headers for name in ("Authorization", "X-API-Key"))
    if find_account() is None and not credentials and is_open(services().settings):
        g.account = local_account()
    else:
        g.account = demand(Role.VIEWER if request.method in SAFE else Role.USER)
    g.owner = None if g.account.role is Role.ADMIN else g.account.id


def is_open(settings: Settings) -> bool:
    """Whether this request may come in without a login: a plain local one, and nothing in front.

    Any sign of a proxy or of a foreign web page closes the door, since behind it is a shell.
    """
    return bound_openly(settings) and all(
        (
            is_loopback(request.remote_addr or ""),
            _names_loopback(HOST, request.headers.get("Host", "")),
            not any(FORWARDED.fullmatch(name) for name, _ in request.headers),
            "Origin" not in request.headers
            or _names_loopback(ORIGIN, request.headers.get("Origin", "")),
        )
    )


def _names_loopback(form: re.Pattern[str], text: str) -> bool:
    found = form.fullmatch(text)
    return found is not None and found[1].strip("[]").lower() in LOOPBACK_NAMES


def local_account() -> Account:
    """The built-in account that owns what is done without a login."""
    user = find_user_named(services().db.read(), LOCAL_ACCOUNT)
    if user is None:
        raise Unavailable("The local account is missing", "restart the server", retry_after=60)
    return Account(user.id, user.username, Role.USER, via=Via.NONE)


def caller() -> Owner:
    """For whom things are made in this request."""
    return Owner(g.account.id, g.account.username)


def caller_name() -> str:
    """Who answers a question: the account, or in open mode whoever he says he is."""
    if g.account.via is not Via.NONE:
        return str(g.account.username)
    return request.headers.get("X-User", "").strip()[:200] or "anonymous"


# What comes in


def body(may_be_empty: bool = False) -> dict[str, Any]:
    """The request's JSON object, whatever its Content-Type, checked by the contract.

    Members that are null are left out: they count as absent. Raises Refusal ParseError for what is
    no JSON, InvalidInput for what does not fit.
    """
    raw = request.get_data(cache=True)
    if may_be_empty and not raw.strip():
        return {}
    try:
        value = parse_json(raw)
    except Unkeepable as error:
        raise InvalidInput("Invalid request body", str(error)) from None
    except ValueError as error:
        raise Refusal(400, "ParseError", f"The body is not JSON: {error}") from None
    assert request.url_rule is not None  # a view is running
    wrong = complaint(request.method, request.url_rule.rule, value)
    if wrong is not None:
        raise InvalidInput("Invalid request body", wrong)
    return without_nulls(value)


def without_nulls(given: dict[str, Any]) -> dict[str, Any]:
    """An object of a request without its members that are null."""
    return {name: value for name, value in given.items() if value is not None}


def uuid_of(text: Any, what: str = "id") -> str:
    """A UUID in its plain form; raises InvalidInput."""
    if not isinstance(text, str) or not UUID_TEXT.fullmatch(text):
        shown = text[:60] if isinstance(text, str) else type(text).__name__
        raise InvalidInput(f"Invalid {what}: '{shown}' is not a UUID")
    return str(uuid.UUID(text))


def graph_of(document: Any) -> m.Graph:
    """The graph of a document; raises InvalidInput with the first thing that is wrong."""
    report = validate(document)
    if report.graph is None or not report.valid:
        raise InvalidInput(report.errors[0].message)
    return report.graph


def page() -> tuple[int, int]:
    """`limit` and `offset` of the query; without a limit, -1, which is none to the database."""
    return _number("limit", -1), _number("offset", 0)


def _number(name: str, default: int) -> int:
    text = request.args.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"\d{1,10}", text, re.ASCII):
        raise InvalidInput(f"'{name}' must be a whole number from 0")
    return int(text)


def attempt(do: Callable[[], dict[str, Any]]) -> tuple[dict[str, Any] | None, str | None]:
    """One item of a batch: what it gave, or why it failed."""
    try:
        return do(), None
    except OxoflowError as error:
        return None, f"{error.message}: {error.detail}" if error.detail else error.message
