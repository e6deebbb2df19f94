"""Records in metadata.managedFields who wrote which fields; the shell around :mod:`apiserver.patch.apply`.

Asked by the handlers of create, update, patch and the subresources for every object that a client sends, before
admission and strategies change it, so that nobody owns what the server fills in. The server's own writes are not
recorded, as in the original.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from apiserver.api import errors, meta
from apiserver.api.errors import StatusError
from apiserver.api.gvk import GroupVersionKind
from apiserver.http.rest.call import Call, served, to_stored
from apiserver.http.scope import Object, Services
from apiserver.patch.apply import elements
from apiserver.patch.apply.atoms import Atom, atom_of
from apiserver.patch.apply.manager import FieldManager
from apiserver.patch.apply.updater import Conflict, Updater
from apiserver.patch.errors import BadPatch, PatchFailure
from apiserver.registry import reset_fields
from apiserver.schema import roundtrip
from apiserver.schema.types import ApiType, Kind

if TYPE_CHECKING:
    from apiserver.registry.table import Resource

_MOST_BYTES: Final = 128


@dataclass(slots=True)
class Ownership:
    """What one client writes through one resource or subresource. ``name`` is its field manager."""

    manager: FieldManager
    services: Services
    name: str

    @classmethod
    def of(cls, call: Call, name: str) -> Ownership:
        resource = call.resource
        return cls(field_manager(call.services, resource, call.subresource), call.services, name)

    @classmethod
    def of_scale(cls, services: Services, gvk: GroupVersionKind, name: str) -> Ownership:
        """Of the Scale of a workload, which is no resource of its own."""
        atom = atom_of(services.schemas.type_of(gvk))
        updater = Updater(OneVersion(gvk.group_version, atom))
        manager = FieldManager(updater, gvk.group_version, gvk.kind, "scale", _empty(services, gvk))
        return cls(manager, services, name)

    def update(self, old: Object | None, new: Object) -> Object:
        """The new object with its managedFields; ``old`` is None when it is created."""
        return self.manager.update(old, new, self.name, self._now())

    def apply(self, old: Object | None, config: Object, force: bool) -> Object:
        """Raises the 400, 409 and 500 of server-side apply."""
        try:
            return self.manager.apply(old, config, self.name, force, self._now())
        except BadPatch as exc:
            raise errors.bad_request(str(exc)) from None
        except PatchFailure as exc:
            raise errors.unknown(str(exc)) from None
        except Conflict as conflict:
            raise _conflict(conflict) from None

    def _now(self) -> str:
        return meta.format_time(self.services.now())


def field_manager(services: Services, resource: Resource, subresource: str) -> FieldManager:
    gvk = resource.gvk
    has_status = "status" in resource.subresources
    kept = reset_fields.kept(gvk.group, gvk.kind, subresource, has_status)
    updater = Updater(ServedVersions(services, resource), kept)
    return FieldManager(updater, gvk.group_version, gvk.kind, subresource, _empty(services, gvk))


def _empty(services: Services, gvk: GroupVersionKind) -> Object:
    """An object of the kind that nobody has written to, with what Go writes all the same.

    Custom resources are no Go structs: nothing is in them that nobody wrote."""
    api_type = services.schemas.type_of(gvk)
    built_in = services.schemas.definition_name(gvk) is not None
    content = blank(api_type) if built_in and api_type is not None else {}
    return {**content, "kind": gvk.kind, "apiVersion": gvk.group_version, "metadata": {}}


def blank(api_type: ApiType) -> Object:
    """The zero value of a struct as Go writes it, shared: what is required is there, and null if it is no struct."""
    if api_type.blank is None:
        api_type.blank = _blank(api_type)
    return api_type.blank


def _blank(api_type: ApiType) -> Object:
    result = roundtrip.complete(api_type, {})
    for name, known in api_type.fields.items():
        if name not in api_type.required and name not in result:
            continue
        if known.type.kind is Kind.STRUCT and result.get(name, {}) is not None:
            result[name] = {**blank(known.type), **result.get(name, {})}
        elif known.type.kind in (Kind.LIST, Kind.MAP):
            result.setdefault(name, None)
    return result


@dataclass(slots=True)
class OneVersion:
    """A kind that is served in a single version."""

    version: str
    type: Atom

    def atom(self, _: str) -> Atom:
        return self.type

    def serves(self, version: str) -> bool:
        return version == self.version

    def convert(self, obj: Object, _: str) -> Object:
        return obj


class ServedVersions:
    """The versions in which a resource is served, to compare owners that were recorded in different ones."""

    def __init__(self, services: Services, resource: Resource) -> None:
        self._services = services
        self._resource = resource

    def atom(self, version: str) -> Atom:
        gvk = self._gvk(version)
        return atom_of(self._services.schemas.type_of(gvk) if gvk else None)

    def serves(self, version: str) -> bool:
        return version == self._resource.gvk.group_version or self._served(version) is not None

    def convert(self, obj: Object, version: str) -> Object:
        given = obj.get("apiVersion")
        if given == version:
            return obj
        source, target = self._served(str(given)), self._served(version)
        assert source is not None
        assert target is not None
        return served(target, to_stored(source, obj))

    def _gvk(self, version: str) -> GroupVersionKind | None:
        own = self._resource.gvk
        if version == own.group_version:
            return own
        try:
            return GroupVersionKind.of(version, own.kind)
        except ValueError:
            return None

    def _served(self, version: str) -> Resource | None:
        gvk = self._gvk(version)
        found = self._services.registry.kind(gvk) if gvk else None
        if found is None or found.storage_prefix != self._resource.storage_prefix:
            return None
        return found


def _conflict(conflict: Conflict) -> StatusError:
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": f"conflict with {manager.shown()}",
            "field": elements.path_text(path),
        }
        for manager, path in conflict.conflicts
    ]
    return StatusError(409, "Conflict", _message(conflict), {"causes": causes})


def _message(conflict: Conflict) -> str:
    found = conflict.conflicts
    if len(found) == 1:
        manager, path = found[0]
        text = f"conflict with {manager.shown()}: {elements.path_text(path)}"
        return f"Apply failed with 1 conflict: {text}"
    lines: list[str] = []
    last: Any = None
    for manager, path in found:
        if manager != last:
            lines.append(f"conflicts with {manager.shown()}:")
        lines.append(f"- {elements.path_text(path)}")
        last = manager
    return f"Apply failed with {len(found)} conflicts: " + "\n".join(lines)


def manager_name(asked: str, user_agent: str | None) -> str:
    """The ``fieldManager`` of a request, else the part of its User-Agent before the first slash."""
    if asked:
        return asked
    agent = (user_agent or "").partition("/")[0]
    if agent.isascii() and agent.isprintable():
        return agent[:_MOST_BYTES]
    kept, size = "", 0
    for char in agent:
        if char.isprintable():
            size += len(char.encode())
            if size > _MOST_BYTES:
                break
            kept += char
    return kept
