"""Find the true address and scheme of a client behind trusted proxies. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from functools import lru_cache

from oxoflow.settings import Network

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@lru_cache(maxsize=4096)
def parse_address(text: str) -> Address | None:
    """An address from text, also `[v6]:port` and `v4:port`; a mapped IPv4 address becomes IPv4."""
    bare = text.strip()
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        address = ipaddress.ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


@lru_cache(maxsize=4096)
def is_trusted(peer: str, proxies: tuple[Network, ...]) -> bool:
    """Whether a socket's peer is a declared proxy."""
    address = parse_address(peer)
    return address is not None and any(address in network for network in proxies)


def client_address(peer: str, forwarded: Sequence[str], proxies: tuple[Network, ...]) -> str:
    """The right-most address of `X-Forwarded-For` that is no trusted proxy, if the peer is one.

    What an untrusted peer claims is ignored; an unreadable entry ends the walk, because nothing
    left of it can be trusted.
    """
    client = peer
    if proxies and forwarded and is_trusted(peer, proxies):
        for entry in reversed(forwarded):
            address = parse_address(entry)
            if address is None:
                break
            client = str(address)
            if not is_trusted(client, proxies):
                break
    return client


@lru_cache(maxsize=4096)
def limiter_key(address: str) -> str:
    """What the rate limiter counts for an address: itself, or the /64 of an IPv6 address."""
    parsed = parse_address(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed or address)
