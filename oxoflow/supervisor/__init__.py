"""Take runs from submission to their end, and find them again after any restart."""

from oxoflow.supervisor.kinds import Kind
from oxoflow.supervisor.service import Supervisor

__all__ = ["Kind", "Supervisor"]
