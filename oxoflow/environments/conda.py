"""Run commands in conda environments, with conda itself or with mamba and micromamba.

Owns the wrapping, the naming and the creation of spec/oxoflow-format.md 5.13 for both kinds.
"""

from __future__ import annotations

import posixpath
import re

from oxoflow.environments.family import Command, Setup, Site
from oxoflow.environments.shell import quote
from oxoflow.environments.wrapping import find_tool, inner_text, key_of, one_line
from oxoflow.errors import RunError
from oxoflow.lang.latepattern import late
from oxoflow.lang.model import Environment, EnvironmentKind

_NAME_LINE = late(r"^name:[ \t]*(.*?)[ \t]*(?:#.*)?$", re.MULTILINE)
_NAME = late(r"[\w-]+", re.ASCII)
_BINARIES = {
    EnvironmentKind.CONDA: (
        ("conda",),
        "install Miniforge, or use 'mamba' for an environment that micromamba can run",
    ),
    EnvironmentKind.MAMBA: (
        ("mamba", "micromamba", "conda"),
        "install micromamba (a single file) or Miniforge",
    ),
}


class Conda:
    """A named environment, or one at a prefix, that a YAML file defines."""

    def __init__(self, environment: Environment, site: Site) -> None:
        self._kind = environment.kind
        names, cure = _BINARIES[environment.kind]
        content = site.read(environment.spec)
        self._prefix = site.full(environment.prefix) if environment.prefix else None
        self._name = None if self._prefix else environment_name(environment.spec, content)
        self._binary = find_tool(site, names, cure)
        self._site = site
        self._spec = environment.spec
        self._content = content

    @property
    def _where(self) -> str:
        return f"-p {quote(self._prefix)}" if self._prefix else f"-n {self._name}"

    @property
    def setup(self) -> Setup:
        """Created by the first who needs it; a changed file updates it, dropping what went."""
        binary, where = self._binary, self._where
        spec = quote(self._site.full(self._spec))
        create = (
            f"{binary} env create -y {where} -f {spec} || "
            f"{binary} env update {where} -f {spec} --prune"
        )
        if binary == "conda":  # older ones know no -y here and do not ask either
            create = create.replace(" create -y ", " create ")
        return Setup(
            place=f"conda:{self._prefix or self._name}",
            key=key_of(self._kind.value, self._prefix or self._name, self._content),
            title=f"{self._kind.value} environment '{self._prefix or self._name}'",
            exists=f'{self._inside()} bash -c \'[ -n "$(ls -A "$CONDA_PREFIX/bin")" ]\'',
            create=None if self._content is None else create,
            undo=f"{binary} env remove -y {where}",
            versions=f"{binary} list {where} --export"
            if binary == "conda"
            else f"{binary} list {where}",
        )

    def argv(self, command: Command) -> tuple[str, ...]:
        """`conda run` with a bash of its own; conda's leaves PATH to the caller's start files."""
        text = one_line(inner_text(command))
        if self._binary == "conda":
            text = 'export PATH="$CONDA_PREFIX/bin:$PATH"; ' + text
        return self._site.shell.argv(f"{self._inside()} bash -c {quote(text)}")

    def _inside(self) -> str:
        if self._binary == "conda":
            return f"conda run --no-capture-output {self._where}"
        return f"{self._binary} run {self._where}"


def environment_name(spec: str, content: bytes | None) -> str:
    """The environment's name: the file's `name:`, else the file's stem; raises RunError."""
    found = _NAME_LINE.search((content or b"").decode("utf-8", "replace"))
    name = found[1].strip("'\"") if found else ""
    name = name or posixpath.splitext(posixpath.basename(spec.rstrip("/")))[0]
    if not _NAME.fullmatch(name):
        raise RunError(
            f"environment file '{spec}': the name '{name}' is no environment name; use letters, "
            "digits, '_' and '-' in its 'name:' line"
        )
    return name
