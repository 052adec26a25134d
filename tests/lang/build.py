"""Make workflows for the language tests in few words: a view of given files, text to jobs."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any

from oxoflow.lang.compose import compose
from oxoflow.lang.expand import expand
from oxoflow.lang.model import Job, Workflow
from oxoflow.lang.parse import parse_workflow
from oxoflow.limits import DEFAULT, Limits

HEAD = '[workflow]\nname = "w"\n'


class Files:
    """A view of files that exist only here, by path; globs like a shell, never across `/`."""

    def __init__(self, contents: Mapping[str, str | bytes] | None = None) -> None:
        self.contents = dict(contents or {})

    def exists(self, path: str) -> bool:
        return path in self.contents or any(p.startswith(path + "/") for p in self.contents)

    def glob(self, pattern: str) -> list[str]:
        parts = pattern.split("/")
        return sorted(
            path
            for path in self.contents
            if len(path.split("/")) == len(parts)
            and all(map(fnmatch.fnmatchcase, path.split("/"), parts))
        )

    def read(self, path: str) -> bytes | None:
        content = self.contents.get(path)
        return content.encode() if isinstance(content, str) else content

    def size(self, path: str) -> int | None:
        content = self.read(path)
        return None if content is None else len(content)

    def lines(self, path: str) -> int | None:
        content = self.read(path)
        return None if content is None else content.count(b"\n")


def composed(
    text: str,
    files: Mapping[str, str | bytes] | None = None,
    limits: Limits = DEFAULT,
    **options: Any,
) -> Workflow:
    """Parse and compose a text; the `[workflow]` head is put in front when it lacks one."""
    if "[workflow]" not in text:
        text = HEAD + text
    return compose(parse_workflow(text, limits), Files(files), **options)


def jobs_of(
    text: str, files: Mapping[str, str | bytes] | None = None, **options: Any
) -> tuple[Job, ...]:
    """Take a text all the way to its jobs."""
    return expand(composed(text, files, **options), Files(files))


def names(jobs: Sequence[Job]) -> list[str]:
    """Give the names of the jobs."""
    return [job.name for job in jobs]


def by_name(jobs: Sequence[Job]) -> dict[str, Job]:
    """Give the jobs by name."""
    return {job.name: job for job in jobs}


def rule(name: str, **fields: str) -> str:
    """Write one rule; the values are TOML text."""
    lines = "".join(f"{key} = {value}\n" for key, value in fields.items())
    return f'[[rules]]\nname = "{name}"\n{lines}'
