"""Run commands in containers that Docker starts from an image.

Owns the wrapping and the pull of spec/oxoflow-format.md 5.13: one mount, the caller's user, the
job's memory (S29). A container's processes carry the run's marks, so that they end with the job.
"""

from __future__ import annotations

from oxoflow.environments.family import Command, Setup, Site
from oxoflow.environments.shell import quote
from oxoflow.environments.wrapping import SHIM, find_tool, inner_text, key_of
from oxoflow.errors import RunError
from oxoflow.lang.model import Environment


class Docker:
    """One image; only the working directory is mounted, at its own path."""

    def __init__(self, environment: Environment, site: Site) -> None:
        find_tool(site, ("docker",), "install Docker Engine (Debian: apt-get install docker.io)")
        if ":" in site.workdir:
            raise RunError(
                f"the working directory '{site.workdir}' cannot be mounted into a container "
                "because of the ':' in its path; rename it"
            )
        if environment.spec.startswith("-") or not environment.spec.strip():
            raise RunError(f"'{environment.spec}' is no image; write docker = \"NAME:TAG\"")
        self._site = site
        self._image = environment.spec
        self._gpus = environment.gpus

    @property
    def setup(self) -> Setup:
        """An image that is there is used as it is; its content is recorded, not asked for."""
        image = quote(self._image)
        look = f"docker image inspect {image} --format"
        return Setup(
            place=f"docker:{self._image}",
            key=key_of("docker", self._image),
            title=f"image '{self._image}'",
            exists=f"{look} {{{{.Id}}}} >/dev/null 2>&1",
            create=f"docker pull {image}",
            versions=f"{look} '{{{{.Id}}}}{{{{range .RepoDigests}}}}\n{{{{.}}}}{{{{end}}}}'",
        )

    def argv(self, command: Command) -> tuple[str, ...]:
        """`docker run`, which passes signals on to the command (`--init`) and leaves nothing."""
        here = quote(self._site.workdir)
        words = ["docker run --rm --init --user $(id -u):$(id -g)"]
        memory = command.memory_mb
        if memory is not None:
            most = self._site.memory_mb
            words.append(f"--memory {memory if most is None else min(memory, most)}m")
        if self._gpus:
            words.append(f"--gpus {quote(self._gpus)}")
        words += [f"--env {name}" for name in self._site.marks]
        words.append(f"-v {here}:{here}")
        words.append('-w "$PWD"' if command.scratch else f"-w {here}")
        words.append(f"{quote(self._image)} sh -c {quote(SHIM)} sh {quote(inner_text(command))}")
        return self._site.shell.argv(" ".join(words))
