"""Warnings for writes that are accepted (the strategies' ``WarningsOnCreate`` and ``WarningsOnUpdate``). Pure.

Fed by strategies after validation; handlers send each text as a ``Warning`` header. ``old`` is None on a create.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from apiserver.api import meta, names
from apiserver.api.field_errors import Path, quote
from apiserver.validation.address_warnings import cidr_warnings, ip_warnings
from apiserver.validation.node_labels import DEPRECATED, selector_warnings, term_warnings
from apiserver.validation.pod_warnings import fractional_storage, pod_warnings, template_warnings

Object = dict[str, Any]
Warnings = Callable[[Object, Object | None], list[str]]

_SPEC: Final = Path("spec")
_ANNOTATIONS: Final = Path("metadata").child("annotations")
_BETA_CLASS: Final = "volume.beta.kubernetes.io/storage-class"
_CLASS_DEPRECATED: Final = 'deprecated since v1.8; use "storageClassName" attribute instead'
_INGRESS_CLASS: Final = "kubernetes.io/ingress.class"
_MOUNTABLE: Final = "kubernetes.io/enforce-mountable-secrets"
_TOPOLOGY_HINTS: Final = "service.kubernetes.io/topology-aware-hints"
_TOPOLOGY_MODE: Final = "service.kubernetes.io/topology-mode"
_MANY_COMPLETIONS: Final = 100_000
_MANY_PARALLEL: Final = 10_000
_HARD_TO_TRACK: Final = (
    "In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes "
    "might not be able to track completedIndexes when a big number of indexes fail"
)
_VOLUMES: Final = {
    "cephfs": ("cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    "photonPersistentDisk": ("photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    "scaleIO": ("scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    "storageos": ("storageOS", "deprecated in v1.22, non-functional in v1.25+"),
    "glusterfs": ("glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    "rbd": ("rbd", "deprecated in v1.28, non-functional in v1.31+"),
}


def _pod(new: Object, old: Object | None) -> list[str]:
    """Pods are written by programs, often: only the create is looked at."""
    return pod_warnings(new) if old is None else []


def _long_name(obj: Object) -> list[str]:
    wrong = names.check_dns1123_label(meta.name(obj))
    if not wrong:
        return []
    text = "this is used in Pod names and hostnames, which can result in surprising behavior"
    return [f"metadata.name: {text}; a DNS label is recommended: [{' '.join(wrong)}]"]


def _same_generation(new: Object, old: Object | None) -> bool:
    return old is not None and meta.generation(new) == meta.generation(old)


def _workload(new: Object, old: Object | None, *, named: bool = True) -> list[str]:
    if _same_generation(new, old):
        return []
    found = _long_name(new) if named and old is None else []
    return found + template_warnings((new.get("spec") or {}).get("template") or {}, _SPEC.child("template"))


def _stateful_set(new: Object, old: Object | None) -> list[str]:
    if _same_generation(new, old):
        return []
    found, spec = _workload(new, None, named=False), new.get("spec") or {}
    for at, claim in enumerate(spec.get("volumeClaimTemplates") or ()):
        where = _SPEC.child("volumeClaimTemplates").index(at).child("spec", "resources", "requests")
        found += fractional_storage(((claim.get("spec") or {}).get("resources") or {}).get("requests"), where)
    if (spec.get("revisionHistoryLimit") or 0) < 0:
        text = "a negative value retains all historical revisions; a value >= 0 is recommended"
        found.append(f"spec.revisionHistoryLimit: {text}")
    return found


def _pod_template(new: Object, old: Object | None) -> list[str]:
    return template_warnings(new.get("template") or {}, Path("template"))


def _job_spec(spec: Object, path: Path) -> list[str]:
    found, many = [], (spec.get("completions") or 0) > _MANY_COMPLETIONS
    if spec.get("completionMode") == "Indexed" and many and (spec.get("parallelism") or 0) > _MANY_PARALLEL:
        found.append(f"{path}: {_HARD_TO_TRACK}")
    return found + template_warnings(spec.get("template") or {}, path.child("template"))


def _job(new: Object, old: Object | None) -> list[str]:
    if _same_generation(new, old):
        return []
    return (_long_name(new) if old is None else []) + _job_spec(new.get("spec") or {}, _SPEC)


def _cron_job(new: Object, old: Object | None) -> list[str]:
    if _same_generation(new, old):
        return []
    job = ((new.get("spec") or {}).get("jobTemplate") or {}).get("spec") or {}
    return (_long_name(new) if old is None else []) + _job_spec(job, _SPEC.child("jobTemplate", "spec"))


def _service(new: Object, old: Object | None) -> list[str]:
    spec = new.get("spec") or {}
    kind, addresses = spec.get("type"), spec.get("externalIPs") or ()
    headless = kind == "ClusterIP" and spec.get("clusterIP") == "None"
    balancer = spec.get("loadBalancerIP") or ""
    found = []
    if _TOPOLOGY_HINTS in meta.annotations(new):
        found.append(f"annotation {_TOPOLOGY_HINTS} is deprecated, please use {_TOPOLOGY_MODE} instead")
    if not headless:
        found += _each_ip(spec.get("clusterIPs") or (), _SPEC.child("clusterIPs"))
    for applies, field in (
        (balancer, "loadBalancerIP"),
        (addresses, "externalIPs"),
        (spec.get("sessionAffinity") != "None", "SessionAffinity"),
    ):
        if headless and applies:
            found.append(f"spec.{field} is ignored for headless services")
    found += _each_ip(addresses, _SPEC.child("externalIPs"))
    if addresses and not headless and kind != "ExternalName":
        found.append("spec.externalIPs is deprecated and may no longer be implemented in some clusters")
    found += ip_warnings(balancer, _SPEC.child("loadBalancerIP"))
    ranges, where = spec.get("loadBalancerSourceRanges") or (), _SPEC.child("loadBalancerSourceRanges")
    found += [text for at, cidr in enumerate(ranges) for text in cidr_warnings(cidr, where.index(at))]
    if kind == "ExternalName" and addresses:
        found.append('spec.externalIPs is ignored when spec.type is "ExternalName"')
    if kind != "ExternalName" and spec.get("externalName"):
        found.append('spec.externalName is ignored when spec.type is not "ExternalName"')
    if spec.get("trafficDistribution") == "PreferClose":
        found.append('spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"')
    return found


def _each_ip(addresses: Any, path: Path) -> list[str]:
    return [text for at, address in enumerate(addresses) for text in ip_warnings(address, path.index(at))]


def _secret(new: Object, old: Object | None) -> list[str]:
    """A pair of certificate and key that Go's TLS would not load."""
    if new.get("type") != "kubernetes.io/tls":
        return []
    data = new.get("data") or {}
    fault = key_pair_fault(*(_decoded(data.get(key)) for key in ("tls.crt", "tls.key")))
    return [fault] if fault else []


