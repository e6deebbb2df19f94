"""The revisions of one object that are still kept, newest last.

Walks back from the newest: each version says at which revision it was made, the one before it is what was stored just
before that. A version costs one read of the own replica. Who made it is known from the journals, as far as they reach.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from apiserver.api import codec
from apiserver.api.journal import Record
from apiserver.api.meta import Object
from apiserver.storage.interface import Compacted, Storage, Stored

if TYPE_CHECKING:
    from apiserver.registry.table import Resource

MOST: Final = 100


class Version(NamedTuple):
    """``obj`` is None for a deletion."""

    revision: int
    obj: Object | None


class History(NamedTuple):
    """``versions`` newest last; ``oldest``: the first revision that can be read, 0 where that is not known."""

    oldest: int
    current: int
    versions: list[Version]
    complete: bool


async def history(
    storage: Storage, resource: Resource, namespace: str, name: str, deleted_at: int = 0, most: int = MOST
) -> History:
    """``deleted_at``: the revision of the deletion, if it is known that there is one."""
    key = resource.key(namespace, name)
    stored, current = await storage.get(key, linearizable=False)
    versions: list[Version] = []
    before = stored.revision if stored is not None else deleted_at
    if stored is not None:
        versions.append(Version(stored.revision, _decoded(stored)))
    elif deleted_at:
        versions.append(Version(deleted_at, None))
    oldest, complete = 0, True
    while before > 1 and versions:
        if len(versions) >= most:
            complete = False
            break
        try:
            older = await at_revision(storage, key, before - 1)
        except Compacted as gone:
            oldest, complete = gone.compact_revision, False
            break
        if older is None:
            break
        versions.append(Version(older.revision, _decoded(older)))
        before = older.revision
    return History(oldest, current, versions[::-1], complete)


async def at_revision(storage: Storage, key: str, revision: int) -> Stored | None:
    """What was stored there then. Raises Compacted, FutureRevision."""
    listed = await storage.list(key, start=key, limit=1, revision=revision, linearizable=False)
    return next((item for item in listed.items if item.key == key), None)


def _decoded(stored: Stored) -> Object:
    return codec.decode_stored(stored.value, stored.revision)


def writes(records: list[Record]) -> Mapping[int, Record]:
    """The requests by the revision that they made."""
    return {r.revision: r for r in records if r.revision is not None and r.source == "apiserver"}


def shown(found: History, records: list[Record]) -> list[dict[str, Any]]:
    """As the endpoint gives them: with who made them and when, as far as that is known."""
    by_revision = writes(records)
    items = []
    for at, version in enumerate(found.versions):
        record = by_revision.get(version.revision)
        kind = "deleted" if version.obj is None else "modified"
        if at == 0 and found.complete and version.obj is not None:
            kind = "created"
        items.append(
            {
                "revision": version.revision,
                "time": record.time if record is not None else _time_of(version),
                "type": kind,
                "user": record.detail.get("user") if record is not None else None,
                "object": version.obj,
            }
        )
    return items


def _time_of(version: Version) -> str | None:
    """When its newest owner of fields wrote, or when it was created."""
    metadata = (version.obj or {}).get("metadata") or {}
    times = [str(entry["time"]) for entry in metadata.get("managedFields") or [] if entry.get("time")]
    return max(times, default=None)
