"""Run commands in the environment of a pixi manifest.

Owns the wrapping and installation of spec/oxoflow-format.md 5.13, with the whole command behind
one bash (S11).
"""

from __future__ import annotations

import posixpath

from oxoflow.environments.family import Command, Setup, Site
from oxoflow.environments.shell import quote
from oxoflow.environments.wrapping import find_tool, inner_text, key_of, one_line
from oxoflow.errors import RunError
from oxoflow.lang.model import Environment


class Pixi:
    """A manifest (pixi.toml or pyproject.toml) with the lock file beside it."""

    def __init__(self, environment: Environment, site: Site) -> None:
        find_tool(site, ("pixi",), "install pixi (a single file)")
        content = site.read(environment.spec)
        if content is None:
            raise RunError(f"pixi manifest '{environment.spec}' is not there; correct the path")
        self._site = site
        self._path = site.full(environment.spec)
        self._content = content
        self._lock = site.read(posixpath.join(posixpath.dirname(environment.spec), "pixi.lock"))

    @property
    def setup(self) -> Setup:
        """Installed when manifest or lock file changed; pixi itself removes nothing half-done."""
        path = quote(self._path)
        return Setup(
            place=f"pixi:{self._path}",
            key=key_of("pixi", self._path, self._content, self._lock),
            title=f"pixi environment of '{self._path}'",
            exists=f"test -d {quote(posixpath.dirname(self._path) + '/.pixi/envs')}",
            create=f"pixi install --manifest-path {path}",
            versions=f"pixi list --manifest-path {path}",
        )

    def argv(self, command: Command) -> tuple[str, ...]:
        """`pixi run` with the whole command as the text of one bash."""
        text = quote(one_line(inner_text(command)))
        return self._site.shell.argv(f"pixi run --manifest-path {quote(self._path)} bash -c {text}")
