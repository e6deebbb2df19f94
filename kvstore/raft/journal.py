"""The Raft log as pysyncobj wants it: a window of entries in memory, every change also queued for the WAL.

Between two syncs changes collect in `take_batch()`; the engine writes that batch and only then lets the
messages out that speak of it. The first entry of the window is the *base*: it is applied, and only its index
and term are of use. So the log of a fresh member is the base (0, 0), of a restored one that of the snapshot.

Worked example: the applied state is at 7, the WAL holds 5..9. The window opens as base 5 (kept for members
that lag), 6..9; pysyncobj starts with applied = commit = 7 and learns anew that 8 and 9 are committed.
"""

from __future__ import annotations

import logging
from typing import NamedTuple

from pysyncobj.journal import Journal

from kvstore.errors import DataCorrupt
from kvstore.raft.messages import CHANGE, NO_OP
from kvstore.raft.records import (
    BASE_RECORD,
    ENTRY,
    ENTRY_RECORD,
    STATE,
    STATE_RECORD,
    base_record,
    entry_record,
    state_record,
)
from kvstore.raft.wal import Batch, Wal

log = logging.getLogger(__name__)


class Entry(NamedTuple):
    """Compares equal to the plain tuples that pysyncobj handles. `command` begins with its type byte."""

    command: bytes
    index: int  # type: ignore[assignment]  # tuple.index, which nothing here calls
    term: int


