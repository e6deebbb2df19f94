"""The one error of the `kuberaft` command: what is wrong, where, and what to do about it.

ClusterError           printed by the command line as two lines, exit code 1; nothing was changed
└── TopologyError      a topology file that does not fit its schema: also names file, line, path and value
"""

from __future__ import annotations


class ClusterError(Exception):
    """`message` says what is wrong and names the file or port; `remedy` says what to do."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n  {self.remedy}" if self.remedy else self.message


class TopologyError(ClusterError):
    """A topology file that cannot be used."""
