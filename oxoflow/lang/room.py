"""Bound what an expansion may make: jobs, joined paths, characters.

Owns the three counts of one expansion and the words when one is used up; nothing here is global.
"""

from __future__ import annotations

from collections.abc import Sequence

from oxoflow.lang.faults import UNUSABLE, error, workflow_failure
from oxoflow.lang.model import Rule

PATHS_PER_JOB = 5  # how many joined paths are allowed for each allowed job
CHARACTERS_PER_JOB = 2_500  # and how many characters of filled text
_SHOWN_FACTORS = 6


class Room:
    """What one expansion may still make."""

    def __init__(self, limit: int) -> None:
        self.jobs = limit
        self.paths = limit * PATHS_PER_JOB
        self.characters = limit * CHARACTERS_PER_JOB

    def take_jobs(self, rule: Rule, count: int) -> None:
        """Use up room for jobs. Raises WorkflowError when there is not enough."""
        if count > self.jobs:
            self.check_jobs(rule, [count])
        self.jobs -= count

    def check_jobs(self, rule: Rule, sizes: Sequence[int]) -> None:
        """Raise WorkflowError when the product of `sizes` is more jobs than there is room for."""
        if product_up_to(sizes, self.jobs) > self.jobs:
            raise _failure(rule, f"would become {_factors(sizes)} jobs", self.jobs, "jobs")

    def take_paths(self, rule: Rule, sizes: Sequence[int]) -> None:
        """Use up the product of `sizes`. Raises WorkflowError when that is too many paths."""
        count = product_up_to(sizes, self.paths)
        if count > self.paths:
            did = f"would join {_factors(sizes)} paths"
            raise _failure(rule, did, self.paths, "paths")
        self.paths -= count

    def take_characters(self, rule: Rule, count: int) -> None:
        """Use up characters of filled text. Raises WorkflowError when they are too many."""
        if count > self.characters:
            did = f"would become {count} characters of text"
            raise _failure(rule, did, self.characters, "characters")
        self.characters -= count


def product_up_to(sizes: Sequence[int], most: int) -> int:
    """Multiply, and stop early above `most`: the true product may have thousands of digits."""
    total = 1
    if 0 in sizes:
        return 0
    for size in sizes:
        total *= size
        if total > most:
            break
    return total


def _factors(sizes: Sequence[int]) -> str:
    shown = [str(size) for size in sizes if size != 1] or ["1"]
    if len(shown) > _SHOWN_FACTORS:
        shown = [*shown[:_SHOWN_FACTORS], f"… ({len(shown)} lists)"]
    return " × ".join(shown)


def _failure(rule: Rule, did: str, left: int, what: str) -> Exception:
    message = f"rule '{rule.name}' {did}, and only {max(left, 0)} more {what} are allowed"
    hint = "use shorter lists or texts, or split the workflow"
    return workflow_failure([error(UNUSABLE, message, rule=rule.name, suggestion=hint)])
