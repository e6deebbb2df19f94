"""Failures that stop a member, beside the store's own tree (`kvstore.errors`).

    DataLoss
    ├── DataCorrupt
    │   └── WalCorrupt      a log segment that is damaged elsewhere than in its unfinished tail
    └── WalError            the log could not be written or synced: nothing more may be acknowledged

Both name the file and the remedy. After a `WalError` the process must stop: what the kernel did with the
failed pages is unknown, so a second fsync that succeeds proves nothing.
"""

from __future__ import annotations

from kvstore.errors import DataCorrupt, DataLoss


class WalCorrupt(DataCorrupt):
    def __init__(self, path: str, offset: int, what: str) -> None:
        super().__init__(
            f"{path}: {what} at offset {offset}; the log cannot be trusted from there on. While the "
            "other members serve without it, delete this member's data directory and start it again (it copies "
            "their state); otherwise restore the cluster from a snapshot."
        )
        self.path, self.offset = path, offset


class WalError(DataLoss):
    def __init__(self, path: str, cause: OSError) -> None:
        super().__init__(
            f"{path}: cannot write the log: {cause.strerror or cause}; the member stops so that nothing is "
            "acknowledged that is not on disk. Free space or repair the disk, then start it again."
        )
        self.path = path
