"""Give tests of environments a host of their own: a PATH with stand-ins, and files to read."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from oxoflow.environments.family import Site
from oxoflow.environments.shell import Shell


class Host:
    """A PATH that holds what a test puts there, besides bash."""

    def __init__(self, place: Path) -> None:
        self.bin = place / "bin"
        self.bin.mkdir()
        (self.bin / "bash").symlink_to("/bin/bash")

    def install(self, *names: str, text: str = "exit 0") -> None:
        """Put programs there that run a shell text."""
        for name in names:
            path = self.bin / name
            path.write_text(f"#!/bin/sh\n{text}\n")
            path.chmod(0o755)

    def site(self, workdir: str = "/w", files=None, present=(), **fields) -> Site:
        """The host with some files below the working directory."""
        contents = files or {}
        site = Site(
            Shell(str(self.bin)), workdir, read=contents.get, exists=lambda path: path in present
        )
        return replace(site, **fields)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    place = tmp_path / "host"
    place.mkdir()
    return Host(place)
