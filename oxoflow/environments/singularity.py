"""Run commands in Apptainer or Singularity images.

Owns the wrapping and the pull of spec/oxoflow-format.md 5.13. An image named by URI is pulled into
the working directory once, and that file is what runs (S28).
"""

from __future__ import annotations

from oxoflow.environments.family import Command, Setup, Site
from oxoflow.environments.shell import quote
from oxoflow.environments.wrapping import SHIM, find_tool, inner_text, key_of
from oxoflow.errors import RunError
from oxoflow.lang.model import Environment


class Singularity:
    """A local SIF file, or one that is pulled."""

    def __init__(self, environment: Environment, site: Site) -> None:
        spec = environment.spec
        self._binary = find_tool(
            site, ("apptainer", "singularity"), "install Apptainer (package 'apptainer')"
        )
        if ":" in site.workdir:
            raise RunError(
                f"the working directory '{site.workdir}' cannot be bound into a container "
                "because of the ':' in its path; rename it"
            )
        self._site = site
        self._uri = spec if "://" in spec else None
        self._image = site.full(sif_name(spec) if self._uri else spec)
        if self._uri is None and not site.exists(self._image):
            raise RunError(f"image '{spec}' is not there; correct the path, or give a URI to pull")

    @property
    def setup(self) -> Setup:
        """Pulled under another name first: what stands under its own is whole."""
        image, part = quote(self._image), quote(self._image + ".part")
        pull = None
        if self._uri is not None:
            pull = f"{self._binary} pull --force {part} {quote(self._uri)} && mv -f {part} {image}"
        return Setup(
            place=f"singularity:{self._image}",
            key=key_of("singularity", self._uri or self._image),
            title=f"image '{self._uri or self._image}'",
            exists=f"test -e {image}",
            create=pull,
            undo=f"rm -f {part}",
            versions=f"test -d {image} || sha256sum < {image}",
        )

    def argv(self, command: Command) -> tuple[str, ...]:
        """`exec` with the working directory bound at its own path."""
        here = quote(self._site.workdir)
        place = ' --pwd "$PWD"' if command.scratch else ""
        return self._site.shell.argv(
            f"{self._binary} exec --bind {here}:{here}{place} {quote(self._image)} "
            f"sh -c {quote(SHIM)} sh {quote(inner_text(command))}"
        )


def sif_name(uri: str) -> str:
    """The file that a pulled URI becomes: its last segment with `:` as `_`, and `.sif`."""
    return uri.rstrip("/").rpartition("/")[2].replace(":", "_") + ".sif"
