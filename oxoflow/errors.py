"""Name everything that can go wrong, in one tree, without knowing who will report it.

    OxoflowError
    ├── UsageError                a flag, argument or setting is wrong (exit 2)
    │   └── SettingsError
    ├── WorkflowError             the text is no workflow to be planned (exit 2); `diagnostics`
    │   ├── ParseError            not TOML, or not the structure of a workflow
    │   └── GraphError            cycle, duplicate rule, unknown depends_on
    ├── RunError                  the engine cannot go on
    │   ├── WorkdirLocked         another live run holds the working directory
    │   ├── BudgetTooSmall        a rule asks for more than an explicit limit
    │   └── DiskTrouble           a record could not be written (full, read-only, gone)
    └── ServiceError              a request to the server cannot be met
        ├── InvalidInput          understood, but not acceptable
        ├── Unauthorized          nobody is logged in
        ├── Forbidden             logged in, not allowed
        ├── NotFound              unknown or foreign: the two are never told apart
        ├── Conflict              the present state does not permit it
        ├── TooLarge              over a size limit
        ├── RateLimited           over a rate or quota; has `retry_after` seconds
        └── Unavailable           not now; has `retry_after` seconds

A message names the thing, the fact and the cure. Only `web/http.py` knows statuses and wire shapes.
"""

from __future__ import annotations

from enum import Enum
from typing import ClassVar

from msgspec import Struct


class Severity(Enum):
    """How much a diagnostic matters; the values are the words on the wire."""

    ERROR = "error"  # the workflow cannot run as written
    WARNING = "warning"  # it runs, but probably not as meant
    INFO = "info"  # a matter of style


class Diagnostic(Struct, frozen=True):
    """One finding about a workflow text (spec/oxo-flow-api.md 5.1); lines and columns from 1."""

    severity: Severity
    code: str
    message: str
    rule: str | None = None
    suggestion: str | None = None
    line: int | None = None
    column: int | None = None
    key: str | None = None  # the key of the rule or table that is meant, to find its position
    file: str | None = None  # the included file that is meant; None: the workflow itself


class OxoflowError(Exception):
    """The root: whatever oxoflow raises on purpose. `detail` is the variable part, if any.

    `exit_code` is what a process that ends with it returns, and what its run records.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, detail: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail


class UsageError(OxoflowError):
    """A flag, an argument or a setting is wrong."""

    exit_code = 2


class SettingsError(UsageError):
    """A setting of the server is malformed; the message starts with its name."""


class WorkflowError(OxoflowError):
    """The text is not a workflow that can be planned."""

    exit_code = 2

    def __init__(self, message: str, diagnostics: tuple[Diagnostic, ...] = ()) -> None:
        super().__init__(message)
        self.diagnostics = diagnostics


class ParseError(WorkflowError):
    """The text is not TOML, or not the structure of a workflow."""


class GraphError(WorkflowError):
    """The rules do not form a DAG."""


class RunError(OxoflowError):
    """The engine cannot go on."""


class WorkdirLocked(RunError):
    """Another live run holds the working directory."""


class BudgetTooSmall(RunError):
    """A selected rule asks for more than an explicit limit allows."""


class DiskTrouble(RunError):
    """A record could not be written: disk full, read-only, or directory gone."""


class ServiceError(OxoflowError):
    """A request to the server cannot be met."""


class InvalidInput(ServiceError):
    """The request was understood, but cannot be accepted as it is."""


class Unauthorized(ServiceError):
    """Nobody is logged in."""


class Forbidden(ServiceError):
    """Logged in, but not allowed."""


class NotFound(ServiceError):
    """Unknown, or somebody else's."""


class Conflict(ServiceError):
    """The present state does not permit it."""


class TooLarge(ServiceError):
    """Over a size limit."""


class RateLimited(ServiceError):
    """Over a rate or a quota; try again after `retry_after` seconds."""

    def __init__(self, message: str, detail: str | None = None, retry_after: int = 1) -> None:
        super().__init__(message, detail)
        self.retry_after = retry_after


class Unavailable(ServiceError):
    """Not possible just now; try again after `retry_after` seconds."""

    def __init__(self, message: str, detail: str | None = None, retry_after: int = 1) -> None:
        super().__init__(message, detail)
        self.retry_after = retry_after
