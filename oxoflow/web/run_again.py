"""Do something with what a run left: run it again, say what would run, delete its outputs."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, g
from msgspec.structs import replace

from oxoflow.db.instants import instant
from oxoflow.db.runs import NewRun, Options, Run
from oxoflow.errors import Conflict, Unavailable
from oxoflow.supervisor.launch import selection, sharing
from oxoflow.supervisor.seed import SEED_FILE, Copy
from oxoflow.supervisor.seed import order as seed_order
from oxoflow.web.deeds import deed, write_deed
from oxoflow.web.guards import role, signed_in
from oxoflow.web.http import json_body, reply, services
from oxoflow.web.launches import enqueue
from oxoflow.web.run_detail import forget
from oxoflow.web.runs import own_run
from oxoflow.web.staging import link, planned, staged
from oxoflow.web.submission import read_overrides, read_words, wrong
from oxoflow.web.waiting import may_wait
from oxoflow.workspace import WORKFLOW_FILE, read_small

MODES = ("failed", "all")
RETRY_FIELDS = {"mode": str, "max_jobs": int, "from_rule": str, "config_overrides": dict}
LARGEST_TEXT = 64 * 1024**2

blueprint = Blueprint("run_again", __name__)


@blueprint.post("/api/runs/<run_id>/retry")
@role("user")
def retry(run_id: str) -> Response:
    """Queue a new run that begins with the results of an old one, or, with mode all, without.

    `from_rule` runs that rule again whatever became of it; what hangs below follows where its
    inputs change. `config_overrides` change single values of the old run's config.
    """
    old = _over(own_run(run_id))
    body = json_body(optional=RETRY_FIELDS, may_be_empty=True)
    mode = body.get("mode") or "failed"
    if mode not in MODES:
        raise wrong("mode", f"must be {' or '.join(MODES)}")
    new_id, order = _queue_again(old, _options_again(old, body, mode), mode)
    return reply(
        {
            "run_id": new_id,
            "status": "started",
            "execution_order": order,
            "rules_total": len(order),
            "retry_of": old.id,
        }
    )


def _options_again(old: Run, body: Mapping[str, Any], mode: str) -> Options:
    """The old run's options, with what the request changes."""
    return replace(
        old.options,
        seeded=True,
        max_jobs=body.get("max_jobs") or old.options.max_jobs,
        config={**old.options.config, **read_overrides(body)},
        force=_from_rule(body),
        no_cache=old.options.no_cache or mode == "all",
    )


def _queue_again(old: Run, options: Options, mode: str) -> tuple[str, list[str]]:
    """Queue a new run of the old one's text and files; its id, and its jobs in order."""
    directory = _directory(old)
    text = _text(directory)
    copies = [Copy(str(directory), name, name) for name in old.options.files]
    new_id = str(uuid.uuid4())
    with staged(new_id, text, {}) as stage:
        link(stage.directory, copies, "the run that is repeated")
        found = planned(text, stage.directory, options)
        order: list[str] = found["order"]
        seed = seed_order(copies, directory if mode == "failed" else None)
        services().workspace.put_record(stage.directory, SEED_FILE, seed)
        new = NewRun(
            id=new_id,
            user_id=g.account.id,
            workflow_name=found["workflow_name"],
            rules_total=len(order),
            created_at=instant(),
            options=options,
            retry_of=old.id,
            tags=old.tags,
            outputs=found["outputs"],
        )
        enqueue(new, "retry_run")
        stage.keep()
    return new_id, order


@blueprint.get("/api/runs/<run_id>/plan")
@signed_in
def plan(run_id: str) -> Response:
    """Which jobs would run now, and why: the verdicts and reasons of `oxoflow plan`."""
    run = own_run(run_id)
    directory = _directory(run)
    words = ["plan", str(directory / WORKFLOW_FILE), "--workdir", str(directory)]
    words += sharing(run.options, directory, services().settings.cache_size)
    return reply(_ask(run, [*words, *selection(run.options)]))


@blueprint.post("/api/runs/<run_id>/clean")
@role("user")
def clean(run_id: str) -> Response:
    """List the outputs of a run that is over; with `dry_run` false delete them (5.11)."""
    run = _over(own_run(run_id))
    body = json_body(optional={"dry_run": bool, "targets": list}, may_be_empty=True)
    directory = _directory(run)
    words = ["clean", str(directory / WORKFLOW_FILE), "--workdir", str(directory)]
    words += selection(replace(run.options, targets=read_words(body, "targets")))
    if body.get("dry_run") is not False:
        return reply({"run_id": run.id, **_ask(run, words)})
    write_deed(deed("clean_run", run.id))
    try:
        return reply({"run_id": run.id, **_ask(run, [*words, "--force"])})
    finally:
        forget(run.id)


def _from_rule(body: Mapping[str, Any]) -> tuple[str, ...]:
    name = body.get("from_rule")
    return read_words({"from_rule": [name]}, "from_rule") if name is not None else ()


def _ask(run: Run, words: list[str]) -> Any:
    with may_wait() as patient:
        if not patient:
            raise Unavailable("Too many requests of this kind", "try again", retry_after=5)
        return services().supervisor.ask(_directory(run), words, run.options.config)


def _over(run: Run) -> Run:
    if not run.final:
        raise Conflict("Run is not over", f"it is {run.status.value}")
    return run


def _directory(run: Run) -> Path:
    return services().workspace.run_directory(run.username, run.id)


def _text(directory: Path) -> str:
    """The workflow of a run, as it stands in its directory now."""
    content = read_small(directory, WORKFLOW_FILE, LARGEST_TEXT)
    if content is not None:
        with contextlib.suppress(UnicodeDecodeError):
            return content.decode()
    raise Conflict("Run cannot be repeated", f"its '{WORKFLOW_FILE}' is gone or no text")
