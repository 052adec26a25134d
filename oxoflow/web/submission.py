"""Read what a submission asks for, and check every field before anything is made.

Owns the fields of `POST /api/workflows/run` beyond the text (spec/oxo-flow-api.md 1.5) and their
limits. Makes nothing and starts nothing.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from flask import request
from msgspec import Struct, field

from oxoflow.db.runs import Options
from oxoflow.errors import InvalidInput
from oxoflow.lang.values import config_text
from oxoflow.web.http import Unprocessable, json_body
from oxoflow.web.verbs import MOST_JOBS, run_config
from oxoflow.workspace import EXECUTION_LOG, WORKFLOW_FILE, checked_path

MOST_FILES = 1000
MOST_WORDS = 1000  # targets or samples
LONGEST_WORD = 1000
LARGEST_CONFIG = 64 * 1024  # characters of all overrides together
MOST_TAGS, LONGEST_TAG = 20, 64
LONGEST_KEY = 200
CONFIG_KEY = re.compile(r"\w[\w.-]{0,199}")
FIELDS: Mapping[str, type] = {
    "toml_content": str, "workflow_id": str, "config": dict, "max_jobs": int, "keep_going": bool,
    "targets": list, "samples": list, "config_overrides": dict, "files": dict, "uploads": dict,
    "tags": list, "idempotency_key": str, "no_cache": bool, "dry_run": bool,
}  # fmt: skip


class Submission(Struct, frozen=True):
    """A checked request for a run. Exactly one of `text` and `workflow_id` is set."""

    text: str | None
    workflow_id: str | None
    options: Options
    dry_run: bool
    files: Mapping[str, bytes] = field(default_factory=dict)
    uploads: Mapping[str, str] = field(default_factory=dict)  # path in the run to upload's name
    tags: tuple[str, ...] = ()
    key: str | None = None
    settings: tuple[str, ...] = ()  # members of `config` that mean nothing to us
    digest: str = ""  # of the whole request: the same key must mean the same request


def read_submission() -> Submission:
    """The body of this request; raises Unprocessable naming the first wrong field."""
    body = json_body(optional=FIELDS)
    text, workflow_id = body.get("toml_content"), body.get("workflow_id")
    if (text is None) == (workflow_id is None):
        named = "is missing" if text is None else "and 'workflow_id' exclude each other"
        raise wrong("toml_content", named)
    config = run_config(body.get("config") or {})
    jobs = _first(body.get("max_jobs"), config["max_jobs"])
    if jobs is not None and not 1 <= jobs <= MOST_JOBS:
        raise wrong("max_jobs", f"must be 1 to {MOST_JOBS}")
    files = _files(body.get("files") or {})
    uploads = _uploads(body.get("uploads") or {})
    check_tree([*files, *uploads])
    return Submission(
        text=text,
        workflow_id=workflow_id,
        options=Options(
            max_jobs=jobs,
            keep_going=_first(body.get("keep_going"), config["keep_going"]),
            targets=read_words(body, "targets"),
            samples=read_words(body, "samples"),
            config=read_overrides(body),
            no_cache=bool(body.get("no_cache")),
        ),
        dry_run=bool(_first(body.get("dry_run"), config["dry_run"])),
        files=files,
        uploads=uploads,
        tags=read_tags(body.get("tags") or []),
        key=_key(body),
        settings=tuple(name for name in body.get("config") or {} if name not in config),
        digest=_digest(body),
    )


def wrong(name: str, fact: str) -> Unprocessable:
    """The error for a field that is not as it must be."""
    return Unprocessable("Invalid request body", f"the field '{name}' {fact}")


def check_tree(paths: list[str]) -> None:
    """Refuse paths of which one would be a directory and a file at the same time."""
    taken = set(paths)
    for path in paths:
        for parent in PurePosixPath(path).parents:
            if str(parent) in taken:
                raise wrong("files", f"names '{parent}' as a file and as a directory")
    if len(taken) < len(paths):
        raise wrong("files", "and 'uploads' name the same path")


def read_tags(tags: list[Any]) -> tuple[str, ...]:
    """Words for one's own order, each once."""
    good = all(
        isinstance(tag, str) and tag.isprintable() and 0 < len(tag.strip()) <= LONGEST_TAG
        for tag in tags
    )
    if not good or len(tags) > MOST_TAGS:
        raise wrong("tags", f"must be at most {MOST_TAGS} words of 1 to {LONGEST_TAG} characters")
    return tuple(dict.fromkeys(tag.strip() for tag in tags))


def file_path(field_name: str, name: str) -> str:
    """Where a submitted file goes; raises Unprocessable for a path that leads elsewhere."""
    try:
        path = str(checked_path(name))
    except InvalidInput as error:
        raise wrong(field_name, f"holds a path that cannot be: {error.detail}") from None
    if path in (WORKFLOW_FILE, EXECUTION_LOG):
        raise wrong(field_name, f"names '{path}', which the run writes itself")
    return path


def _files(files: dict[str, Any]) -> dict[str, bytes]:
    if len(files) > MOST_FILES:
        raise wrong("files", f"holds more than {MOST_FILES} files: upload an archive instead")
    for name, text in files.items():
        if not isinstance(text, str):
            raise wrong("files", f"must hold texts; '{name[:100]}' is none")
    return {file_path("files", name): text.encode() for name, text in files.items()}


def _uploads(uploads: dict[str, Any]) -> dict[str, str]:
    if len(uploads) > MOST_FILES or not all(isinstance(name, str) for name in uploads.values()):
        raise wrong("uploads", f"must map at most {MOST_FILES} paths to names of uploads")
    return {file_path("uploads", path): name for path, name in uploads.items()}


def read_words(body: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """A list of plain words, such as targets."""
    words = body.get(name) or []
    good = all(
        isinstance(word, str) and 0 < len(word) <= LONGEST_WORD and word.isprintable()
        for word in words
    )
    if not good or len(words) > MOST_WORDS:
        raise wrong(name, f"must be at most {MOST_WORDS} words of 1 to {LONGEST_WORD} characters")
    return tuple(words)


def read_overrides(body: Mapping[str, Any]) -> dict[str, str]:
    """The config values of `config_overrides`, as texts."""
    found = {}
    for name, value in (body.get("config_overrides") or {}).items():
        if not CONFIG_KEY.fullmatch(name):
            raise wrong("config_overrides", f"has a key that cannot be: '{name[:100]}'")
        if not isinstance(value, str | int | float | bool):
            raise wrong("config_overrides", f"must hold plain values; '{name}' is none")
        found[name] = config_text(value)
        if "\0" in found[name]:
            raise wrong("config_overrides", f"holds a NUL character in '{name}'")
    if sum(len(name) + len(value) for name, value in found.items()) > LARGEST_CONFIG:
        raise wrong("config_overrides", f"is larger than {LARGEST_CONFIG} characters")
    return found


def _key(body: Mapping[str, Any]) -> str | None:
    key = request.headers.get("Idempotency-Key") or body.get("idempotency_key")
    if key is not None and (not key.isprintable() or not 0 < len(key) <= LONGEST_KEY):
        raise wrong("idempotency_key", f"must have 1 to {LONGEST_KEY} printable characters")
    return key


def _digest(body: Mapping[str, Any]) -> str:
    left_out = ("idempotency_key", "dry_run", *(() if body.get("no_cache") else ("no_cache",)))
    known = {name: body.get(name) for name in FIELDS if name not in left_out}
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)
