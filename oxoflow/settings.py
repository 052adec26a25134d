"""Read every setting of the server once: flag, else variable, else default.

Owns the table `OPTIONS`, from which the flags, the variables, `--help` and the test against README
come; it is the only module that looks at the environment for server settings. Opens no file.
"""

from __future__ import annotations

import argparse
import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import asdict

from oxoflow.errors import SettingsError
from oxoflow.limits import DEFAULT, LIMIT_OPTIONS, Limits

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

PREFIX = "OXO_FLOW_"
ENVIRONMENT_ACCOUNTS = ("admin", "user", "viewer")  # the account names that are also their roles
IGNORED = ("OXIFY_DATABASE_URL", "OXIFY_REDIS_URL")  # said at start, never used
CLIENT_VARIABLES = frozenset({"OXO_FLOW_URL", "OXO_FLOW_SERVER", "OXO_FLOW_TOKEN"})
SIZE_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}


class Settings(Struct, frozen=True):
    """What the server was told at its start; never changes while it runs (design, section 10)."""

    host: str = "127.0.0.1"
    port: int = 8080
    base_path: str = ""  # "" or "/prefix", never with a slash at the end
    home: Path = Path("data")
    admin_password: str | None = None
    user_password: str | None = None
    viewer_password: str | None = None
    allowed_origins: tuple[str, ...] = ("http://localhost:8080", "http://127.0.0.1:8080")
    rate_limit: int = 100  # requests per window and address; 0 switches the limiter off
    rate_window: float = 60.0  # seconds
    trusted_proxies: tuple[Network, ...] = ()
    user_header: str = ""  # header in which a trusted proxy names the user; empty: never trusted
    max_body: int = 2 * 1024**2  # bytes
    max_runs: int = 2  # 0 admits none: submissions wait
    max_runs_per_user: int = 4
    max_pending_per_user: int = 50
    streams_per_user: int = 8
    max_streams: int = 2000
    graph_nodes: int = 4
    event_days: int = 30
    cache_size: int = 50 * 1024**3  # bytes of results kept for one user; 0 keeps none
    pass_env: tuple[str, ...] = ()
    data_roots: tuple[Path, ...] = ()
    allowed_hosts: tuple[str, ...] = ()  # names, addresses and networks, besides loopback
    log_level: str = "info"
    limits: Limits = DEFAULT  # of one workflow
    warnings: tuple[str, ...] = ()  # sentences to print at start

    def __repr__(self) -> str:
        hidden = dict.fromkeys((f"{name}_password" for name in ENVIRONMENT_ACCOUNTS), "...")
        return f"Settings({asdict(self) | hidden})"

    @property
    def environment_passwords(self) -> dict[str, str]:
        """Account name to password, for the accounts whose password stands in the environment."""
        found = {name: getattr(self, f"{name}_password") for name in ENVIRONMENT_ACCOUNTS}
        return {name: password for name, password in found.items() if password}

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.home / "oxoflow.db"

    @property
    def workspace(self) -> Path:
        """The directory under which every user's runs live."""
        return self.home / "workspace"


class Option(Struct, frozen=True):
    """One row of the settings table: where a value comes from and how its text is read."""

    name: str  # the variable without its prefix
    read: Callable[[str], Any]  # raises ValueError with the reason
    default: str  # as --help and README show it
    help: str
    flags: tuple[str, ...] = ()  # beyond the one made from the name
    fallback: str | None = None  # a variable that is read when ours is unset
    secret: bool = False  # no flag: other users could see it in the process list

    @property
    def field(self) -> str:
        """The attribute of `Settings`."""
        return self.name.lower()

    @property
    def variable(self) -> str:
        """The full name in the environment."""
        return PREFIX + self.name

    @property
    def all_flags(self) -> tuple[str, ...]:
        """Every spelling on the command line; none for secrets."""
        return () if self.secret else ("--" + self.name.lower().replace("_", "-"), *self.flags)


def _host(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._:%*\[\]-]+", text):
        raise ValueError("is not a host name or address")
    return text.strip("[]")


def _whole(low: int, high: int | None = None) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"[+-]?\d{1,18}", text, re.ASCII):
            raise ValueError("is not a whole number")
        number = int(text)
        if number < low or (high is not None and number > high):
            raise ValueError(f"must be {low} " + ("or more" if high is None else f"to {high}"))
        return number

    return read


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,6})?)\s*s?", text, re.ASCII)
    if match is None or float(match[1]) <= 0:
        raise ValueError("is not a number of seconds above 0")
    return float(match[1])


def _size(text: str) -> int:
    match = re.fullmatch(r"(\d{1,12})\s*(|[kmg])(?:i?b)?", text.lower(), re.ASCII)
    if match is None or int(match[1]) < 1:
        raise ValueError("is not a size; write bytes or for example 2M")
    return int(match[1]) * SIZE_UNITS[match[2]]


