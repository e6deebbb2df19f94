"""A state machine for tests of the engine: a list of (index, command), optionally kept in a file."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from pathlib import Path

import cbor2

from kvstore.errors import SnapshotCorrupt
from kvstore.raft.config import Peer, Voting
from kvstore.raft.interface import SnapshotMeta


class ListMachine:
    """`apply` answers how many commands there are. `save()` makes what is applied durable."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self.commands: list[tuple[int, bytes]] = []
        self._applied = (0, 0)
        self._durable = 0
        if path is not None and path.exists():
            self._applied, self.commands = _decode(path.read_bytes())
            self._durable = self._applied[0]

    def applied(self) -> tuple[int, int]:
        return self._applied

    def durable_index(self) -> int:
        return self._durable

    def apply(self, index: int, term: int, commands: Sequence[bytes]) -> list[object]:
        assert index == self._applied[0] + 1, f"entry {index} after {self._applied[0]}"
        results: list[object] = []
        for command in commands:
            self.commands.append((index, command))
            results.append(len(self.commands))
        self._applied = (index, term)
        return results

    def voting(self) -> Voting | None:
        """The members never change."""
        return None

    def peers(self) -> dict[int, Peer]:
        return {}

    def about_members(self) -> object:
        return {}

    def former(self) -> Collection[int]:
        return ()

    def flush(self) -> None:
        """Nothing to publish."""

    def save(self) -> None:
        if self._path is not None:
            self._path.write_bytes(self._dump())
        self._durable = self._applied[0]

    def write_snapshot(self, path: Path) -> SnapshotMeta:
        data = self._dump()
        path.write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        return SnapshotMeta(0, *self._applied, len(self.commands), 0, len(data), digest)

    def prepare_snapshot(self, path: Path) -> FakePrepared:
        return FakePrepared(self, *_decode(path.read_bytes()))

    def replace(self, applied: tuple[int, int], commands: list[tuple[int, bytes]]) -> None:
        self._applied, self.commands = applied, commands
        self.save()

    def close(self) -> None:
        self.save()

    def values(self) -> list[bytes]:
        return [command for _, command in self.commands]

    def _dump(self) -> bytes:
        return cbor2.dumps([self._applied, self.commands])


class FakePrepared:
    def __init__(
        self, machine: ListMachine, applied: tuple[int, int], commands: list[tuple[int, bytes]]
    ) -> None:
        self._machine, self._applied, self._commands = machine, applied, commands

    def install(self) -> None:
        self._machine.replace(self._applied, self._commands)

    def discard(self) -> None:
        """Nothing to clean up."""


def _decode(data: bytes) -> tuple[tuple[int, int], list[tuple[int, bytes]]]:
    try:
        applied, commands = cbor2.loads(data)
    except cbor2.CBORError as error:
        raise SnapshotCorrupt(str(error)) from error
    return (applied[0], applied[1]), [(index, command) for index, command in commands]
