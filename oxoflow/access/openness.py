"""Decide from the settings what anybody on this machine may do without a password. Pure.

Owns the rule of the OxiFY routes and the warning about a header that names the user. What a single
request to an OxiFY route must look like is in `web/oxify.py`.
"""

from __future__ import annotations

from oxoflow.access.peer import is_trusted, parse_address
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


def impersonation(settings: Settings) -> str | None:
    """The warning that a process of this machine can claim to be anybody; None when none can."""
    here = any(is_trusted(address, settings.trusted_proxies) for address in ("127.0.0.1", "::1"))
    if not settings.user_header or not here:
        return None
    return (
        f"every process of this machine, rules too, can name any user in {settings.user_header}, "
        "because that is believed from loopback: let people log in, or use a proxy elsewhere"
    )