def _decoded(text: str | None) -> bytes:
    try:
        return base64.b64decode(text or "")
    except binascii.Error:
        return b""


def key_pair_fault(certificate: bytes, key: bytes) -> str:
    """As ``tls.X509KeyPair`` says it."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if b"-----BEGIN CERTIFICATE-----" not in certificate:
        return "tls: failed to find any PEM data in certificate input"
    if b"-----BEGIN " not in key:
        return "tls: failed to find any PEM data in key input"
    try:
        public = x509.load_pem_x509_certificate(certificate).public_key()
    except ValueError as exc:
        return f"x509: malformed certificate: {exc}"
    try:
        own = load_pem_private_key(key, None).public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return "tls: failed to parse private key"
    return "" if own == public else "tls: private key does not match public key"


def _volume(new: Object, old: Object | None) -> list[str]:
    spec, found = new.get("spec") or {}, _beta_class(new)
    if spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        text = (
            "The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic "
            "provisioning."
        )
        found.append(f"spec.persistentVolumeReclaimPolicy: {text}")
    terms = ((spec.get("nodeAffinity") or {}).get("required") or {}).get("nodeSelectorTerms") or ()
    found += term_warnings(terms, _SPEC.child("nodeAffinity", "required", "nodeSelectorTerms"))
    return found + [
        f"{_SPEC.child(n)}: {t}" for kind, (n, t) in _VOLUMES.items() if spec.get(kind) is not None
    ]


def _beta_class(obj: Object) -> list[str]:
    if _BETA_CLASS not in meta.annotations(obj):
        return []
    return [f"{_ANNOTATIONS.key(_BETA_CLASS)}: {_CLASS_DEPRECATED}"]


def _claim(new: Object, old: Object | None) -> list[str]:
    requests = ((new.get("spec") or {}).get("resources") or {}).get("requests")
    return _beta_class(new) + fractional_storage(requests, _SPEC.child("resources", "requests"))


def _node(new: Object, old: Object | None) -> list[str]:
    spec, found = new.get("spec") or {}, []
    if spec.get("configSource") is not None:
        found.append("spec.configSource: the feature is removed")
    if spec.get("externalID"):
        found.append("spec.externalID: this field is deprecated, and is unused by Kubernetes")
    cidrs, where = spec.get("podCIDRs") or (), _SPEC.child("podCIDRs")
    return found + [text for at, cidr in enumerate(cidrs) for text in cidr_warnings(cidr, where.index(at))]


def _ingress(new: Object, old: Object | None) -> list[str]:
    if old is not None or _INGRESS_CLASS not in meta.annotations(new):
        return []
    if (new.get("spec") or {}).get("ingressClassName") is not None:
        return []
    return [f"annotation {quote(_INGRESS_CLASS)} is deprecated, please use 'spec.ingressClassName' instead"]


def _network_policy(new: Object, old: Object | None) -> list[str]:
    found = []
    for direction, side in (("ingress", "from"), ("egress", "to")):
        for at, rule in enumerate((new.get("spec") or {}).get(direction) or ()):
            for number, peer in enumerate(rule.get(side) or ()):
                block = peer.get("ipBlock") or {}
                where = _SPEC.child(direction).index(at).child(side).index(number).child("ipBlock")
                found += cidr_warnings(block.get("cidr") or "", where.child("cidr"))
                for place, cidr in enumerate(block.get("except") or ()):
                    found += cidr_warnings(cidr, where.child("except").index(place))
    return found


def _endpoint_slice(new: Object, old: Object | None) -> list[str]:
    if new.get("addressType") == "FQDN":
        return ["spec.addressType: FQDN endpoints are deprecated"]
    return [
        text
        for at, endpoint in enumerate(new.get("endpoints") or ())
        for text in _each_ip(endpoint.get("addresses") or (), Path("endpoints").index(at).child("addresses"))
    ]


def _storage_class(new: Object, old: Object | None) -> list[str]:
    path = Path("allowedTopologies")
    return [
        f"{path.index(at).child('matchLabelExpressions').index(number).child('key')}: {DEPRECATED[entry['key']]}"
        for at, term in enumerate(new.get("allowedTopologies") or ())
        for number, entry in enumerate(term.get("matchLabelExpressions") or ())
        if entry.get("key") in DEPRECATED
    ]


def _storage_capacity(new: Object, old: Object | None) -> list[str]:
    return selector_warnings(new.get("nodeTopology"), Path("nodeTopology"))


def _runtime_class(new: Object, old: Object | None) -> list[str]:
    keys = sorted((new.get("scheduling") or {}).get("nodeSelector") or ())
    return [f"scheduling.nodeSelector: {DEPRECATED[key]}" for key in keys if key in DEPRECATED]


def _service_account(new: Object, old: Object | None) -> list[str]:
    if _MOUNTABLE not in meta.annotations(new) or (old is not None and _MOUNTABLE in meta.annotations(old)):
        return []
    text = "deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets"
    return [f"{_ANNOTATIONS.key(_MOUNTABLE)}: {text}"]


WARNINGS: Final[dict[tuple[str, str], Warnings]] = {
    ("", "Node"): _node,
    ("", "PersistentVolume"): _volume,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "Pod"): _pod,
    ("", "PodTemplate"): _pod_template,
    ("", "ReplicationController"): _workload,
    ("", "Secret"): _secret,
    ("", "Service"): _service,
    ("", "ServiceAccount"): _service_account,
    ("apps", "DaemonSet"): partial(_workload, named=False),
    ("apps", "Deployment"): _workload,
    ("apps", "ReplicaSet"): _workload,
    ("apps", "StatefulSet"): _stateful_set,
    ("batch", "CronJob"): _cron_job,
    ("batch", "Job"): _job,
    ("discovery.k8s.io", "EndpointSlice"): _endpoint_slice,
    ("networking.k8s.io", "Ingress"): _ingress,
    ("networking.k8s.io", "NetworkPolicy"): _network_policy,
    ("node.k8s.io", "RuntimeClass"): _runtime_class,
    ("storage.k8s.io", "CSIStorageCapacity"): _storage_capacity,
    ("storage.k8s.io", "StorageClass"): _storage_class,
}
