"""Pods: status on create, graceful deletion, field selectors."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final

from apiserver.api import meta, pods
from apiserver.registry.kinds.pod_spec import default_pod
from apiserver.registry.strategy import Object, Strategy

_SELECTABLE_SPEC: Final = ("nodeName", "restartPolicy", "schedulerName", "serviceAccountName")
_SELECTABLE_STATUS: Final = ("phase", "podIP", "nominatedNodeName")
_HOST_NETWORK: Final = "hostNetwork"


class PodStrategy(Strategy):
    has_status = True
    tracks_generation = True
    # Every kubelet watches by its node's name, so all new pods are looked at by all masters.
    selected_parts = {
        "metadata": ("name", "namespace"),
        "spec": (*_SELECTABLE_SPEC, _HOST_NETWORK),
        "status": _SELECTABLE_STATUS,
    }

    def default(self, obj: Object) -> None:
        default_pod(obj)

    def prepare_for_create(self, obj: Object) -> None:
        obj["metadata"]["generation"] = 1
        obj["status"] = {"phase": "Pending", "qosClass": pods.compute_pod_qos(obj)}
        gates = obj["spec"].get("schedulingGates")
        if gates:
            message = "Scheduling is blocked due to non-empty scheduling gates"
            condition = {
                "type": "PodScheduled",
                "status": "False",
                "lastProbeTime": None,
                "lastTransitionTime": meta.format_time(self.options.now()),
                "reason": "SchedulingGated",
                "message": message,
            }
            obj["status"]["conditions"] = [condition]

    def prepare_for_update(self, new: Object, old: Object) -> None:
        super().prepare_for_update(new, old)
        new["status"] = copy.deepcopy(old.get("status") or {})

    def graceful_delete(self, obj: Object, options: Mapping[str, Any]) -> int:
        """The asked grace period, else the pod's own; at once when nothing runs that could need it."""
        period = options.get("gracePeriodSeconds")
        if period is None:
            period = obj["spec"].get("terminationGracePeriodSeconds")
        period = 0 if period is None else int(period)
        if not obj["spec"].get("nodeName"):
            period = 0
        if pods.is_pod_terminal(obj):
            period = 0
        return 1 if period < 0 else period

    def select_fields(self, obj: Object) -> dict[str, str]:
        fields = super().select_fields(obj)
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        fields.update({f"spec.{name}": spec.get(name) or "" for name in _SELECTABLE_SPEC})
        fields.update({f"status.{name}": status.get(name) or "" for name in _SELECTABLE_STATUS})
        fields["spec.hostNetwork"] = "true" if spec.get(_HOST_NETWORK) else "false"
        return fields
