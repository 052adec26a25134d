"""Hold what an exported image is made of, and the shell lines both kinds of recipe share.

Owns the pinned versions of everything an image installs, and the rules for putting foreign text
into comments and shell words.
"""

from __future__ import annotations

import re
import shlex

from msgspec import Struct

from oxoflow import __version__

CONDA_IMAGE = "condaforge/miniforge3:24.11.3-0"  # gives /opt/conda, with conda and mamba
PIXI = "pixi=0.41"  # from conda-forge
PYTHON = "python3.11"
PACKAGE = f"oxoflow=={__version__}"
SYSTEM_PACKAGES = ("build-essential", "ca-certificates", "curl", "git", "wget")
HOME = "/workflow"
GPU_VARIABLES = (
    ("NVIDIA_VISIBLE_DEVICES", "all"),
    ("NVIDIA_DRIVER_CAPABILITIES", "compute,utility"),
)

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_PLAIN_PATH = re.compile(
    r"[^\x00-\x20\x7f-\x9f\u2028\u2029'\"\\$`<>{}|&;()*?!#%-]"
    r"[^\x00-\x1f\x7f-\x9f\u2028\u2029'\"\\$`<>{}|&;()*?!#%]*\Z"
)
_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9_-]")


class Setup(Struct, frozen=True):
    """One environment to create in the image, and the rules that use it."""

    kind: str  # conda, pixi or venv
    spec: str
    prefix: str | None
    requirements: str | None
    rules: tuple[str, ...]
    usable: bool  # its paths can stand in a command


class Image(Struct, frozen=True):
    """All that a recipe says."""

    name: str
    version: str
    description: str
    author: str
    base: str
    gpu: bool
    setups: tuple[Setup, ...]
    nested: tuple[str, ...]  # rules that need a container or modules of their own
    has_rules: bool

    @property
    def needs_conda(self) -> bool:
        """Whether conda is part of the image; pixi comes from there too."""
        return any(setup.kind in ("conda", "pixi") for setup in self.setups)


def one_line(text: str, longest: int = 300) -> str:
    """Return a text without anything that could end its line."""
    return _CONTROL.sub(" ", text[:longest]).strip()


def comment(text: str) -> str:
    """Return a text as one comment line, which not even a backslash can continue."""
    return f"# {_CONTROL.sub(' ', text)}".rstrip("\\ ")


def is_plain_path(path: str) -> bool:
    """Return whether a path has nothing that shells, recipes or templates could misread."""
    return path == "-" or _PLAIN_PATH.match(path) is not None


def install_commands() -> list[str]:
    """Return the commands that install system packages and oxoflow itself."""
    packages = " ".join([*SYSTEM_PACKAGES, PYTHON, f"{PYTHON}-venv"])
    return [
        "apt-get update",
        f"DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends {packages}",
        "rm -rf /var/lib/apt/lists/*",
    ]


def setup_commands(setup: Setup) -> list[str]:
    """Return the commands that create one environment, run in the workflow's directory."""
    spec = shlex.quote(setup.spec)
    if setup.kind == "pixi":
        return [f"pixi install --manifest-path {spec}"]
    if setup.kind == "venv":
        wanted = shlex.quote(setup.requirements or "requirements.txt")
        return [f"{PYTHON} -m venv {spec}", f"{spec}/bin/pip install --no-cache-dir -r {wanted}"]
    if setup.prefix:
        return [f"conda env create -p {shlex.quote(setup.prefix)} -f {spec}"]
    return [
        f"name=$(sed -n 's/^name:[[:space:]]*//p' {spec} | head -n 1)",
        f'conda env create -n "${{name:-{_stem(setup.spec)}}}" -f {spec}',
    ]


def notes(image: Image) -> list[str]:
    """Return the comment lines that tell what the image cannot do by itself."""
    lines = []
    if image.nested:
        lines.append("These rules start a container or load modules of their own, which must be")
        lines.append("possible inside this image (nested containers), or need another environment:")
        lines += [f"  {one_line(text)}" for text in image.nested]
    for setup in image.setups:
        if not setup.usable:
            lines.append("An environment whose path is unusual; create it by hand, for rules:")
            lines.append(f"  {one_line(', '.join(setup.rules))}")
    return lines


def rules_note(setup: Setup) -> str:
    """Return the comment above the creation of one environment."""
    return one_line(f"{setup.kind} environment of: {', '.join(setup.rules)}")


def _stem(path: str) -> str:
    name = path.rpartition("/")[2].split(".")[0]
    return _NOT_IN_NAME.sub("_", name) or "workflow"
