"""Leases: which exist, which keys hang on them, and when their time is up.

Fed by `kvstore.txn` and `kvstore.statemachine`. What is replicated and stored is a lease's id, its TTL, the
Raft index of its last renewal and its keys. The deadline is not: each member takes it from its own clock
when it applies the renewal, and only the leader acts on it, by proposing a `LeaseExpireRequest`. A new
leader gives every lease its full TTL again (`promote`), as etcd does, so a change of leader never ends a
lease early.
"""

from __future__ import annotations

import hashlib
import heapq
import struct
from dataclasses import dataclass

from kvstore.errors import LeaseExists, LeaseTTLTooLarge
from kvstore.mvcc.backend import Backend

MAX_TTL = 9_000_000_000
"""Seconds; etcd's limit."""

_ID = struct.Struct(">q")
_TERMS = struct.Struct("<qQ")


@dataclass
class Lease:
    """`ttl` in seconds as granted; `deadline` on this member's clock."""

    id: int
    ttl: int
    renewed_at: int
    deadline: float


class Lessor:
    """All leases of one member. `now` is any monotonic clock in seconds, always the same one.

    Invariant: `_queue` holds, for every lease, an entry that is not later than its deadline.
    """

    def __init__(self, backend: Backend, now: float, min_ttl: int = 2) -> None:
        self._stored = backend.leases
        self._attached = backend.attached
        self._min_ttl = min_ttl
        self._leases: dict[int, Lease] = {}
        for key, terms in self._stored.scan(b"", b""):
            ttl, renewed_at = _TERMS.unpack(terms)
            lease_id = _ID.unpack(key)[0]
            self._leases[lease_id] = Lease(lease_id, ttl, renewed_at, now + ttl)
        self._queue = [(lease.deadline, lease.id) for lease in self._leases.values()]
        heapq.heapify(self._queue)

    def __contains__(self, lease_id: int) -> bool:
        return lease_id in self._leases

    def ids(self) -> list[int]:
        return sorted(self._leases)

    def get(self, lease_id: int) -> Lease | None:
        return self._leases.get(lease_id)

    def grant(self, lease_id: int, ttl: int, index: int, now: float) -> Lease:
        """A new lease of at least the smallest TTL. Raises `LeaseTTLTooLarge`, `LeaseExists`."""
        if ttl > MAX_TTL:
            raise LeaseTTLTooLarge
        if lease_id in self._leases:
            raise LeaseExists
        lease = self._leases[lease_id] = Lease(lease_id, max(ttl, self._min_ttl), index, now)
        self._renew(lease, index, now)
        return lease

    def renew(self, lease_id: int, index: int, now: float) -> Lease | None:
        """The lease with its full TTL again; None if there is no such lease."""
        lease = self._leases.get(lease_id)
        if lease is not None:
            self._renew(lease, index, now)
        return lease

    def remove(self, lease_id: int) -> None:
        """Forget the lease and its attachments; its keys are the caller's to delete."""
        del self._leases[lease_id]
        self._stored.delete(_ID.pack(lease_id))
        for name, _ in list(self._attached.scan(*_attached_to(lease_id))):
            self._attached.delete(name)

    def keys(self, lease_id: int) -> list[bytes]:
        """The attached keys, sorted."""
        return sorted(key for _, key in self._attached.scan(*_attached_to(lease_id)))

    def move(self, key: bytes, old: int, new: int) -> None:
        """The key hung on lease `old` and now hangs on `new`; 0 is none."""
        if old == new:
            return
        if old:
            self._attached.delete(_attachment(old, key))
        if new:
            self._attached.put(_attachment(new, key), key)

    def expired(self, now: float) -> list[int]:
        """Leases whose time is up; asked again, the same ones again, since a proposal may get lost."""
        due = []
        while self._queue and self._queue[0][0] <= now:
            deadline, lease_id = heapq.heappop(self._queue)
            lease = self._leases.get(lease_id)
            if lease is not None and lease.deadline == deadline:
                due.append(lease)
        for lease in due:
            heapq.heappush(self._queue, (lease.deadline, lease.id))
        return [lease.id for lease in due]

    def promote(self, now: float) -> None:
        """This member leads from now on: nobody knows for how long renewals could not reach a leader."""
        for lease in self._leases.values():
            lease.deadline = now + lease.ttl
        self._queue = [(lease.deadline, lease.id) for lease in self._leases.values()]
        heapq.heapify(self._queue)

    def _renew(self, lease: Lease, index: int, now: float) -> None:
        lease.renewed_at = index
        lease.deadline = now + lease.ttl
        heapq.heappush(self._queue, (lease.deadline, lease.id))
        self._stored.put(_ID.pack(lease.id), _TERMS.pack(lease.ttl, index))


def _attached_to(lease_id: int) -> tuple[bytes, bytes]:
    prefix = _ID.pack(lease_id)
    return prefix, prefix + b"\xff" * 17


def _attachment(lease_id: int, key: bytes) -> bytes:
    """A digest stands for the key, which may be longer than a table's keys may be."""
    return _ID.pack(lease_id) + hashlib.blake2b(key, digest_size=16).digest()
