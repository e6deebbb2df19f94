"""Which objects of a resource a list, watch or deletecollection concerns: scope, name, label and field selector."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from apiserver.api import codec, errors
from apiserver.api.fields import EVERYTHING, FieldSelector, FieldSelectorError, parse_field_selector
from apiserver.api.labels import Selector, SelectorError, parse_selector
from apiserver.http.options import ListOptions
from apiserver.http.rest.call import converts, served
from apiserver.storage.cacher import ResourceCache
from apiserver.storage.entry import Entry

if TYPE_CHECKING:
    from apiserver.registry.table import Resource

_FILTERED_AT_ONCE: Final = 500


@dataclass(slots=True)
class Selection:
    """``prefix``: keys concerned. ``key``: the one key, if named. ``matches``: None when these say it all.
    ``selectors``: what was asked for, labels and fields; ``by_labels``: the labels' if it decides alone."""

    prefix: str
    key: str
    matches: Callable[[Entry], bool] | None
    selectors: tuple[Selector, FieldSelector]
    by_labels: Selector | None = None

    def page(self, cache: ResourceCache, start: str, limit: int) -> tuple[list[Entry], int]:
        """Entries from ``start`` on, and how many follow them; at most ``limit`` (0: all) if nothing is filtered."""
        if self.key:
            entry = cache.get(self.key)
            return [entry] if entry is not None and self.key >= start else [], 0
        return cache.page(self.prefix, start, 0 if self.matches else limit)

    async def filtered(self, entries: list[Entry]) -> list[Entry]:
        """Those that match; the loop is not held for long."""
        if self.matches is None:
            return entries
        matches = _remembering(self.by_labels) if self.by_labels is not None else self.matches
        found: list[Entry] = []
        for first in range(0, len(entries), _FILTERED_AT_ONCE):
            if first:
                await asyncio.sleep(0)
            found += filter(matches, entries[first : first + _FILTERED_AT_ONCE])
        return found

    @property
    def scope(self) -> str:
        """The key, or the prefix of the keys, that are looked at."""
        return self.key or self.prefix

    def covers(self, key: str) -> bool:
        return key == self.key if self.key else key.startswith(self.prefix)


def select(resource: Resource, namespace: str, options: ListOptions, name: str = "") -> Selection:
    """Raises 400 for selectors that cannot be read or name unknown fields."""
    labels, fields = _parse(resource, options)
    prefix = resource.storage_prefix + "/" + (f"{namespace}/" if namespace and resource.namespaced else "")
    wanted = name or fields.exact("metadata.name") or ""
    scope = namespace or fields.exact("metadata.namespace") or ""
    key = resource.key(scope, wanted) if wanted and (scope or not resource.namespaced) else ""
    rest = EVERYTHING if key and _is_the_key(fields, wanted, scope) else fields
    alone = labels if rest.empty() and not labels.empty() else None
    return Selection(prefix, key, _matcher(resource, labels, rest), (labels, fields), alone)


def _remembering(labels: Selector) -> Callable[[Entry], bool]:
    """For entries that live as long as the answer is used: the same labels, which they share, are looked at once."""
    known: dict[int, bool] = {}

    def matches(entry: Entry) -> bool:
        own = entry.labels()
        verdict = known.get(id(own))
        if verdict is None:
            verdict = known[id(own)] = labels.matches(own)
        return verdict

    return matches


def _is_the_key(fields: FieldSelector, name: str, namespace: str) -> bool:
    """Whether the selector asks for nothing but this name and namespace."""
    return all(
        (item.field, item.operator, item.value)
        in (("metadata.name", "=", name), ("metadata.namespace", "=", namespace))
        for item in fields.requirements
    )


def _parse(resource: Resource, options: ListOptions) -> tuple[Selector, FieldSelector]:
    try:
        labels = parse_selector(options.label_selector)
        fields = parse_field_selector(options.field_selector)
    except (SelectorError, FieldSelectorError) as exc:
        raise errors.bad_request(str(exc)) from None
    for requirement in fields.requirements:
        resource.field_labels.check(requirement.field)
    return labels, fields


def _matcher(resource: Resource, labels: Selector, fields: FieldSelector) -> Callable[[Entry], bool] | None:
    if labels.empty() and fields.empty():
        return None
    strategy = resource.strategy

    def by_labels(entry: Entry) -> bool:
        return labels.matches(entry.labels())

    parts = None if converts(resource) else strategy.selected_parts
    read = codec.excerpt(parts) if parts is not None else None

    def by_fields(entry: Entry) -> bool:
        obj = served(resource, entry.object()) if read is None else entry.excerpt(read)
        return fields.matches(strategy.select_fields(obj))

    if fields.empty():
        return by_labels
    return by_fields if labels.empty() else lambda entry: by_labels(entry) and by_fields(entry)
