"""The contract between the Raft engine and the applied state it drives.

The engine (`kvstore.raft.engine`) feeds committed entries; the applied state (`kvstore.statemachine`
over LMDB) consumes them. Neither imports the other: `kvstore.member` joins them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kvstore.raft.config import Peer, Voting


@dataclass(frozen=True)
class SnapshotMeta:
    """What a snapshot file says of itself. `index`, `term`: Raft's, `revision`: the store's, `size` in bytes."""

    cluster_id: int
    index: int
    term: int
    revision: int
    compact_revision: int
    size: int
    sha256: str


class PreparedSnapshot(Protocol):
    """Either is called once, on the event loop's thread."""

    def install(self) -> None:
        """Replace the whole state by the snapshot."""

    def discard(self) -> None:
        """It is not wanted any more."""


class StateMachine(Protocol):
    """The applied state. All calls but `write_snapshot` and `prepare_snapshot` come from one thread, the event loop's.

    Invariants: entries arrive in index order without gaps; after a restart they resume at `applied()[0] + 1`;
    an entry at or below `applied()[0]` is ignored. Bad commands are answered with error *values*: raising
    from `apply` means that this member's state can no longer be trusted and stops the process.
    """

    def applied(self) -> tuple[int, int]:
        """(Raft index, Raft term) of the last applied entry, durable or not."""

    def durable_index(self) -> int:
        """Highest applied index that survives power loss: the log may be trimmed up to it."""

    def apply(self, index: int, term: int, commands: Sequence[bytes]) -> list[object]:
        """Apply one entry; the results (or error values) in the order of its commands."""

    def voting(self) -> Voting | None:
        """The members after what is applied; None where they are not known. Asked after each change."""

    def about_members(self) -> object:
        """What a joining member is told, as plain values."""

    def peers(self) -> dict[int, Peer]:
        """Where to reach them, this one included; empty where they are not known."""

    def former(self) -> Collection[int]:
        """Those that were removed. Not every member that is not there was: a snapshot may be from before it joined."""

    def flush(self) -> None:
        """End of a batch of entries, and ten times a second: publish events, commit to disk when due."""

    def save(self) -> None:
        """Return when all that is applied survives power loss."""

    def write_snapshot(self, path: Path) -> SnapshotMeta:
        """Write a consistent copy of the applied state. Runs in a thread beside `apply`."""

    def prepare_snapshot(self, path: Path) -> PreparedSnapshot:
        """Verify the file and do all that takes long. Runs in a thread beside `apply`. Raises `SnapshotCorrupt`
        and the like, changing nothing."""

    def close(self) -> None:
        """Commit what is pending and release the files."""
