"""Decide where a graph may connect to, and open no other connection (spec/oxify-api.md section 6).

Loopback is always allowed; beyond it only what the operator listed: host names (`api.lab.org`,
`*.lab.org`), addresses and networks (`10.1.0.0/16`). The decision falls on the addresses a name
resolves to, and the connection goes to the address that was judged: so neither a redirect nor a
name server that changes its mind leads elsewhere. A listed name may not lead into a private
network that is not listed itself.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable

from msgspec import Struct, field

from oxoflow.graph.work import NodeFailure, Token

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
LOOPBACK: tuple[Network, ...] = (
    ipaddress.ip_network("127.0.0.0/8"),
    ipaddress.ip_network("::1/128"),
)
CONNECT_SECONDS = 10.0


class Guard(Struct, frozen=True):
    """The list of an execution."""

    names: tuple[str, ...] = ()
    networks: tuple[Network, ...] = field(default=LOOPBACK)

    @staticmethod
    def of(entries: Iterable[str]) -> Guard:
        """The guard for a list of host names, addresses and networks."""
        names: list[str] = []
        networks: list[Network] = list(LOOPBACK)
        for entry in entries:
            try:
                networks.append(ipaddress.ip_network(entry.strip("[]"), strict=False))
            except ValueError:
                names.append(entry.lower().rstrip("."))
        return Guard(tuple(names), tuple(networks))

    def permitted(self, host: str, addresses: Iterable[str]) -> list[str]:
        """The addresses of `host` that may be connected to, in order."""
        listed = self._lists(host)
        return [text for text in addresses if self._permits(_address(text), listed)]

    def _lists(self, host: str) -> bool:
        name = host.lower().rstrip(".")
        return any(
            name == entry or (entry.startswith("*.") and name.endswith(entry[1:]))
            for entry in self.names
        )

    def _permits(self, address: Address, listed: bool) -> bool:
        if any(address in network for network in self.networks):
            return True
        return listed and address.is_global and not address.is_multicast

    def connect(self, host: str, port: int, token: Token) -> socket.socket:
        """An open connection; raise NodeFailure when it is refused, by us or by the other side."""
        token.check()
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise NodeFailure(f"host '{host}' cannot be found: {error}") from error
        allowed = self.permitted(host, (str(entry[4][0]) for entry in found))
        if not allowed:
            raise NodeFailure(
                f"host '{host}' is not among the hosts that graphs may connect to; the operator "
                "lists it in OXO_FLOW_ALLOWED_HOSTS",
                retry=False,
            )
        return _connect(host, port, allowed, token)


def _address(text: str) -> Address:
    address = ipaddress.ip_address(text.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return address if mapped is None else ipaddress.ip_address(mapped)


def _connect(host: str, port: int, addresses: list[str], token: Token) -> socket.socket:
    trouble = ""
    for address in addresses:
        token.check()
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            with token.calling(lambda made=connection: _shut(made)):  # type: ignore[misc]
                connection.settimeout(token.remaining(CONNECT_SECONDS) or 0.001)
                connection.connect((address, port))
        except OSError as error:
            connection.close()
            trouble = str(error)
            continue
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection
    token.check()
    raise NodeFailure(f"cannot connect to {host}:{port}: {trouble}")


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        connection.close()  # not connected yet: closing is all that can be done
