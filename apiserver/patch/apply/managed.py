"""(P) `metadata.managedFields`, read and written: who owns which fields, in which version, since when.

A manager is told from others by name, operation, subresource and, for updates, the version; an applier is the same
in every version. Entries are written in the order operation, time, manager, version, subresource.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from apiserver.api.field_errors import quote
from apiserver.patch.apply.fieldset import FieldSet, ordered, parse, union

APPLY: Final = "Apply"
UPDATE: Final = "Update"
MOST_UPDATERS: Final = 10
ANCIENT: Final = "ancient-changes"
BEFORE_FIRST_APPLY: Final = "before-first-apply"
UNKNOWN: Final = "unknown"


class BadManagedFields(ValueError):
    """Entries that cannot be read; the message is the original's."""


class Manager(NamedTuple):
    """``version`` is empty for appliers."""

    name: str
    operation: str
    version: str = ""
    subresource: str = ""

    @classmethod
    def of(cls, name: str, operation: str, version: str, subresource: str) -> Manager:
        return cls(name or UNKNOWN, operation, version if operation == UPDATE else "", subresource)

    def identifier(self) -> str:
        """By which managers are sorted in messages."""
        given = {
            "manager": self.name,
            "operation": self.operation,
            "apiVersion": self.version,
            "subresource": self.subresource,
        }
        return json.dumps({key: value for key, value in given.items() if value}, separators=(",", ":"))

    def shown(self) -> str:
        """As conflicts name it: `"m" with subresource "status" using v1`."""
        text = quote(self.name)
        if self.subresource:
            text += f" with subresource {quote(self.subresource)}"
        return f"{text} using {self.version}" if self.operation == UPDATE else text


class Owned(NamedTuple):
    """The fields of one manager, in the version that they were recorded in."""

    fields: FieldSet
    version: str
    applied: bool


Owners = dict[Manager, Owned]


@dataclass(slots=True)
class Managed:
    """``times`` has those managers that ever changed something."""

    owners: Owners = field(default_factory=dict)
    times: dict[Manager, str] = field(default_factory=dict)


def is_reset(entries: Any) -> bool:
    """Whether a client asks to forget all managers: an empty list, or one with an empty entry."""
    if not isinstance(entries, list):
        return False
    return not entries or (len(entries) == 1 and not entries[0])


def decode(entries: Any, *, trusted: bool = False) -> Managed:
    """``trusted``: they come from the store, where they are in canonical form. Raises BadManagedFields."""
    managed = Managed()
    for at, entry in enumerate(entries or ()):
        operation, version = entry.get("operation"), entry.get("apiVersion") or ""
        _check(entry, operation, version, at)
        raw = entry.get("fieldsV1")
        manager = Manager(
            entry.get("manager") or "",
            operation,
            version if operation == UPDATE else "",
            entry.get("subresource") or "",
        )
        try:
            fields = (raw or {}) if trusted else parse(raw)
        except ValueError as exc:
            raise BadManagedFields(f"error decoding versioned set: {exc}") from None
        managed.owners[manager] = Owned(fields, version, operation == APPLY)
        if entry.get("time"):
            managed.times[manager] = entry["time"]
    return managed


def _check(entry: Any, operation: Any, version: str, at: int) -> None:
    if operation not in (APPLY, UPDATE):
        raise BadManagedFields("operation must be `Apply` or `Update`")
    if not version:
        raise BadManagedFields("apiVersion must not be empty")
    kind = entry.get("fieldsType") or ""
    if not kind:
        raise BadManagedFields(f"missing fieldsType in managed fields entry {at}")
    if kind != "FieldsV1":
        raise BadManagedFields(f"invalid fieldsType {quote(kind)} in managed fields entry {at}")


def encode(managed: Managed) -> list[dict[str, Any]] | None:
    """None where nobody owns anything."""
    entries = [
        _entry(manager, owned, managed.times.get(manager)) for manager, owned in managed.owners.items()
    ]
    entries.sort(key=_order)
    return entries or None


def _entry(manager: Manager, owned: Owned, time: str | None) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "manager": manager.name,
        "operation": manager.operation,
        "apiVersion": owned.version,
    }
    if time:
        entry["time"] = time
    entry["fieldsType"] = "FieldsV1"
    entry["fieldsV1"] = ordered(owned.fields)
    if manager.subresource:
        entry["subresource"] = manager.subresource
    return entry


def _order(entry: dict[str, Any]) -> tuple[str, ...]:
    return (
        entry["operation"],
        entry.get("time", ""),
        entry["manager"],
        entry["apiVersion"],
        entry.get("subresource", ""),
    )


def cap(managed: Managed) -> None:
    """No more than `MOST_UPDATERS` entries of updates: the oldest of each version become one."""
    updaters = [manager for manager, owned in managed.owners.items() if not owned.applied]
    surplus = len(updaters) - MOST_UPDATERS
    if surplus <= 0:
        return
    updaters.sort(key=lambda manager: (managed.times.get(manager, ""), manager.identifier()))
    first: dict[str, Manager] = {}
    for manager in updaters:
        if surplus <= 0:
            return
        version = managed.owners[manager].version
        if version in first:
            _bury(managed, manager, first[version])
            surplus -= 1
        else:
            first[version] = manager


def _bury(managed: Managed, manager: Manager, first: Manager) -> None:
    """Move a manager's fields into the common entry of its version, which the first such one becomes."""
    owners, times = managed.owners, managed.times
    owned = owners[manager]
    bucket = Manager(ANCIENT, UPDATE, owned.version)
    if bucket not in owners:
        owners[bucket] = owners.pop(first)
    owners[bucket] = owned._replace(fields=union(owned.fields, owners[bucket].fields))
    if manager != bucket:
        del owners[manager]
    if manager in times:
        times[bucket] = times[manager]
    else:
        times.pop(bucket, None)
