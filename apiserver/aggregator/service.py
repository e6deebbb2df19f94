"""(P) An APIService, read: which group version it stands for, who serves it, and how it ranks in discovery."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from apiserver.api.conditions import get_condition
from apiserver.crd.definition import rank

Object = Mapping[str, Any]
GroupVersion = tuple[str, str]
AVAILABLE: Final = "Available"
MANAGED: Final = "kube-aggregator.kubernetes.io/automanaged"
"""Label of what this server registers by itself: ``onstart`` built-in ones, ``true`` custom resources."""
DEFAULT_PORT: Final = 443


class Reference(NamedTuple):
    """The Service of a remote APIService."""

    namespace: str
    name: str
    port: int

    @property
    def host(self) -> str:
        """The name that its certificate must have."""
        return f"{self.name}.{self.namespace}.svc"

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}:{self.port}"


@dataclass(frozen=True, slots=True)
class ApiService:
    """``service`` None: served by this server. ``bundle``: base64 of PEM, as it is written. ``managed``: by this server
    itself, see MANAGED. ``reason``: that of its condition.
    """

    name: str
    group: str
    version: str
    service: Reference | None
    bundle: str
    insecure: bool
    group_priority: int
    version_priority: int
    managed: str
    available: bool
    reason: str

    @property
    def path(self) -> str:
        """Where its discovery document is."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    @property
    def target(self) -> tuple[Any, ...]:
        """What its availability depends on, besides the Service."""
        return self.group, self.version, self.service, self.bundle, self.insecure


def read(obj: Object) -> ApiService:
    spec, metadata = obj.get("spec") or {}, obj["metadata"]
    condition = get_condition(dict(obj), AVAILABLE) or {}
    return ApiService(
        metadata["name"],
        spec.get("group") or "",
        spec.get("version") or "",
        _reference(spec.get("service")),
        spec.get("caBundle") or "",
        bool(spec.get("insecureSkipTLSVerify")),
        spec.get("groupPriorityMinimum") or 0,
        spec.get("versionPriority") or 0,
        (metadata.get("labels") or {}).get(MANAGED) or "",
        condition.get("status") == "True",
        condition.get("reason") or "",
    )


def _reference(given: Object | None) -> Reference | None:
    if given is None:
        return None
    return Reference(given.get("namespace") or "", given.get("name") or "", given.get("port") or DEFAULT_PORT)


def ordered(known: Iterable[ApiService]) -> dict[str, list[str]]:
    """Versions by group: groups by falling priority and name of the APIService, versions by theirs and by their kind.

    As ``SortedByGroupAndVersion`` of kube-aggregator.
    """
    groups: dict[str, list[ApiService]] = {}
    for item in sorted(known, key=lambda item: (-item.group_priority, item.name)):
        groups.setdefault(item.group, []).append(item)
    return {group: _versions(items) for group, items in groups.items()}


def _versions(items: Sequence[ApiService]) -> list[str]:
    newest = sorted(items, key=lambda item: rank(item.version))
    return [item.version for item in sorted(newest, key=lambda item: -item.version_priority)]
