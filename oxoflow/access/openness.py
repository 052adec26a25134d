"""Decide from the settings whether anybody on this machine may use the OxiFY routes. Pure.

The other half of the rule, what a single request must look like, is in `web/oxify.py`.
"""

from __future__ import annotations

from oxoflow.access.peer import parse_address
from oxoflow.settings import Settings

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


def bound_openly(settings: Settings) -> bool:
    """Whether the server is set up so that requests without a login are possible at all."""
    bound = settings.host in LOOPBACK_NAMES or is_loopback(settings.host)
    return bound and not settings.base_path and not settings.trusted_proxies


def is_loopback(text: str) -> bool:
    """Whether an address is one of this machine to itself."""
    address = parse_address(text) if ":" not in text or "." in text else parse_address(f"[{text}]")
    return address is not None and address.is_loopback


def openness(settings: Settings) -> str:
    """The state in a sentence, for the terminal and `/api/system`."""
    if bound_openly(settings):
        return (
            "OxiFY routes are open to every account of this machine, without a login: who can "
            "reach them runs programs as the server"
        )
    return "OxiFY routes need a login"