def _size_or_none(text: str) -> int:
    return 0 if text.strip() == "0" else _size(text)


def _base_path(text: str) -> str:
    trimmed = text.strip("/")
    if not trimmed:
        return ""
    if not re.fullmatch(r"[\w~-][\w.~-]*(/[\w~-][\w.~-]*)*", trimmed, re.ASCII):
        raise ValueError("is not a path prefix such as /oxo-flow")
    return "/" + trimmed


def _home(text: str) -> Path:
    if "\0" in text:
        raise ValueError("is not a path")
    return Path(text).expanduser().absolute()


def _words(text: str) -> list[str]:
    return [word for word in (part.strip() for part in text.split(",")) if word]


def _origins(text: str) -> tuple[str, ...]:
    for origin in _words(text):
        parts = urlsplit(origin)
        exact = f"{parts.scheme}://{parts.netloc}" == origin
        if parts.scheme not in ("http", "https") or not parts.hostname or not exact:
            raise ValueError(f"holds '{origin}', which is no origin such as https://lab.example")
    return tuple(_words(text))


def _networks(text: str) -> tuple[Network, ...]:
    found = []
    for word in _words(text):
        try:
            found.append(ipaddress.ip_network(word, strict=False))
        except ValueError:
            raise ValueError(f"holds '{word}', which is no address or network") from None
    return tuple(found)


def _names(text: str) -> tuple[str, ...]:
    for word in _words(text):
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", word):
            raise ValueError(f"holds '{word}', which is no variable name")
        if word.startswith(PREFIX):
            raise ValueError(f"holds '{word}': no {PREFIX}* variable is ever passed to a rule")
    return tuple(_words(text))


def _directories(text: str) -> tuple[Path, ...]:
    for word in _words(text):
        if not word.startswith("/"):
            raise ValueError(f"holds '{word}', which is no absolute path")
    return tuple(Path(word) for word in _words(text))


def _hosts(text: str) -> tuple[str, ...]:
    for word in _words(text):
        if not re.fullmatch(r"(\*\.)?[A-Za-z0-9_-][A-Za-z0-9_.-]*|[0-9A-Fa-f:.]+(/\d{1,3})?", word):
            raise ValueError(f"holds '{word}', which is no host name, address or network")
    return tuple(_words(text))


