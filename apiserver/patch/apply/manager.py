"""(P) The field manager: what every write does to `metadata.managedFields`, in the original's order of steps.

    update:  which entries count (the client's, or the stored ones) → ownership → identity and system fields are
             nobody's → the writer's entry: merged with its earlier one, with the time of now → cap
    apply:   type and version → an entry for all that was there before the first apply → merge, conflicts, pruning →
             the same → what a client-side apply left behind (`kubectl` only)

Fed by `apiserver.http.rest.ownership`. Objects that come in are not changed; what comes out may share with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from apiserver.patch.apply import last_applied, managed
from apiserver.patch.apply.fieldset import difference, has, of_paths, union
from apiserver.patch.apply.managed import BadManagedFields, Managed, Manager, Owned
from apiserver.patch.apply.typed import Untypable, require
from apiserver.patch.apply.updater import Conflict, Object, Updater
from apiserver.patch.errors import BadPatch, PatchFailure

_SYSTEM_FIELDS: Final = (
    "name",
    "namespace",
    "creationTimestamp",
    "selfLink",
    "uid",
    "clusterName",
    "generation",
    "managedFields",
    "resourceVersion",
)
_NOBODYS: Final = of_paths(
    ("f:apiVersion",),
    ("f:kind",),
    ("f:metadata",),
    *(("f:metadata", "f:" + name) for name in _SYSTEM_FIELDS),
)
_SELF: Final = Manager("current-operation", "")


@dataclass(slots=True)
class FieldManager:
    """Of one kind in one version, through one subresource. ``empty`` is an object of it that says nothing."""

    updater: Updater
    version: str
    kind: str
    subresource: str
    empty: Object

    def update(self, live: Object | None, new: Object, name: str, now: str) -> Object:
        """``new`` with its managedFields brought up to date; ``live`` is None when it is created.

        If that cannot be done, the entries stay as they are stored."""
        base = self.empty if live is None else live
        stored, given = _entries(base), _entries(new)
        counted = self._counted(stored, given)
        bare = _with_entries(new, None)
        if not counted.owners and live is not None:
            return bare
        try:
            entries = managed.encode(self._updated(_with_entries(base, None), bare, counted, name, now))
        except Untypable:
            entries = stored
        return _with_entries(bare, entries)

    def apply(self, live: Object | None, config: Object, name: str, force: bool, now: str) -> Object:
        """Raises BadPatch, PatchFailure and Conflict. ``live`` is None when the object does not exist."""
        self._check(config)
        base = self.empty if live is None else live
        try:
            before = managed.decode(_entries(base), trusted=True)
        except BadManagedFields as exc:
            raise PatchFailure(f"failed to decode managed fields: {exc}") from None
        base = _with_entries(base, None)
        if not before.owners:
            before = self._updated(self.empty, base, before, managed.BEFORE_FIRST_APPLY, now, capped=False)
        try:
            new, after = self._applied(base, config, before, name, force, now)
        except Conflict as conflict:
            new, after = self._migrated(conflict, base, config, before, name, now)
        new = last_applied.kept_up(new, config, name)
        return _with_entries(new, managed.encode(after))

    def _counted(self, stored: Any, given: Any) -> Managed:
        """A client may change entries, or drop them all, but not through a subresource, and not by mistake."""
        if not self.subresource and given is not None and given != stored:
            if managed.is_reset(given):
                return Managed()
            try:
                read = managed.decode(given)
            except BadManagedFields:
                read = Managed()
            if read.owners:
                return read
        elif not self.subresource and managed.is_reset(given):
            return Managed()
        try:
            return managed.decode(stored, trusted=True)
        except BadManagedFields:
            return Managed()

    def _updated(
        self, live: Object, new: Object, before: Managed, name: str, now: str, *, capped: bool = True
    ) -> Managed:
        owners = self.updater.update(live, new, self.version, before.owners, _SELF)
        after = Managed(owners, dict(before.times))
        mine = self._without_system_fields(after, _SELF)
        if mine is not None:
            del owners[_SELF]
            self._record(after, Manager.of(name, managed.UPDATE, self.version, self.subresource), mine, now)
        if capped:
            managed.cap(after)
        return after

    def _record(self, after: Managed, manager: Manager, mine: Owned, now: str) -> None:
        earlier = after.owners.get(manager)
        if earlier is not None:
            mine = mine._replace(fields=union(mine.fields, earlier.fields))
        after.owners[manager] = mine
        after.times[manager] = now

    def _without_system_fields(self, after: Managed, manager: Manager) -> Owned | None:
        owned = after.owners.get(manager)
        if owned is None:
            return None
        fields = difference(owned.fields, _NOBODYS)
        if not fields:
            del after.owners[manager]
            return None
        after.owners[manager] = owned._replace(fields=fields)
        return after.owners[manager]

    def _check(self, config: Object) -> None:
        version, kind = _text(config.get("apiVersion")), _text(config.get("kind"))
        if (version, kind) != (self.version, self.kind):
            raise BadPatch(f"invalid object type: {_gvk(version, kind)}")
        metadata = config.get("metadata")
        if isinstance(metadata, dict) and metadata.get("managedFields") is not None:
            raise BadPatch("metadata.managedFields must be nil")
        try:
            require(config, self.updater.versions.atom(self.version))
        except Untypable as exc:
            raise PatchFailure(f"failed to create typed patch object ({_title(config)}): {exc}") from None

    def _applied(
        self, live: Object, config: Object, before: Managed, name: str, force: bool, now: str
    ) -> tuple[Object, Managed]:
        manager = Manager.of(name, managed.APPLY, self.version, self.subresource)
        try:
            new, owners = self.updater.apply(live, config, self.version, dict(before.owners), manager, force)
        except Untypable as exc:
            raise PatchFailure(f"failed to create typed live object ({_title(live)}): {exc}") from None
        after = Managed(owners, dict(before.times))
        self._without_system_fields(after, manager)
        if new is None:
            return live, after
        after.times[manager] = now
        return new, after

    def _migrated(
        self, conflict: Conflict, live: Object, config: Object, before: Managed, name: str, now: str
    ) -> tuple[Object, Managed]:
        """kubectl may take what it wrote itself by client-side apply. Raises the conflicts that remain."""
        allowed = None
        if name == last_applied.MANAGER:
            allowed = last_applied.unchanged(live, self.version, self.updater.versions.atom(self.version))
        if allowed is None:
            raise conflict
        remaining = [found for found in conflict.conflicts if not has(allowed, found[1])]
        if remaining:
            raise Conflict(remaining)
        return self._applied(live, config, before, name, True, now)


def _entries(obj: Object) -> Any:
    return (obj.get("metadata") or {}).get("managedFields")


def _with_entries(obj: Object, entries: Any) -> Object:
    """A shallow copy with these managedFields; None: without any."""
    metadata = {key: value for key, value in (obj.get("metadata") or {}).items() if key != "managedFields"}
    if entries:
        metadata["managedFields"] = entries
    return {**obj, "metadata": metadata}


def _text(value: Any) -> str:
    """As the original reads a field of an object whose fields may be anything."""
    return value if isinstance(value, str) else ""


def _gvk(version: str, kind: str) -> str:
    group_version = version if "/" in version else f"/{version}"
    return f"{group_version}, Kind={kind}"


def _title(obj: Object) -> str:
    metadata = obj.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    kind = _gvk(_text(obj.get("apiVersion")), _text(obj.get("kind")))
    return f"{metadata.get('namespace') or ''}/{metadata.get('name') or ''}; {kind}"
