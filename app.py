"""Wire the server together and start it: `python app.py [serve] [flags]`, `--help` for all.

The only module that knows every part. Holds no rule of its own beyond the order of start and stop.
"""

from __future__ import annotations

import argparse
import ctypes
import getpass
import logging
import os
import signal
import sqlite3
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from flask import Flask
from waitress.server import MultiSocketServer

from oxoflow import __version__
from oxoflow.access import Access, RateLimiter, RateLimiterConfig
from oxoflow.access.accounts import PASSWORD_FILE, seed, store_password
from oxoflow.access.openness import impersonation, openness
from oxoflow.db import Database
from oxoflow.db.accounts import find_user_named
from oxoflow.db.audit import Deed, append_deed, is_hash, verify_file
from oxoflow.db.home import Home, open_database
from oxoflow.db.instants import instant
from oxoflow.errors import OxoflowError, UsageError
from oxoflow.executions.attending import Attendant
from oxoflow.executions.kind import execution_kind
from oxoflow.executions.service import Executions
from oxoflow.settings import Settings, add_flags, load, variables_help
from oxoflow.supervisor import Supervisor
from oxoflow.supervisor.descriptors import LIMIT
from oxoflow.web import (
    audit,
    auth,
    bundles,
    compression,
    contract,
    http,
    keys,
    launches,
    library,
    limits,
    oxify_auth,
    oxify_executions,
    oxify_graphs,
    oxify_meta,
    oxify_people,
    oxify_servers,
    oxify_stream,
    oxify_transfer,
    oxify_trial,
    oxify_vectors,
    oxify_versions,
    pages,
    prefix,
    probes,
    prometheus,
    quota,
    reports,
    revisions,
    run_again,
    run_control,
    run_detail,
    run_files,
    run_logs,
    run_report,
    runs,
    socket,
    sse,
    system,
    templates,
    uploads,
    users,
    verbs,
)
from oxoflow.web.envelope import Envelope
from oxoflow.web.handover import Server, build_server, stop_server
from oxoflow.web.housekeeping import Housekeeper
from oxoflow.web.hub import StreamHub
from oxoflow.web.matching import MatchedRule
from oxoflow.web.services import Services
from oxoflow.web.textworkers import TextWorkers
from oxoflow.workspace import Workspace

SWITCH_INTERVAL = 0.0005  # seconds; Python's own lets many connections starve each other
LARGEST_REQUEST = 272 * 1024**2  # bytes waitress takes before it asks us: a piece of an upload
PR_SET_DUMPABLE = 4
PARTS = (
    *(pages, contract, system, prometheus, probes, auth, keys, users, audit, quota),
    *(verbs, reports, library, bundles, revisions, templates),
    *(launches, runs, run_detail, run_control, run_again, run_files, run_logs, uploads),
    *(run_report, sse, socket),
    *(oxify_meta, oxify_auth, oxify_transfer, oxify_graphs, oxify_versions, oxify_executions),
    *(oxify_stream, oxify_people, oxify_trial, oxify_vectors, oxify_servers),
)

log = logging.getLogger("oxoflow")


