"""resource.k8s.io: what a request for devices means when it says little (``pkg/apis/resource/v1/defaults.go``)."""

from __future__ import annotations

from apiserver.api import meta
from apiserver.registry.strategy import Object, Strategy, fill


class ResourceClaimStrategy(Strategy):
    has_status = True

    def default(self, obj: Object) -> None:
        default_claim(obj.setdefault("spec", {}))


class ResourceClaimTemplateStrategy(Strategy):
    def default(self, obj: Object) -> None:
        default_claim(obj.setdefault("spec", {}).setdefault("spec", {}))


def default_claim(spec: Object) -> None:
    for request in (spec.get("devices") or {}).get("requests") or ():
        if request.get("exactly") is not None:
            _default_request(request["exactly"])
        for option in request.get("firstAvailable") or ():
            _default_request(option)


def _default_request(request: Object) -> None:
    request["allocationMode"] = request.get("allocationMode") or "ExactCount"
    if request["allocationMode"] == "ExactCount":
        request["count"] = request.get("count") or 1
    for toleration in request.get("tolerations") or ():
        toleration["operator"] = toleration.get("operator") or "Equal"


class ResourceSliceStrategy(Strategy):
    tracks_generation = True

    def default(self, obj: Object) -> None:
        """A taint counts from when it came."""
        now = meta.format_time(self.options.now())
        for device in obj.setdefault("spec", {}).get("devices") or ():
            for taint in device.get("taints") or ():
                fill(taint, timeAdded=now)
