"""Core kinds without pods: Namespace, Node, Secret, LimitRange, ResourceQuota, Endpoints."""

from __future__ import annotations

import base64
import copy
from collections.abc import Mapping
from typing import Any, Final

from apiserver.registry.strategy import Object, Strategy, fill

NAMESPACE_FINALIZER: Final = "kubernetes"


class NamespaceStrategy(Strategy):
    has_status = True

    def default(self, obj: Object) -> None:
        labels = obj["metadata"].setdefault("labels", {})
        name = obj["metadata"].get("name")
        if name:
            labels["kubernetes.io/metadata.name"] = name

    def prepare_for_create(self, obj: Object) -> None:
        self.default(obj)
        obj["status"] = {"phase": "Active"}
        finalizers = obj.setdefault("spec", {}).setdefault("finalizers", [])
        if NAMESPACE_FINALIZER not in finalizers:
            finalizers.append(NAMESPACE_FINALIZER)

    def prepare_for_update(self, new: Object, old: Object) -> None:
        new["spec"] = copy.deepcopy(old.get("spec") or {})
        new["status"] = copy.deepcopy(old.get("status") or {})

    def select_fields(self, obj: Object) -> dict[str, str]:
        phase = (obj.get("status") or {}).get("phase") or ""
        return {**super().select_fields(obj), "status.phase": phase}


class NodeStrategy(Strategy):
    """Kubelets register with their status, so a node keeps what it is created with."""

    has_status = True
    keeps_status_on_write = True

    def default(self, obj: Object) -> None:
        spec, status = obj.setdefault("spec", {}), obj.setdefault("status", {})
        if spec.get("podCIDR") and not spec.get("podCIDRs"):
            spec["podCIDRs"] = [spec["podCIDR"]]
        if status.get("capacity") and status.get("allocatable") is None:
            status["allocatable"] = dict(status["capacity"])

    def prepare_for_update(self, new: Object, old: Object) -> None:
        new["status"] = copy.deepcopy(old.get("status") or {})

    def select_fields(self, obj: Object) -> dict[str, str]:
        unschedulable = "true" if (obj.get("spec") or {}).get("unschedulable") else "false"
        return {**super().select_fields(obj), "spec.unschedulable": unschedulable}


class SecretStrategy(Strategy):
    def default(self, obj: Object) -> None:
        fill(obj, type="Opaque")
        texts: Mapping[str, Any] = obj.pop("stringData", None) or {}
        if texts:
            data = obj.setdefault("data", {})
            data.update({key: base64.b64encode(text.encode()).decode() for key, text in texts.items()})

    def prepare_for_update(self, new: Object, old: Object) -> None:
        if not new.get("type"):
            new["type"] = old.get("type")

    def select_fields(self, obj: Object) -> dict[str, str]:
        return {**super().select_fields(obj), "type": obj.get("type") or ""}


class LimitRangeStrategy(Strategy):
    allow_create_on_update = True

    def default(self, obj: Object) -> None:
        for limit in (obj.get("spec") or {}).get("limits") or ():
            if limit.get("type") == "Container":
                _default_container_limit(limit)

    def prepare_for_create(self, obj: Object) -> None:
        if not obj["metadata"].get("name") and not obj["metadata"].get("generateName"):
            obj["metadata"]["generateName"] = "limitrange-"


def _default_container_limit(limit: Object) -> None:
    """max is the default limit, the default limit the default request, min what remains of it."""
    default = {**(limit.get("max") or {}), **(limit.get("default") or {})}
    request = {**(limit.get("min") or {}), **default, **(limit.get("defaultRequest") or {})}
    if default:
        limit["default"] = default
    if request:
        limit["defaultRequest"] = request


class ResourceQuotaStrategy(Strategy):
    has_status = True


class EndpointsStrategy(Strategy):
    allow_create_on_update = True

    def default(self, obj: Object) -> None:
        for subset in obj.get("subsets") or ():
            for port in subset.get("ports") or ():
                fill(port, protocol="TCP")


class ServiceAccountStrategy(Strategy):
    """Of the secrets named only the names are kept: they are in the account's own namespace."""

    def prepare_for_create(self, obj: Object) -> None:
        _names_only(obj)

    def prepare_for_update(self, new: Object, old: Object) -> None:
        _names_only(new)


def _names_only(account: Object) -> None:
    if account.get("secrets"):
        account["secrets"] = [{"name": s["name"]} if s.get("name") else {} for s in account["secrets"]]