class WalJournal(Journal):  # type: ignore[misc]  # pysyncobj ships no types
    def __init__(self, wal: Wal) -> None:
        self._wal = wal
        self._entries: list[Entry] = [Entry(NO_OP, 0, 0)]
        self._bytes = 0
        self._term, self._vote = 0, 0
        self._pending: list[bytes] = []
        self._pending_index = 0
        self._changes: list[int] = []

    def open(self, applied: tuple[int, int], *, first_start: tuple[int, int] = (0, 0)) -> None:
        """Read the WAL and align it with the applied state's (index, term).

        `first_start` is where the applied state of a data directory without a log must stand: a log that is
        simply gone is refused, since its vote and its acknowledged entries are gone with it.
        """
        found = self._wal.open()
        if not self._wal.segments:
            self._create(applied, first_start)
            return
        self._replay(found)
        self._align(*applied)

    def _create(self, applied: tuple[int, int], first_start: tuple[int, int]) -> None:
        if applied != first_start:
            raise DataCorrupt(
                f"the write-ahead log is missing, but the applied state is at index {applied[0]} (a new "
                f"member's would be at {first_start[0]}): delete this member's data directory if the others are "
                "healthy, else restore the cluster from a snapshot"
            )
        self._entries = [Entry(NO_OP, *applied)]
        self._term = applied[1]
        self._wal.create(self._state())

    def _replay(self, found: list[tuple[int, bytes]]) -> None:
        entries: list[Entry] = []
        for kind, payload in found:
            if kind == STATE_RECORD:
                self._term, self._vote = STATE.unpack(payload)
            elif kind == BASE_RECORD:
                entries = [Entry(NO_OP, *ENTRY.unpack(payload))]
            elif kind == ENTRY_RECORD:
                index, term = ENTRY.unpack_from(payload)
                self._replay_entry(entries, Entry(payload[ENTRY.size :], index, term))
            else:
                raise DataCorrupt(f"write-ahead log: unknown record type {kind}: written by a newer version?")
        self._entries = entries

    @staticmethod
    def _replay_entry(entries: list[Entry], entry: Entry) -> None:
        """An entry replaces what it conflicts with; that may be all, if the older segments are gone."""
        if entries:
            keep = max(0, entry.index - entries[0].index)
            if keep > len(entries):
                raise DataCorrupt(
                    f"write-ahead log: entry {entry.index} follows {entries[-1].index}: entries are missing; "
                    "delete this member's data directory if the others are healthy, else restore"
                )
            del entries[keep:]
        entries.append(entry)

    def _align(self, index: int, term: int) -> None:
        """Check that the log reaches the applied entry; one that ends before it or forked is of no use.

        That happens when a snapshot was installed, or when a committed entry reached the applied state's disk
        before the log's, and the process died in between.
        """
        if self._entries and self._entries[0].index > index:
            first = self._entries[0]
            if first.index > index + 1:
                raise DataCorrupt(
                    f"the applied state ends at index {index}, but the log begins at {first.index}: entries "
                    "are missing; delete this member's data directory if the others are healthy, else restore"
                )
            self._entries.insert(0, Entry(NO_OP, index, term))
        if self.term_at(index) != term:
            self.reset(index, term)
        self._bytes = sum(len(entry.command) for entry in self._entries)
        self._changes = [entry.index for entry in self._entries if entry.command[:1] == CHANGE]

    # What the guard, the core and the engine ask.

    @property
    def base(self) -> Entry:
        return self._entries[0]

    @property
    def last(self) -> Entry:
        return self._entries[-1]

    @property
    def bytes_held(self) -> int:
        return self._bytes

    def entry(self, index: int) -> Entry:
        return self._entries[index - self._entries[0].index]

    def term_at(self, index: int) -> int | None:
        """None if the window does not hold that index."""
        at = index - self._entries[0].index if self._entries else -1
        return self._entries[at].term if 0 <= at < len(self._entries) else None

    def void_changes(self, after: int) -> None:
        """Make later entries that would change the members say nothing (a cluster is begun anew from this log)."""
        first = next((index for index in self._changes if index > after), None)
        if first is None:
            return
        tail = self._entries[first - self.base.index :]
        self.deleteEntriesFrom(first - self.base.index)
        for entry in tail:
            self.add(NO_OP if entry.command[:1] == CHANGE else entry.command, entry.index, entry.term)

    @property
    def changes(self) -> list[int]:
        """Indices of the entries in the window that change the members, in order."""
        return self._changes

    def reset(self, index: int, term: int) -> None:
        """Forget everything; the log begins behind (index, term)."""
        self._changes = []
        self._entries = [Entry(NO_OP, index, term)]
        self._bytes = len(NO_OP)
        self._queue(base_record(index, term))

    def forget_before(self, index: int) -> None:
        """Make `index` the base of the window (memory only)."""
        count = index - self._entries[0].index
        if count > 0:
            self._bytes -= sum(len(entry.command) for entry in self._entries[:count])
            del self._entries[:count]
            self._changes = [change for change in self._changes if change >= index]

    def take_batch(self) -> Batch | None:
        """What must be synced before any message that speaks of it leaves; None if nothing changed."""
        if not self._pending:
            return None
        batch = Batch(b"".join(self._pending), self._pending_index, self._state())
        self._pending.clear()
        self._pending_index = 0
        return batch

    def _state(self) -> bytes:
        """What a new segment begins with: it must be readable when all older ones are gone.

        Without a base record: it would make the reader forget older segments that are still there.
        """
        records = state_record(self._term, self._vote)
        return records if self._wal.segments else base_record(self.base.index, self.base.term) + records

    def _queue(self, record: bytes) -> None:
        self._pending.append(record)

    # pysyncobj's Journal.

    def add(self, command: bytes, idx: int, term: int) -> None:
        self._entries.append(Entry(command, idx, term))
        self._bytes += len(command)
        self._queue(entry_record(idx, term, command))
        self._pending_index = max(self._pending_index, idx)
        if command[:1] == CHANGE:
            self._changes.append(idx)

    def deleteEntriesFrom(self, entryFrom: int) -> None:
        """No record of its own: pysyncobj truncates only to add a conflicting entry, which replaces the rest."""
        self._bytes -= sum(len(entry.command) for entry in self._entries[entryFrom:])
        del self._entries[entryFrom:]
        end = self._entries[-1].index if self._entries else -1
        self._changes = [change for change in self._changes if change <= end]

    def deleteEntriesTo(self, entryTo: int) -> None:
        raise NotImplementedError("the engine trims the log itself")

    def clear(self) -> None:
        raise NotImplementedError("the engine resets the log itself")

    def __getitem__(self, item: int | slice) -> Entry | list[Entry]:
        return self._entries[item]

    def __len__(self) -> int:
        return len(self._entries)

    def _destroy(self) -> None:
        pass

    def setCurrentTerm(self, term: int, votedForNodeId: int | None) -> None:
        self._term, self._vote = term, votedForNodeId or 0
        self._queue(state_record(self._term, self._vote))

    def getCurrentTerm(self) -> int:
        return self._term

    def getVotedForNodeId(self) -> int | None:
        return self._vote or None

    def setRaftCommitIndex(self, raftCommitIndex: int) -> None:
        """Not kept: what is committed is learnt anew, and never less than what is applied."""

    def getRaftCommitIndex(self) -> int:
        raise NotImplementedError("the node starts from the applied index")
