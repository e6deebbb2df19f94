"""Which objects of a resource a list, watch or deletecollection concerns: scope, name, label and field selector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from apiserver.api import errors, meta
from apiserver.api.fields import FieldSelector, FieldSelectorError, parse_field_selector
from apiserver.api.labels import Selector, SelectorError, parse_selector
from apiserver.http.options import ListOptions
from apiserver.http.rest.call import served
from apiserver.storage.cacher import ResourceCache
from apiserver.storage.entry import Entry

if TYPE_CHECKING:
    from apiserver.registry.table import Resource


@dataclass(slots=True)
class Selection:
    """``prefix``: keys concerned; ``matches``: None when the prefix says it all. ``key``: the one key, if named."""

    prefix: str
    key: str
    matches: Callable[[Entry], bool] | None

    def entries(self, cache: ResourceCache, start: str = "") -> list[Entry]:
        if self.key:
            entry = cache.get(self.key)
            found = [entry] if entry is not None and self.key >= start else []
        else:
            found = cache.select(self.prefix, start)
        return found if self.matches is None else list(filter(self.matches, found))

    def filter(self) -> Callable[[Entry], bool] | None:
        """What a watcher of the whole resource filters by; None: everything concerns it."""
        matches, key, prefix = self.matches, self.key, self.prefix
        if key:
            return lambda entry: entry.key == key and (matches is None or matches(entry))
        if matches is None:
            return lambda entry: entry.key.startswith(prefix)
        return lambda entry: entry.key.startswith(prefix) and matches(entry)


def select(resource: Resource, namespace: str, options: ListOptions, name: str = "") -> Selection:
    """Raises 400 for selectors that cannot be read or name unknown fields."""
    labels, fields = _parse(resource, options)
    prefix = resource.storage_prefix + "/" + (f"{namespace}/" if namespace and resource.namespaced else "")
    wanted = name or fields.exact("metadata.name") or ""
    scope = namespace or fields.exact("metadata.namespace") or ""
    key = resource.key(scope, wanted) if wanted and (scope or not resource.namespaced) else ""
    return Selection(prefix, key, _matcher(resource, labels, fields))


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

    def matches(entry: Entry) -> bool:
        obj = entry.object()
        if not labels.empty() and not labels.matches(meta.labels(obj)):
            return False
        return fields.empty() or fields.matches(strategy.select_fields(served(resource, obj)))

    return matches