class Application(Flask):
    """Flask with rules that are compiled for matching only."""

    url_rule_class = MatchedRule

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Every view and hook of ours is a plain function: do not look again at each request."""
        return func


def create_app(services: Services) -> Flask:
    """The WSGI application over the given parts; starts no thread and opens no file."""
    app = Application("oxoflow.web", static_folder="static", template_folder="templates")
    app.extensions["oxoflow"] = services
    app.config["MAX_CONTENT_LENGTH"] = services.settings.max_body
    app.url_map.merge_slashes = False
    app.wsgi_app = Envelope(app.wsgi_app, services.settings, services.traffic)  # type: ignore[method-assign]
    if services.settings.base_path:
        prefix.register(app, services.settings.base_path)
    limits.register(app)
    http.register(app)
    compression.register(app)
    for part in PARTS:
        app.register_blueprint(part.blueprint)
    return app


def build_services(settings: Settings, db: Database) -> Services:
    """Make the parts of the server, none of them running yet."""
    config = RateLimiterConfig(settings.rate_limit, settings.rate_window)
    workspace = Workspace(settings.workspace)
    streams = StreamHub(db, settings.streams_per_user, settings.max_streams)
    attendant = Attendant(db, workspace)

    def poke() -> None:
        streams.poke()
        attendant.poke()

    supervisor = Supervisor(db, workspace, settings, poke, kinds=execution_kind(os.environ))
    return Services(
        settings=settings,
        db=db,
        access=Access(db, settings),
        limiter=RateLimiter(config) if settings.rate_limit else None,
        workspace=workspace,
        supervisor=supervisor,
        streams=streams,
        texts=TextWorkers(limits=settings.limits),
        executions=Executions(db, workspace, settings, supervisor),
        attendant=attendant,
    )


def listen(app: Flask, settings: Settings) -> Server:
    """Bind the address; raises UsageError with one sentence when that is impossible."""
    try:
        return build_server(
            app, host=settings.host, port=settings.port, max_request_body_size=LARGEST_REQUEST
        )
    except (OSError, ValueError) as error:  # ValueError: a name that cannot be looked up
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"cannot listen on {settings.host} port {settings.port} ({reason}): "
            "choose another with --host or --port"
        ) from None


def serve(settings: Settings) -> int:
    """Run the server until SIGTERM or SIGINT; runs go on without it."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    hide_memory()
    LIMIT.raise_it()
    told = catch_signals()
    home = Home(settings.home)
    db = open_database(settings.home)
    try:
        services = build_services(settings, db)
        server = listen(create_app(services), settings)
        generated = seed(db, settings)
        housekeeper = Housekeeper(services)
        services.start()
        housekeeper.start()
        greet(settings, server, db, generated)
        run_until_told(server, told)
        housekeeper.stop()
        services.stop()
    finally:
        db.close()
        home.release()
    return 0


def catch_signals() -> threading.Event:
    """Set the returned event on SIGTERM or SIGINT; a second signal ends the process at once."""
    told = threading.Event()

    def stop(number: int, frame: Any) -> None:
        if told.is_set():
            os._exit(128 + number)
        told.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    return told


def run_until_told(server: Server, told: threading.Event) -> None:
    """Serve in this thread; a second one ends it, so that no signal handler takes a lock."""

    def wait() -> None:
        told.wait()
        stop_server(server)

    threading.Thread(target=wait, name="stopper", daemon=True).start()
    server.run()


def hide_memory() -> None:
    """Keep this process's memory and environment from other processes of the same account."""
    try:
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    except (OSError, AttributeError):
        log.warning("prctl is not available: other processes of this account can read our memory")


def address_of(settings: Settings, server: Server) -> str:
    """The URL to open, with the port that was really taken."""
    bound: Any = server
    several = isinstance(server, MultiSocketServer)  # a name that stands for two addresses
    port = bound.effective_listen[0][1] if several else bound.effective_port
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{port}{settings.base_path}/"


def greet(settings: Settings, server: Server, db: Database, generated: str | None) -> None:
    """Say on the terminal where we are, who can log in, and what is not protected."""
    lines = [f"oxoflow {__version__} listens on {address_of(settings, server)}"]
    lines += [f"warning: {sentence}" for sentence in settings.warnings]
    lines += [
        f"warning: the data root {root} is no directory: until it is there, no run can read it"
        for root in settings.data_roots
        if not root.is_dir()
    ]
    lines.append(password_line(settings, db, generated))
    lines.append(openness(settings))
    if claim := impersonation(settings):
        lines.append(f"warning: {claim}")
    if os.geteuid() == 0:
        lines.append(
            "warning: running as root: workflows run as root too, and can read and change "
            "everything on this machine"
        )
    print("\n".join(lines), flush=True)


