"""Which plugin changed which fields of a new object, for the record of the request.

Used by `chain` where a trail is kept (``apiserver.trail``). A plugin that puts another object in the place of the one
it was shown (webhooks, policies) is found by that. Those that change objects in place say which fields they may change
(`Plugin.changes`); only these are looked at, only in new objects, and whether they still hold the same values: what no
plugin changes costs nearly nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from apiserver.admission.interface import CREATE, Attributes, Plugin
from apiserver.api.changes import paths
from apiserver.api.meta import Object
from apiserver.trail import Trail

_NOTHING: Final[tuple[()]] = ()
_NONE: Final[Object] = {}


class Fields(NamedTuple):
    """Of one part of an object: those that are replaced by other values, and those whose members are; the paths of
    both."""

    part: str
    replaced: tuple[str, ...]
    inside: tuple[str, ...]
    paths: tuple[str, ...]

    @classmethod
    def of(cls, part: str, replaced: Sequence[str], inside: Sequence[str]) -> Fields:
        places = tuple(f"/{part}/{key}" for key in (*replaced, *inside))
        return cls(part, tuple(replaced), tuple(inside), places)


def fields_of(changes: Sequence[str]) -> tuple[Fields, ...]:
    """Of texts as ``spec/tolerations``, or ``spec/containers/`` for what is changed inside."""
    found: dict[str, tuple[list[str], list[str]]] = {}
    for text in changes:
        part, key, *inside = text.split("/")
        found.setdefault(part, ([], []))[bool(inside)].append(key)
    return tuple(Fields.of(part, replaced, inside) for part, (replaced, inside) in found.items())


Rows = tuple[tuple[Plugin, tuple[Fields, ...]], ...]


class Table:
    """Each plugin with the fields of a resource that it may change in new objects; made once for a resource."""

    def __init__(self, plugins: Sequence[Plugin]) -> None:
        self._plugins = plugins
        self._of_none = tuple((plugin, _NOTHING) for plugin in plugins)
        self._by_resource: dict[str, Rows] = {}

    def rows(self, write: Attributes) -> Rows:
        if write.operation != CREATE or write.subresource:
            return self._of_none
        resource = write.gvr.resource
        found = self._by_resource.get(resource)
        if found is None:
            found = self._by_resource[resource] = tuple(
                (plugin, fields_of(plugin.changes.get(resource, ()))) for plugin in self._plugins
            )
        return found


def look(obj: Object | None, fields: Sequence[Fields]) -> list[Any]:
    """To be compared after the plugin by `note`; holds the values, so that no other can have their place."""
    found: list[Any] = []
    for part, replaced, inside, _ in fields:
        values = (obj or _NONE).get(part) or _NONE
        found += [values.get(key) for key in replaced]
        for key in inside:
            value = values.get(key)
            found.append(_members(value) if value else value)
    return found


def _members(value: Any) -> Any:
    """A map, or the maps of a list, as they are now: none of their members is changed in place."""
    return [dict(item) for item in value] if isinstance(value, list) else dict(value)


def note(
    trail: Trail,
    plugin: Plugin,
    before: Object | None,
    obj: Object | None,
    fields: Sequence[Fields],
    seen: list[Any],
) -> None:
    """What the plugin has changed, if anything."""
    if obj is not before:
        changed = paths(before, obj)
    else:
        now = look(obj, fields)
        if now == seen:
            return
        places = (path for group in fields for path in group.paths)
        changed = [path for path, was, is_now in zip(places, seen, now, strict=True) if was != is_now]
    if changed:
        trail.changed.append((plugin.name, changed))
