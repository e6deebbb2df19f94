"""Definitions for tests: as clients write them, and as the strategy has defaulted them."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from apiserver.api.gvk import GroupVersionKind
from apiserver.registry.kinds.apiextensions import CustomResourceDefinitionStrategy
from apiserver.registry.strategy import RegistryOptions

Object = dict[str, Any]
GVK = GroupVersionKind("apiextensions.k8s.io", "v1", "CustomResourceDefinition")
ROOT = "spec.validation.openAPIV3Schema"


def version(name: str = "v1", schema: Object | None = None, **more: Any) -> Object:
    """The storage version, unless it says otherwise."""
    return {
        "name": name,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema if schema is not None else {"type": "object"}},
        **more,
    }


def definition(*versions: Object, plural: str = "widgets", kind: str = "Widget", **spec: Any) -> Object:
    return {
        "kind": GVK.kind,
        "apiVersion": GVK.group_version,
        "metadata": {"name": f"{plural}.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": plural, "kind": kind},
            "versions": list(versions) or [version()],
            **spec,
        },
    }


def strategy() -> CustomResourceDefinitionStrategy:
    return CustomResourceDefinitionStrategy(GVK, False, RegistryOptions())


def created(obj: Object) -> Object:
    """As it is stored."""
    result = deepcopy(obj)
    chosen = strategy()
    chosen.default(result)
    chosen.prepare_for_create(result)
    result["metadata"].setdefault("uid", "u1")
    return result


def complaints(obj: Object) -> list[str]:
    return [error.message() for error in strategy().validate(created(obj))]


def about_schema(schema: Object, **more: Any) -> list[str]:
    """What is wrong with a schema, with paths below it."""
    found = complaints(definition(version(schema=schema, **more)))
    return [text.replace(f"{ROOT}.", "").replace(f"{ROOT}:", ":") for text in found]


def established(obj: Object, **names: Any) -> Object:
    """As the controller leaves it."""
    result = created(obj)
    result["status"]["acceptedNames"] = {**result["spec"]["names"], **names}
    result["status"]["conditions"] = [
        {"type": "NamesAccepted", "status": "True"},
        {"type": "Established", "status": "True"},
    ]
    return result