def password_line(settings: Settings, db: Database, generated: str | None) -> str:
    """How one logs in as admin."""
    if generated:
        return (
            f"log in as admin with the password {generated} "
            f"(also in {settings.home / PASSWORD_FILE})"
        )
    if settings.admin_password:
        return "log in as admin with the password in OXO_FLOW_ADMIN_PASSWORD"
    admin = find_user_named(db.read(), "admin")
    if admin and admin.password_hash:
        return "log in as admin with its stored password (change it: app.py password admin)"
    return "admin has no password: set OXO_FLOW_ADMIN_PASSWORD, or run app.py password admin"


def set_password(settings: Settings, username: str) -> int:
    """Ask for a new password of an existing account and store its hash."""
    home = Home(settings.home)
    db = open_database(settings.home)
    try:
        store_password(db, settings.home, username, _ask_password(username))
        what, now = Deed("set_password", username, detail="app.py password"), instant()
        db.write(lambda connection: append_deed(connection, what, now))
    finally:
        db.close()
        home.release()
    print(f"the password of {username} is set; its sessions are ended")
    return 0


def verify_audit(settings: Settings, noted: str | None) -> int:
    """Say whether the audit log is whole and still has a noted hash; exit code 1 when not."""
    if noted is not None and not is_hash(noted):
        raise UsageError(f"'{noted}' is no hash: audit-verify takes 64 hexadecimal digits")
    try:
        found = verify_file(settings.database, noted)
    except sqlite3.Error as error:
        raise UsageError(f"the database {settings.database} cannot be read: {error}") from None
    if found.broken_at is not None:
        print(f"the audit log is broken: row {found.broken_at} is missing or was changed")
        return 1
    if not found.intact:
        print(f"the audit log was cut off or replaced: no row has the noted hash {noted}")
        return 1
    print(f"the audit log is whole: {found.rows} rows, the last hash is {found.last_hash}")
    return 0


def _ask_password(username: str) -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password = getpass.getpass(f"new password for {username}: ")
    if password != getpass.getpass("once more: "):
        raise UsageError("the two passwords differ: nothing was changed")
    return password


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are one sentence."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; --help lists every flag")


def make_parser() -> Parser:
    """The command line, its flags made from the settings table."""
    parser = Parser(
        prog="app.py",
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Serve oxoflow, or do one thing to its home while it is stopped.\n\n"
        "  app.py [serve]          serve until SIGTERM or SIGINT\n"
        "  app.py password NAME    set a stored password (asked for, or one line on stdin)\n"
        "  app.py audit-verify     check that the audit log was not changed; with a hash that\n"
        "                          was noted earlier, that it still has that row too",
        epilog=variables_help(),
    )
    parser.add_argument("--version", action="version", version=f"oxoflow {__version__}")
    parser.add_argument("command", nargs="?", default="serve", help=argparse.SUPPRESS)
    parser.add_argument("name", nargs="?", help=argparse.SUPPRESS)
    add_flags(parser)
    return parser


def run_command(argv: Sequence[str]) -> int:
    """Do what the command line says."""
    given = vars(make_parser().parse_intermixed_args(argv))
    command, name = given.pop("command"), given.pop("name")
    settings = load(given)
    logging.basicConfig(
        level=settings.log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    # waitress warns of every request that waits for a thread: a busy minute would fill the disk.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    if command == "password":
        if not name:
            raise UsageError("password needs the name of an account: app.py password admin")
        return set_password(settings, name)
    if command == "audit-verify":
        return verify_audit(settings, name)
    if command != "serve" or name:
        raise UsageError(f"unknown command '{name or command}'; --help lists every command")
    return serve(settings)


def main(argv: Sequence[str] | None = None) -> int:
    """Run, and end with one sentence instead of a traceback when something is wrong."""
    try:
        return run_command(sys.argv[1:] if argv is None else argv)
    except UsageError as error:
        print(f"app.py: {error}", file=sys.stderr)
    except OxoflowError as error:
        print(f"app.py: {error}" + (f": {error.detail}" if error.detail else ""), file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
