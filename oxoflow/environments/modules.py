"""Run commands with environment modules loaded.

Owns the wrapping of spec/oxoflow-format.md 5.13; modules need no set-up, the site provides them.
"""

from __future__ import annotations

import re

from oxoflow.environments.family import Command, Setup, Site
from oxoflow.environments.shell import quote
from oxoflow.environments.wrapping import inner_text, key_of
from oxoflow.errors import RunError
from oxoflow.lang.latepattern import late
from oxoflow.lang.model import Environment

INITS = (
    "/etc/profile.d/modules.sh",
    "/usr/share/modules/init/bash",
    "/usr/share/Modules/init/bash",
    "/opt/Modules/default/init/bash",
    "/etc/profile.d/lmod.sh",
    "/usr/share/lmod/lmod/init/bash",
)
_FUNCTION = "BASH_FUNC_module%%"  # how bash passes a function on
_PLAIN = late(r"[\w@%+=:,./-]+", re.ASCII)


class Modules:
    """The modules of one rule, loaded in their order."""

    def __init__(self, environment: Environment, site: Site) -> None:
        init = next((path for path in INITS if site.exists(path)), None)
        if init is None and _FUNCTION not in site.variables:
            raise RunError(
                "there is no 'module' command here; install environment-modules or lmod, or run "
                "where your cluster provides them"
            )
        self._site = site
        self._modules = environment.modules
        self._init = f". {init}\n" if init is not None else ""

    @property
    def _load(self) -> str:
        words = [name if _PLAIN.fullmatch(name) else quote(name) for name in self._modules]
        return (
            f"{self._init}type module >/dev/null 2>&1 || "
            "{ echo \"oxoflow: no 'module' command\" >&2; exit 127; }\n"
            f"module load {' '.join(words)} || exit 1"
        )

    @property
    def setup(self) -> Setup:
        """Nothing is made; what loading them brings is recorded."""
        return Setup(
            place=f"modules:{','.join(self._modules)}",
            key=key_of("modules", *self._modules),
            title=f"modules {', '.join(self._modules)}",
            exists="true",
            create=None,
            versions=f"{self._load} 2>/dev/null\nmodule -t list 2>&1",
        )

    def argv(self, command: Command) -> tuple[str, ...]:
        """Loaded in the shell that runs the command; a module that is missing ends it."""
        return self._site.shell.argv(f"{self._load}\n{inner_text(command)}")
