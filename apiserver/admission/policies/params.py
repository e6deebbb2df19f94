"""The params of a policy for one binding: objects of a built-in or custom kind, by name or selector.

Asks the watch cache through the plugin's reader. Source: apiserver ``plugin/policy/generic/policy_dispatcher.go``
(``CollectParams``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

from apiserver.admission.interface import Reader
from apiserver.api.gvk import GroupVersionKind, GroupVersionResource
from apiserver.api.labels import selector_from_label_selector

Object = Mapping[str, Any]
_CLUSTERWIDE: Final = "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources"
_NO_NAMESPACE: Final = "paramRef.namespace must not be provided for a cluster-scoped `paramKind`"
_NONE_FOUND: Final = "no params found for policy binding with `Deny` parameterNotFoundAction"


class ConfigurationError(Exception):
    """The text is the original's; ``of_policy``: the fault is the policy's, not the binding's."""

    def __init__(self, text: str, *, of_policy: bool = False) -> None:
        super().__init__(text)
        self.of_policy = of_policy


class Policy(Protocol):
    """Of either kind."""

    @property
    def param_kind(self) -> GroupVersionKind | None: ...


class Binding(Protocol):
    @property
    def param_ref(self) -> Object | None: ...


class Kinds(Protocol):
    def resource_of(self, gvk: GroupVersionKind) -> tuple[GroupVersionResource, bool] | None:
        """(resource, whether it is namespaced) of a kind, None if there is no such kind."""
        ...

    async def as_served(self, obj: dict[str, Any], gvr: GroupVersionResource) -> Object:
        """A stored object in the resource's version. Raises ConversionFailed."""
        ...


async def collect(
    policy: Policy, binding: Binding, namespace: str, reader: Reader, kinds: Kinds
) -> list[Object | None]:
    """What the policy is to be run with, once each; ``[None]``: without params. Raises ConfigurationError."""
    kind, reference = policy.param_kind, binding.param_ref
    if kind is None:
        return [None]
    known = kinds.resource_of(kind)
    if known is None:
        text = f"failed to find resource referenced by paramKind: '{kind}'"
        raise ConfigurationError(text, of_policy=True)
    if reference is None:
        return [None]
    gvr, namespaced = known
    where = _namespace(reference, namespace, namespaced=namespaced)
    found = await _found(gvr, where, reference, reader)
    if not found and reference.get("parameterNotFoundAction") == "Deny":
        raise ConfigurationError(_NONE_FOUND)
    return [await kinds.as_served(obj, gvr) for obj in found]


def _namespace(reference: Object, namespace: str, *, namespaced: bool) -> str:
    given = reference.get("namespace") or ""
    if not namespaced:
        if given:
            raise ConfigurationError(_NO_NAMESPACE)
        return ""
    if not (given or namespace):
        raise ConfigurationError(_CLUSTERWIDE)
    return given or namespace


async def _found(
    gvr: GroupVersionResource, namespace: str, reference: Object, reader: Reader
) -> list[dict[str, Any]]:
    name = reference.get("name")
    if name:
        found = await reader.get(gvr, namespace, name)
        return [found] if found is not None else []
    selector = selector_from_label_selector(reference.get("selector") or {})
    candidates = await reader.list(gvr, namespace or None)
    return [obj for obj in candidates if selector.matches((obj.get("metadata") or {}).get("labels") or {})]
