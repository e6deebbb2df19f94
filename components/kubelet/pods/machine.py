"""The life of a pod on this node (P): syncing -> terminating -> terminated, never back.

Owned by `pods.worker`. As pod_workers.go: the first reason to end a pod wins, a shorter grace period may
follow, and a pod that ended stays ended whatever its spec says later.
"""

from __future__ import annotations

from enum import Enum


class Phase(Enum):
    SYNCING = "syncing"
    TERMINATING = "terminating"
    TERMINATED = "terminated"


class IllegalTransition(Exception):
    """The event cannot happen in this phase; nothing was changed."""


class Life:
    def __init__(self) -> None:
        self.phase = Phase.SYNCING
        self.grace = 0
        self.failed: tuple[str, str] | None = None  # (reason, message) if the node itself ended the pod

    def terminate(self, grace: int, failed: tuple[str, str] | None = None) -> bool:
        """Begin to end the pod, or end it sooner. True if there is something new to act on."""
        if self.phase is Phase.TERMINATED:
            return False
        if self.phase is Phase.TERMINATING:
            if grace >= self.grace:
                return False
            self.grace = grace
            return True
        self.phase, self.grace, self.failed = Phase.TERMINATING, grace, failed
        return True

    def finished(self) -> None:
        """Every container has ended."""
        if self.phase is not Phase.TERMINATING:
            raise IllegalTransition(f"a pod that is {self.phase.value} cannot have terminated")
        self.phase = Phase.TERMINATED
