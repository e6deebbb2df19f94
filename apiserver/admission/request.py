"""(P) The AdmissionRequest of a write: what webhooks are sent, and what expressions see as ``request``.

Source: apiserver ``pkg/admission/plugin/webhook/request`` and ``plugin/cel`` (``CreateAdmissionRequest``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from apiserver.admission.interface import Attributes
from apiserver.admission.matching import Match, namespace_of
from apiserver.api.gvk import GroupVersionKind, GroupVersionResource

Object = dict[str, Any]
_OPTIONS: Final[Mapping[str, str]] = {
    "CREATE": "CreateOptions",
    "UPDATE": "UpdateOptions",
    "DELETE": "DeleteOptions",
}


def _kind(gvk: GroupVersionKind) -> Object:
    return {"group": gvk.group, "version": gvk.version, "kind": gvk.kind}


def _resource(gvr: GroupVersionResource) -> Object:
    return {"group": gvr.group, "version": gvr.version, "resource": gvr.resource}


def _options(write: Attributes) -> Object | None:
    kind = _OPTIONS.get(write.operation)
    return {"kind": kind, "apiVersion": "meta.k8s.io/v1", **write.options} if kind is not None else None


def admission_request(write: Attributes, match: Match) -> Object:
    """Without uid, object and oldObject. Fields that are empty are left out, as in the original."""
    request = {
        "kind": _kind(match.gvk),
        "resource": _resource(match.gvr),
        "subResource": write.subresource,
        "requestKind": _kind(write.gvk),
        "requestResource": _resource(write.gvr),
        "requestSubResource": write.subresource,
        "name": write.name,
        "namespace": namespace_of(write),
        "operation": write.operation,
        "userInfo": write.user.info(),
    }
    given: Object = {name: value for name, value in request.items() if value}
    given["dryRun"] = write.dry_run
    options = _options(write)
    return given if options is None else {**given, "options": options}
