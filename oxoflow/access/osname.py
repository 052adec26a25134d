"""Decide whether a name may ever be used to run as another account of the machine.

Pure: the account database is passed in. Running as another account is not built; the check is.
"""

from __future__ import annotations

import pwd
import re
from collections.abc import Callable

OS_NAME = re.compile(r"[a-z_][a-z0-9_-]{0,30}[a-z0-9_$-]?", re.ASCII)
FIRST_ORDINARY_UID = 1000
NOBODY_UIDS = frozenset({65534, 65535})


def _uid_of(name: str) -> int | None:
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return None


def valid_os_name(name: str, uid_of: Callable[[str], int | None] = _uid_of) -> bool:
    """Whether rules may run as the account `name` (spec/oxo-flow-api.md 3.4).

    The whole string must match (`$` in a pattern would let a final newline pass), it is 32
    characters at most, is not root, exists, and is an ordinary account by its uid.
    """
    if len(name) > 32 or OS_NAME.fullmatch(name) is None or name == "root":
        return False
    uid = uid_of(name)
    return uid is not None and uid >= FIRST_ORDINARY_UID and uid not in NOBODY_UIDS
