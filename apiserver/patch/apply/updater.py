"""(P) Who owns what after an update or an apply, and what an apply makes of the object.

Fed by `manager`. The rules:

- an update owns what it added or modified, and takes that from everybody else; what it removed nobody owns;
- an apply owns all that its configuration mentions. Where another manager owns a field and the apply would change it,
  that is a conflict, unless it is forced;
- what an applier mentioned last time and no longer does is removed, if nobody else owns it.

Sets stay in the version that they were recorded in; objects are converted to it to compare. Managers of a version that
is no longer served are forgotten.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from apiserver.patch.apply.atoms import Atom
from apiserver.patch.apply.compare import Comparison, compare, same
from apiserver.patch.apply.fieldset import EMPTY, FieldSet, difference, intersection, paths, union
from apiserver.patch.apply.managed import Manager, Owned, Owners
from apiserver.patch.apply.merge import merge
from apiserver.patch.apply.reconcile import reconcile
from apiserver.patch.apply.remove import remove, with_named
from apiserver.patch.apply.typed import field_set

Object = dict[str, Any]
Filter = Callable[[FieldSet], FieldSet]


class Versions(Protocol):
    """The versions of one kind."""

    def serves(self, version: str) -> bool: ...

    def atom(self, version: str) -> Atom: ...

    def convert(self, obj: Object, version: str) -> Object:
        """``obj`` (of the version it names) in another that is served; may be ``obj`` itself."""
        ...


class Conflict(Exception):
    """Other managers own what an apply would change: (manager, path of elements), by manager and path."""

    def __init__(self, conflicts: list[tuple[Manager, tuple[str, ...]]]) -> None:
        super().__init__(f"{len(conflicts)} conflicts")
        self.conflicts = conflicts


def keep_all(fields: FieldSet) -> FieldSet:
    """The filter of a strategy that resets nothing."""
    return fields


@dataclass(slots=True)
class Updater:
    """``kept`` takes from a set what the strategy would reset anyway: nobody owns that by such a request."""

    versions: Versions
    kept: Filter = keep_all

    def update(self, live: Object, new: Object, version: str, owners: Owners, manager: Manager) -> Owners:
        """Owners after ``new`` replaced ``live``; ``manager`` is not yet among them."""
        owners = self._reconciled(owners)
        changes = self._compare(live, new, version)
        owners = self._shared_out(live, new, version, owners, manager, changes, force=True)
        fields = self.kept(union(changes.modified, changes.added))
        if fields:
            owners[manager] = Owned(fields, version, applied=False)
        return owners

    def apply(
        self, live: Object, config: Object, version: str, owners: Owners, manager: Manager, force: bool
    ) -> tuple[Object | None, Owners]:
        """(the new object or None if nothing changes, owners). Raises Conflict and Untypable."""
        owners = self._reconciled(owners)
        atom = self.versions.atom(version)
        new = merge(live, config, atom)
        last = owners.get(manager)
        owners[manager] = Owned(self.kept(field_set(config, atom)), version, applied=True)
        if last is not None and last.fields:
            new = self._pruned(new, owners, version, last)
        changes = self._compare(live, new, version)
        owners = self._shared_out(live, new, version, owners, manager, changes, force)
        return (None if same(live, new) else new), owners

    def _reconciled(self, owners: Owners) -> Owners:
        """Those of versions that are served, their sets as the present types have it."""
        result: Owners = {}
        for manager, owned in owners.items():
            if self.versions.serves(owned.version):
                fields = reconcile(owned.fields, self.versions.atom(owned.version))
                result[manager] = owned if fields is owned.fields else owned._replace(fields=fields)
        return result

    def _compare(self, old: Object, new: Object, version: str) -> Comparison:
        changes = compare(old, new, self.versions.atom(version))
        return changes if changes.is_same else changes.mapped(self.kept)

    def _shared_out(
        self,
        live: Object,
        new: Object,
        version: str,
        owners: Owners,
        manager: Manager,
        changes: Comparison,
        force: bool,
    ) -> Owners:
        """Takes from the others what the change touches; those with nothing left are gone. Raises Conflict."""
        by_version = {version: changes}
        result: Owners = {}
        conflicts: list[tuple[Manager, tuple[str, ...]]] = []
        for other, owned in owners.items():
            fields = owned.fields
            if other != manager:
                seen = self._in_version(live, new, owned.version, by_version)
                taken = intersection(fields, union(seen.modified, seen.added))
                conflicts += [(other, path) for path in paths(taken)] if taken and not force else []
                fields = difference(difference(fields, taken), seen.removed)
            if fields:
                result[other] = owned if fields is owned.fields else owned._replace(fields=fields)
        if conflicts:
            raise Conflict(sorted(conflicts, key=lambda conflict: conflict[0].identifier()))
        return result

    def _in_version(
        self, live: Object, new: Object, version: str, known: dict[str, Comparison]
    ) -> Comparison:
        """The same change, seen in another version."""
        found = known.get(version)
        if found is None:
            old_there, new_there = (self.versions.convert(obj, version) for obj in (live, new))
            found = known[version] = self._compare(old_there, new_there, version)
        return found

    def _pruned(self, merged: Object, owners: Owners, version: str, last: Owned) -> Object:
        """Without what the applier no longer mentions and nobody else owns."""
        there = self.versions.convert(merged, last.version)
        atom = self.versions.atom(last.version)
        pruned = remove(there, with_named(last.fields, atom), atom) or {}
        pruned = self._with_owned(there, pruned, owners, last.version)
        pruned = self._with_unowned(there, pruned, last)
        return self.versions.convert(pruned, version)

    def _with_owned(self, merged: Object, pruned: Object, owners: Owners, first: str) -> Object:
        """Puts back what anybody owns, in each version that somebody owns something in."""
        owned: dict[str, FieldSet] = {}
        for one in owners.values():
            owned[one.version] = union(owned.get(one.version, EMPTY), one.fields)
        for version in sorted(owned, key=lambda version: version != first):
            atom = self.versions.atom(version)
            merged, pruned = self.versions.convert(merged, version), self.versions.convert(pruned, version)
            kept = union(_named_set(pruned, atom), with_named(owned[version], atom))
            pruned = remove(merged, difference(_named_set(merged, atom), kept), atom) or {}
        return pruned

    def _with_unowned(self, merged: Object, pruned: Object, last: Owned) -> Object:
        """Puts back what the applier did not own either."""
        atom = self.versions.atom(last.version)
        pruned = self.versions.convert(pruned, last.version)
        gone = difference(_named_set(merged, atom), _named_set(pruned, atom))
        result: Object = remove(merged, intersection(gone, with_named(last.fields, atom)), atom) or {}
        return result


def _named_set(obj: Object, atom: Atom) -> FieldSet:
    return with_named(field_set(obj, atom), atom)
