"""Keep passwords as salted scrypt hashes and compare in constant time.

Owns the form of a stored hash (`scrypt$n$r$p$salt$hash`) and the shared dummy that makes an
unknown name cost as much as a wrong password. Stores nothing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import threading

COST, BLOCK, LANES = 2**14, 8, 1  # 16 MiB and about 40 ms
SHORTEST, LONGEST = 8, 1024
_AT_A_TIME = threading.BoundedSemaphore(2)  # so that a flood of logins cannot take the memory


def _derive(password: str, salt: bytes, cost: int, block: int, lanes: int) -> bytes:
    with _AT_A_TIME:
        return hashlib.scrypt(
            password.encode("utf-8", "surrogatepass"),
            salt=salt, n=cost, r=block, p=lanes, maxmem=64 * 1024**2, dklen=32,
        )  # fmt: skip


def hash_password(password: str) -> str:
    """A new salted hash, in the form in which it is stored."""
    salt = secrets.token_bytes(16)
    digest = _derive(password, salt, COST, BLOCK, LANES)
    words = (base64.b64encode(part).decode() for part in (salt, digest))
    return "$".join(("scrypt", str(COST), str(BLOCK), str(LANES), *words))


def matches_hash(password: str, stored: str) -> bool:
    """Whether `password` is the one behind a stored hash; False for a malformed hash."""
    try:
        kind, cost, block, lanes, salt, digest = stored.split("$")
        numbers = int(cost), int(block), int(lanes)
        expected = base64.b64decode(digest)
        found = _derive(password, base64.b64decode(salt), *numbers)
    except ValueError:
        return False
    return kind == "scrypt" and hmac.compare_digest(found, expected)


def matches_plain(password: str, configured: str) -> bool:
    """Whether `password` equals one of the environment, without telling where they differ."""
    return hmac.compare_digest(_digest(password), _digest(configured))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def waste_time(password: str) -> None:
    """Cost as much as a comparison, so that an unknown name is not told by the clock."""
    _derive(password, b"nobody has this salt", COST, BLOCK, LANES)


def new_password() -> str:
    """A generated password: 20 characters that are easily told apart."""
    letters = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
    return "".join(secrets.choice(letters) for _ in range(20))