def _header(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", text):
        raise ValueError("is not a header name")
    return text


def _level(text: str) -> str:
    if text.lower() not in ("debug", "info", "warning", "error"):
        raise ValueError("must be debug, info, warning or error")
    return text.lower()


def _password(text: str) -> str:
    if len(text) > 1024:
        raise ValueError("is longer than 1024 characters")
    return text


_LIMITS = tuple(
    Option(each.name, _size if each.is_size else _whole(1), each.default, each.help)
    for each in LIMIT_OPTIONS
)
OPTIONS: tuple[Option, ...] = (
    Option("HOST", _host, "127.0.0.1", "address to listen on", fallback="OXIFY_HOST"),
    Option(
        "PORT", _whole(0, 65535), "8080", "port to listen on; 0 takes a free one",
        flags=("-p",), fallback="OXIFY_PORT",
    ),
    Option("BASE_PATH", _base_path, "empty", "prefix below which every route lives"),
    Option("HOME", _home, "./data", "directory of the database and the workspace"),
    Option("ADMIN_PASSWORD", _password, "unset", "password of the account admin", secret=True),
    Option("USER_PASSWORD", _password, "unset", "password of the account user", secret=True),
    Option("VIEWER_PASSWORD", _password, "unset", "password of the account viewer", secret=True),
    Option(
        "ALLOWED_ORIGINS", _origins, "localhost and 127.0.0.1, at 8080 and at our port",
        "origins of web pages that may call the API, separated by commas",
    ),
    Option("RATE_LIMIT", _whole(0), "100", "requests per window and address; 0 is off"),
    Option("RATE_WINDOW", _seconds, "60", "length of the window in seconds"),
    Option(
        "TRUSTED_PROXIES", _networks, "empty",
        "addresses or networks of proxies whose forwarded headers count, separated by commas",
    ),
    Option(
        "USER_HEADER", _header, "empty",
        "header in which a trusted proxy names the logged-in user",
    ),
    Option("MAX_BODY", _size, "2 MiB", "largest JSON body"),
    Option("MAX_RUNS", _whole(0), "max(2, cores)", "runs at a time; 0 lets all wait"),
    Option("MAX_RUNS_PER_USER", _whole(1), "4", "runs at a time for one user"),
    Option("MAX_PENDING_PER_USER", _whole(0), "50", "waiting runs of one user"),
    Option("STREAMS_PER_USER", _whole(0), "8", "event streams of one user; beyond that 429"),
    Option("MAX_STREAMS", _whole(1), "2000", "event streams together; beyond that 503"),
    Option("GRAPH_NODES", _whole(1, 1000), "4", "nodes of one graph that work at a time"),
    Option("EVENT_DAYS", _whole(1), "30", "days for which events can be replayed"),
    Option(
        "CACHE_SIZE", _size_or_none, "50 GiB",
        "results kept for a user's later runs; 0 keeps none",
    ),
    Option(
        "PASS_ENV", _names, "empty",
        "further variables that rules may see, separated by commas",
    ),
    Option(
        "DATA_ROOTS", _directories, "empty",
        "absolute directories that runs may read, separated by commas",
    ),
    Option(
        "ALLOWED_HOSTS", _hosts, "empty",
        "hosts, addresses and networks that graphs may call besides loopback, separated by commas",
    ),
    Option(
        "LOG_LEVEL", _level, "info", "debug, info, warning or error", fallback="OXIFY_LOG_LEVEL",
    ),
    *_LIMITS,
)  # fmt: skip


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Give the parser one flag per option; values stay text until `resolve` reads them."""
    for option in OPTIONS:
        if option.all_flags:
            parser.add_argument(
                *option.all_flags,
                dest=option.field,
                metavar=option.name,
                help=f"{option.help} ({option.variable}; default {option.default})".replace(
                    "%", "%%"
                ),
            )


def variables_help() -> str:
    """Name the settings that have no flag, for the end of `--help`."""
    lines = [
        f"  {option.variable:<26} {option.help} (default {option.default})"
        for option in OPTIONS
        if option.secret
    ]
    return "variables without a flag:\n" + "\n".join(lines)


def _read(option: Option, text: str, source: str) -> Any:
    try:
        return option.read(text.strip() if not option.secret else text)
    except ValueError as error:
        shown = "" if option.secret else f" '{text}'"
        raise SettingsError(f"{source}{shown} {error}") from None


def _source(
    option: Option, flags: Mapping[str, str | None], environ: Mapping[str, str]
) -> tuple[str, str] | None:
    """Find an option's text and where it stands; an empty variable counts as unset."""
    given = flags.get(option.field)
    if given is not None:
        return given, option.all_flags[0]
    for variable in (option.variable, option.fallback):
        if variable and environ.get(variable):
            return environ[variable], variable
    return None


def resolve(flags: Mapping[str, str | None], environ: Mapping[str, str]) -> Settings:
    """Make the settings from given flags and variables; raise SettingsError naming the bad one."""
    found: dict[str, Any] = {
        "home": _home("./data"),
        "max_runs": max(2, os.cpu_count() or 2),
        "warnings": tuple(_warnings(environ)),
    }
    for option in OPTIONS:
        source = _source(option, flags, environ)
        if source is not None and option not in _LIMITS:
            found[option.field] = _read(option, *source)
    found["limits"] = _limits(flags, environ)
    port = found.get("port", 8080)
    found.setdefault("allowed_origins", default_origins(port))
    if found.get("user_header") and not found.get("trusted_proxies"):
        raise SettingsError(
            f"{PREFIX}USER_HEADER is set but {PREFIX}TRUSTED_PROXIES is empty: "
            "name the proxy that sets the header"
        )
    return Settings(**found)


def _limits(flags: Mapping[str, str | None], environ: Mapping[str, str]) -> Limits:
    """Read what one workflow may ask; what is not given keeps its default."""
    found = {}
    for each, option in zip(LIMIT_OPTIONS, _LIMITS, strict=True):
        source = _source(option, flags, environ)
        if source is not None:
            found[each.field] = _read(option, *source)
    return Limits(**found)


def limit_variables(limits: Limits) -> dict[str, str]:
    """The limits that are not the default, as variables for a process that is to keep them too."""
    chosen = {PREFIX + each.name: getattr(limits, each.field) for each in LIMIT_OPTIONS}
    usual = {PREFIX + each.name: getattr(DEFAULT, each.field) for each in LIMIT_OPTIONS}
    return {name: str(number) for name, number in chosen.items() if number != usual[name]}


def default_origins(port: int) -> tuple[str, ...]:
    """Localhost under both its names, at 8080 and at the port in use."""
    return tuple(
        f"http://{name}:{number}"
        for number in dict.fromkeys((8080, port))
        for name in ("localhost", "127.0.0.1")
    )


def _warnings(environ: Mapping[str, str]) -> list[str]:
    known = {option.variable for option in OPTIONS} | CLIENT_VARIABLES
    strange = sorted(name for name in environ if name.startswith(PREFIX) and name not in known)
    return [f"{name} is not a setting of this server and is ignored" for name in strange] + [
        f"{name} is ignored: this server keeps its data in SQLite below its home"
        for name in IGNORED
        if environ.get(name)
    ]


def load(flags: Mapping[str, str | None]) -> Settings:
    """Make the settings from flags and this process's environment."""
    return resolve(flags, os.environ)


def load_limits() -> Limits:
    """Make the limits from this process's environment, for the command line."""
    return _limits({}, os.environ)
