"""Which plugin changed which fields of a new object, for the record of the request.

Used by `chain` where a trail is kept (``apiserver.trail``). A plugin that puts another object in the place of the one
it was shown (webhooks, policies) is found by that. Those that change objects in place say which fields they may change
(`Plugin.changes`); only these are looked at, only in new objects, and mostly only whether they still hold the same
value: what no plugin changes costs nearly nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from apiserver.admission.interface import CREATE, Attributes, Plugin
from apiserver.api import codec
from apiserver.api.changes import paths
from apiserver.api.meta import Object
from apiserver.trail import Trail

_NOTHING: Final[tuple[()]] = ()


class Field(NamedTuple):
    """``inside``: the value itself may be changed, not only be replaced by another."""

    part: str
    key: str
    inside: bool
    path: str

    @classmethod
    def of(cls, text: str) -> Field:
        """``spec/tolerations``, or ``spec/containers/`` for what is changed inside."""
        part, key, *rest = text.split("/")
        return cls(part, key, bool(rest), f"/{part}/{key}")


Rows = tuple[tuple[Plugin, tuple[Field, ...]], ...]


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
                (plugin, tuple(map(Field.of, plugin.changes.get(resource, ())))) for plugin in self._plugins
            )
        return found


def look(obj: Object | None, fields: Sequence[Field]) -> list[Any]:
    """To be compared after the plugin by `note`; holds the values, so that no other can have their place."""
    found: list[Any] = []
    last, values = "", dict[str, Any]()
    for part, key, inside, _ in fields:
        if part != last:
            last, values = part, (obj or {}).get(part) or {}
        value = values.get(key)
        found.append(codec.dumps(value) if inside and value else value)
    return found


def note(
    trail: Trail,
    plugin: Plugin,
    before: Object | None,
    obj: Object | None,
    fields: Sequence[Field],
    seen: list[Any],
) -> None:
    """What the plugin has changed, if anything."""
    if obj is not before:
        changed = paths(before, obj)
    else:
        changed = [
            field.path
            for field, was, now in zip(fields, seen, look(obj, fields), strict=True)
            if was is not now and was != now
        ]
    if changed:
        trail.changed.append((plugin.name, changed))
