"""Hold how much one workflow may ask of the machine: the bounds of reading, expanding and telling.

Owns the record that is handed to `lang` and `engine`, and the table of its settings; `settings`
reads their values. What bounds recursion or the time of a pattern is no setting, but a constant
where it is used.
"""

from __future__ import annotations

from msgspec import Struct

MEBIBYTE = 1024**2


class Limits(Struct, frozen=True):
    """The bounds under which one workflow is read; the defaults are far above what labs write."""

    jobs: int = 200_000  # five joined paths and 2,500 characters of filled text for each of them
    edges: int = 5_000_000
    text: int = 64 * MEBIBYTE  # characters; 100,000 written rules have about 40 million
    includes: int = 1000  # files
    include_depth: int = 16
    sheet: int = 50 * MEBIBYTE  # bytes
    findings: int = 10_000


DEFAULT = Limits()


class LimitOption(Struct, frozen=True):
    """One setting of a limit: `LIMIT_` and the field's name."""

    field: str
    default: str  # as --help and README show it
    help: str
    is_size: bool = False

    @property
    def name(self) -> str:
        """The variable without the prefix of all settings."""
        return f"LIMIT_{self.field.upper()}"


LIMIT_OPTIONS = (
    LimitOption("jobs", "200000", "jobs that one workflow may become"),
    LimitOption("edges", "5000000", "dependencies between the jobs of one workflow"),
    LimitOption("text", "64 MiB", "length of one workflow file", is_size=True),
    LimitOption("includes", "1000", "files that one workflow may include"),
    LimitOption("include_depth", "16", "levels of files that include files"),
    LimitOption("sheet", "50 MiB", "size of one sheet of samples or pairs", is_size=True),
    LimitOption("findings", "10000", "errors, and as many other findings, that one check lists"),
)
