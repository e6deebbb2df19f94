"""(P) Ownership of the number of replicas, as the scale subresource sees it and gives it back.

Who owns `.spec.replicas` of a workload owns the same field of its Scale, whose version is another. What a scale
request takes, the owners in the workload lose. The entry of a new owner has no time, as in the original.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from apiserver.patch.apply import managed
from apiserver.patch.apply.fieldset import difference, has, of_paths
from apiserver.patch.apply.managed import Managed, Manager, Owned

SCALE_VERSION: Final = "autoscaling/v1"
Path = tuple[str, ...]
Paths = Mapping[str, Path | None]
IN_SCALE: Final[Path] = ("f:spec", "f:replicas")


def to_scale(entries: Any, paths: Paths) -> list[dict[str, Any]] | None:
    """``paths``: by version of the workload, where its replicas are; None: nowhere. Raises BadManagedFields."""
    parent = managed.decode(entries, trusted=True)
    scale = Managed()
    for manager, owned in parent.owners.items():
        path = paths.get(owned.version)
        if path is None or not has(owned.fields, path):
            continue
        scale.owners[manager] = Owned(of_paths(IN_SCALE), SCALE_VERSION, owned.applied)
        if manager in parent.times:
            scale.times[manager] = parent.times[manager]
    return managed.encode(scale)


def to_parent(entries: Any, scale_entries: Any, version: str, paths: Paths) -> Any:
    """The workload's entries after a request in ``version``. Entries of unknown versions are dropped."""
    parent, scale = managed.decode(entries, trusted=True), managed.decode(scale_entries, trusted=True)
    result = Managed(times=parent.times)
    claims = dict(scale.owners)
    for manager, owned in parent.owners.items():
        if owned.version not in paths:
            continue
        path, fields = paths[owned.version] or (), owned.fields
        if has(fields, path) and claims.pop(_in_scale(manager), None) is None:
            fields = difference(fields, of_paths(path))
        if fields:
            result.owners[manager] = owned._replace(fields=fields)
    for manager, owned in claims.items():
        if has(owned.fields, IN_SCALE):
            parent_manager = manager if owned.applied else manager._replace(version=version)
            fields = of_paths(paths[version] or IN_SCALE)
            result.owners[parent_manager] = Owned(fields, version, owned.applied)
    return managed.encode(result)


def _in_scale(manager: Manager) -> Manager:
    """Updaters are told apart by version too, and a Scale has its own."""
    return manager._replace(version=SCALE_VERSION) if manager.operation == managed.UPDATE else manager
