"""Which fields a strategy resets whatever the request says: nobody comes to own them by such a request.

Facts of the original's ``GetResetFields`` and ``GetResetFieldsFilter``. The rule: a request for the object itself
resets its status, one for the status everything in the spec. Asked by :mod:`apiserver.http.rest.ownership`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from apiserver.patch.apply.fieldset import FieldSet, of_paths, only, recursive_difference
from apiserver.patch.apply.updater import Filter, keep_all

_SPEC: Final = ("f:spec",)
_STATUS: Final = ("f:status",)
_METADATA: Final = ("f:metadata",)
_CONTAINERS: Final[FieldSet] = {"*": {"f:resources": {}, "f:resizePolicy": {}}}
_CSR: Final = ("certificates.k8s.io", "CertificateSigningRequest")

_RESET: Final[dict[tuple[str, str, str], tuple[tuple[str, ...], ...]]] = {
    ("", "Pod", "status"): (
        _SPEC,
        ("f:metadata", "f:deletionTimestamp"),
        ("f:metadata", "f:ownerReferences"),
    ),
    ("", "Namespace", "finalize"): (_STATUS,),
    ("apps", "Deployment", "status"): (_SPEC, ("f:metadata", "f:labels")),
    (*_CSR, ""): (_SPEC, _STATUS),
    (*_CSR, "status"): (_SPEC, ("f:status", "f:conditions")),
    (*_CSR, "approval"): (_SPEC, ("f:status", "f:certificate")),
    ("apiextensions.k8s.io", "CustomResourceDefinition", "status"): (_METADATA, _SPEC),
    ("apiregistration.k8s.io", "APIService", "status"): (_METADATA, _SPEC),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy", "status"): (_METADATA, _SPEC),
    ("flowcontrol.apiserver.k8s.io", "FlowSchema", "status"): (_METADATA, _SPEC),
    ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration", "status"): (_METADATA, _SPEC),
    ("resource.k8s.io", "ResourceClaim", "status"): (_METADATA, _SPEC),
    ("storage.k8s.io", "VolumeAttachment", "status"): (_METADATA, _SPEC),
}
_ONLY: Final[dict[tuple[str, str, str], FieldSet]] = {
    ("", "Pod", "ephemeralcontainers"): {"f:spec": {"f:ephemeralContainers": {}}},
    ("", "Pod", "resize"): {"f:spec": {"f:containers": _CONTAINERS, "f:initContainers": _CONTAINERS}},
}


def kept(group: str, kind: str, subresource: str, has_status: bool) -> Filter:
    """Takes from a set of fields what such a request resets."""
    key = (group, kind, subresource)
    if key in _ONLY:
        return partial(only, pattern=_ONLY[key])
    if key in _RESET:
        return _without(*_RESET[key])
    if subresource == "status":
        return _WITHOUT_SPEC
    return _WITHOUT_STATUS if has_status and not subresource else keep_all


def _without(*paths: tuple[str, ...]) -> Callable[[FieldSet], FieldSet]:
    reset = of_paths(*paths)

    def filtered(fields: FieldSet) -> FieldSet:
        return recursive_difference(fields, reset)

    return filtered


_WITHOUT_SPEC: Final = _without(_SPEC)
_WITHOUT_STATUS: Final = _without(_STATUS)
