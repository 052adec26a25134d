"""Run commands in Python virtual environments that are filled from a requirements file.

Owns the wrapping and creation of spec/oxoflow-format.md 5.13, keyed by the content of the
requirements (S25). `uv` makes and fills them where it is installed.
"""

from __future__ import annotations

from oxoflow.environments.family import Command, Setup, Site
from oxoflow.environments.shell import quote
from oxoflow.environments.wrapping import find_tool, inner_text, key_of
from oxoflow.errors import RunError
from oxoflow.lang.model import Environment

DEFAULT_REQUIREMENTS = "requirements.txt"
_LIST = (
    "import importlib.metadata as m, sys; print('python', sys.version.split()[0]); "
    "[print(*each) for each in sorted({(d.name, d.version) for d in m.distributions()})]"
)


class Venv:
    """One directory that holds an environment; its path is that of the rule."""

    def __init__(self, environment: Environment, site: Site) -> None:
        self._site = site
        self._place = site.full(environment.spec).rstrip("/")
        if self._place == site.workdir.rstrip("/"):
            raise RunError(
                f"venv '{environment.spec}' is the working directory; name one inside it"
            )
        requirements = environment.requirements or DEFAULT_REQUIREMENTS
        self._content = site.read(requirements)
        self._requirements = site.full(requirements)
        if self._content is None and environment.requirements is not None:
            raise RunError(
                f"requirements file '{requirements}' of venv '{environment.spec}' is not there; "
                "correct the path"
            )
        self._uv = site.shell.has_program("uv")
        if not self._uv and not site.exists(f"{self._place}/bin/activate"):
            find_tool(site, ("python3",), "install Python 3 with venv (Debian: python3-venv) or uv")

    @property
    def setup(self) -> Setup:
        """Made anew when the requirements change: packages that went from the file go too."""
        place = quote(self._place)
        return Setup(
            place=f"venv:{self._place}",
            key=key_of("venv", self._place, self._content),
            title=f"venv '{self._place}'",
            exists=f"test -x {place}/bin/python && test -e {place}/bin/activate",
            create=self._create(),
            undo=f"rm -rf {place}",
            rebuild=True,
            versions=f"{place}/bin/python -c {quote(_LIST)}",
        )

    def _create(self) -> str:
        place, wanted = quote(self._place), quote(self._requirements)
        steps = [f"mkdir -p {place}"]
        if self._uv:
            steps.append(f"uv venv --quiet --no-project --allow-existing {place}")
            fill = f"uv pip install --quiet --python {place}/bin/python -r {wanted}"
        else:
            steps.append(f"python3 -m venv {place}")
            fill = (
                f"{place}/bin/python -m pip install --quiet --no-input "
                f"--disable-pip-version-check -r {wanted}"
            )
        return " && ".join([*steps, fill] if self._content is not None else steps)

    def argv(self, command: Command) -> tuple[str, ...]:
        """Activated in the shell that runs the command; without it nothing runs."""
        activate = f". {quote(self._place)}/bin/activate || exit 1"
        return self._site.shell.argv(f"{activate}\n{inner_text(command)}")
