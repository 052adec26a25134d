"""Decide who may do what: accounts, passwords, sessions, roles, limits."""

from oxoflow.access.account import LOCAL_ACCOUNT, Account, Role, Via
from oxoflow.access.accounts import Access
from oxoflow.access.limiter import RateLimiter, RateLimiterConfig
from oxoflow.access.osname import valid_os_name

__all__ = [
    "LOCAL_ACCOUNT",
    "Access",
    "Account",
    "RateLimiter",
    "RateLimiterConfig",
    "Role",
    "Via",
    "valid_os_name",
]
