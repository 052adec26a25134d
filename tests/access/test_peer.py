"""The client's address: what a proxy says counts only when the proxy is trusted."""

from ipaddress import ip_network

import pytest

from oxoflow.access.peer import client_address, is_trusted, limiter_key

PROXIES = (ip_network("127.0.0.1"), ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("127.0.0.1", ["9.9.9.9"], "9.9.9.9"),
        ("127.0.0.1", ["6.6.6.6", "9.9.9.9"], "9.9.9.9"),  # the left one may be forged
        ("127.0.0.1", ["9.9.9.9", "10.1.1.1"], "9.9.9.9"),  # through two trusted proxies
        ("8.8.8.8", ["9.9.9.9"], "8.8.8.8"),  # an untrusted peer claims what it likes
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", [""], "127.0.0.1"),
        ("127.0.0.1", ["9.9.9.9", "junk"], "127.0.0.1"),
        ("127.0.0.1", ["9.9.9.9", "junk", "10.1.1.1"], "10.1.1.1"),
        ("127.0.0.1", ["10.0.0.1"], "10.0.0.1"),
        ("127.0.0.1", [" 9.9.9.9:4711 "], "9.9.9.9"),
        ("fd00::1", ["[2001:db8::1]:4711"], "2001:db8::1"),
        ("::ffff:127.0.0.1", ["9.9.9.9"], "9.9.9.9"),
    ],
)
def test_the_right_most_untrusted_hop_is_the_client(
    peer: str, forwarded: list[str], client: str
) -> None:
    assert client_address(peer, forwarded, PROXIES) == client


def test_without_proxies_forwarded_headers_are_ignored() -> None:
    assert client_address("127.0.0.1", ["9.9.9.9"], ()) == "127.0.0.1"
    assert not is_trusted("127.0.0.1", ())


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("9.9.9.9", "9.9.9.9"),
        ("::ffff:9.9.9.9", "9.9.9.9"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("", ""),
    ],
)
def test_ipv6_neighbours_share_a_budget(address: str, key: str) -> None:
    assert limiter_key(address) == key
