"""What of pods and pod templates is allowed and yet hardly meant (``pkg/api/pod/warnings.go``). Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from apiserver.api import meta, names
from apiserver.api.field_errors import Path, quote
from apiserver.api.quantity import canonical, parse_quantity
from apiserver.validation.address_warnings import ip_warnings
from apiserver.validation.node_labels import DEPRECATED, expression_warnings, term_warnings
from apiserver.validation.path_warnings import overlapping_paths

Object = dict[str, Any]
_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED: Final = "preferredDuringSchedulingIgnoredDuringExecution"
_ANNOTATIONS: Final = {
    "scheduler.alpha.kubernetes.io/critical-pod": (
        'non-functional in v1.16+; use the "priorityClassName" field instead'
    ),
    "security.alpha.kubernetes.io/sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
    "security.alpha.kubernetes.io/unsafe-sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
}
_VOLUMES: Final = {
    "photonPersistentDisk": "deprecated in v1.11, non-functional in v1.16+",
    "gitRepo": "deprecated in v1.11, and disabled by default in v1.33+",
    "scaleIO": "deprecated in v1.16, non-functional in v1.22+",
    "flocker": "deprecated in v1.22, non-functional in v1.25+",
    "storageos": "deprecated in v1.22, non-functional in v1.25+",
    "quobyte": "deprecated in v1.22, non-functional in v1.25+",
    "glusterfs": "deprecated in v1.25, non-functional in v1.26+",
    "cephfs": "deprecated in v1.28, non-functional in v1.31+",
    "rbd": "deprecated in v1.28, non-functional in v1.31+",
}
_SHOWN_VOLUMES: Final = {"storageos": "storageOS"}
_FRACTIONAL: Final = ("memory", "ephemeral-storage")
_SECCOMP_POD: Final = "seccomp.security.alpha.kubernetes.io/pod"
_SECCOMP_CONTAINER: Final = "container.seccomp.security.alpha.kubernetes.io/"
_APP_ARMOR: Final = "container.apparmor.security.beta.kubernetes.io/"
_SECCOMP_GONE: Final = 'non-functional in v1.27+; use the "seccompProfile" field instead'
_NO_SELECTOR: Final = "a null labelSelector results in matching no pod"


def pod_warnings(pod: Object) -> list[str]:
    found = []
    wrong = names.check_dns1123_label(meta.name(pod))
    if wrong:
        found.append(
            "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label "
            f"is recommended: [{' '.join(wrong)}]"
        )
    return found + template_warnings(pod, Path(), is_template=False)


def template_warnings(template: Object, path: Path, *, is_template: bool = True) -> list[str]:
    """Runs on every create of a pod: what is not there costs no path."""
    spec, where = template.get("spec") or {}, path.child("spec")
    annotations = meta.annotations(template)
    found = _placement(spec, where)
    if annotations:
        found += _annotated(spec, annotations, path.child("metadata", "annotations"), is_template=is_template)
    if spec.get("volumes"):
        found += _volumes(spec["volumes"], where.child("volumes"))
    found += _repeated(spec, where)
    if spec.get("overhead"):
        found += _fractional(spec["overhead"], where.child("overhead"))
    for container, place in _containers(spec, where):
        found += _amounts(container.get("resources") or {}, place)
        variables = container.get("env") or ()
        found += _environment(variables, place.child("env")) if len(variables) > 1 else []
    found += _ports(spec, where)
    if (spec.get("terminationGracePeriodSeconds") or 0) < 0:
        text = "must be >= 0; negative values are invalid and will be treated as 1"
        found.append(f"{where.child('terminationGracePeriodSeconds')}: {text}")
    return found + (
        _affinity_terms(spec["affinity"], where.child("affinity")) if spec.get("affinity") else []
    )


def _amounts(resources: Object, path: Path) -> list[str]:
    given = [field for field in ("limits", "requests") if resources.get(field)]
    return [t for field in given for t in _fractional(resources[field], path.child("resources", field))]


def _annotated(spec: Object, annotations: Any, path: Path, *, is_template: bool) -> list[str]:
    found = [f"{path.key(key)}: {text}" for key, text in _ANNOTATIONS.items() if key in annotations]
    return found + _profiles(spec, annotations, path, is_template=is_template)


def _containers(spec: Object, path: Path) -> Iterator[tuple[Object, Path]]:
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for at, container in enumerate(spec.get(field) or ()):
            yield container, path.child(field).index(at)


def _placement(spec: Object, path: Path) -> list[str]:
    """Deprecated labels of nodes, and spread constraints that match nothing."""
    if not (spec.get("nodeSelector") or spec.get("affinity") or spec.get("topologySpreadConstraints")):
        return []
    where = path.child("nodeSelector")
    keys = sorted(spec.get("nodeSelector") or ())
    found = [f"{where.key(key)}: {DEPRECATED[key]}" for key in keys if key in DEPRECATED]
    affinity, where = (
        (spec.get("affinity") or {}).get("nodeAffinity") or {},
        path.child("affinity", "nodeAffinity"),
    )
    terms = (affinity.get(_REQUIRED) or {}).get("nodeSelectorTerms") or ()
    found += term_warnings(terms, where.child(_REQUIRED, "nodeSelectorTerms"))
    for at, term in enumerate(affinity.get(_PREFERRED) or ()):
        expressions = (term.get("preference") or {}).get("matchExpressions") or ()
        place = where.child(_PREFERRED).index(at).child("preference", "matchExpressions")
        found += expression_warnings(expressions, place)
    for at, constraint in enumerate(spec.get("topologySpreadConstraints") or ()):
        place, key = path.child("topologySpreadConstraints").index(at), constraint.get("topologyKey")
        if key in DEPRECATED:
            found.append(f"{place.child('topologyKey')}: {key} is {DEPRECATED[key]}")
        if constraint.get("labelSelector") is None:
            found.append(f"{place.child('labelSelector')}: {_NO_SELECTOR}")
    return found


def _volumes(volumes: Any, path: Path) -> list[str]:
    found = []
    for at, volume in enumerate(volumes):
        for kind in () if _VOLUMES.keys().isdisjoint(volume) else _VOLUMES:
            if volume.get(kind) is not None:
                found.append(f"{path.index(at).child(_SHOWN_VOLUMES.get(kind, kind))}: {_VOLUMES[kind]}")
        template = (volume.get("ephemeral") or {}).get("volumeClaimTemplate") or {}
        requests = ((template.get("spec") or {}).get("resources") or {}).get("requests")
        where = path.index(at).child("ephemeral", "volumeClaimTemplate", "spec", "resources", "requests")
        found += fractional_storage(requests, where) if requests else []
    return found + [text for volume in volumes for text in overlapping_paths(volume)]


def fractional_storage(requests: Object | None, path: Path) -> list[str]:
    return _fraction(requests, "storage", path)


def _fractional(amounts: Object | None, path: Path) -> list[str]:
    return [text for name in _FRACTIONAL for text in _fraction(amounts, name, path)]


def _fraction(amounts: Object | None, name: str, path: Path) -> list[str]:
    amount = (amounts or {}).get(name)
    if amount is None or not parse_quantity(amount).milli_value() % 1000:
        return []
    shown = quote(canonical(amount))
    return [f"{path.key(name)}: fractional byte value {shown} is invalid, must be an integer"]


def _repeated(spec: Object, path: Path) -> list[str]:
    if not (spec.get("hostAliases") or spec.get("imagePullSecrets") or spec.get("dnsConfig")):
        return []
    found = []
    aliases, secrets = spec.get("hostAliases") or (), spec.get("imagePullSecrets") or ()
    seen: set[str] = set()
    for at, alias in enumerate(aliases):
        address, where = alias.get("ip") or "", path.child("hostAliases").index(at).child("ip")
        if address in seen:
            found.append(f"{where}: duplicate ip {quote(address)}")
        seen.add(address)
        found += ip_warnings(address, where)
    called = [secret.get("name") or "" for secret in secrets]
    place = path.child("imagePullSecrets")
    for at, name in enumerate(called):
        if name in called[:at]:
            found.append(f"{place.index(at).child('name')}: duplicate name {quote(name)}")
    found += [
        f'{place.index(at).child("name")}: invalid empty name ""' for at, n in enumerate(called) if not n
    ]
    servers = (spec.get("dnsConfig") or {}).get("nameservers") or ()
    where = path.child("dnsConfig", "nameservers")
    return found + [
        text for at, server in enumerate(servers) for text in ip_warnings(server, where.index(at))
    ]


def _profiles(spec: Object, annotations: Any, path: Path, *, is_template: bool) -> list[str]:
    """Annotations that fields have taken the place of."""
    own = spec.get("securityContext") or {}
    found = []
    if own.get("seccompProfile") is None and _SECCOMP_POD in annotations:
        found.append(f"{path.key(_SECCOMP_POD)}: {_SECCOMP_GONE}")
    for container, _ in _containers(spec, path):
        context, name = container.get("securityContext") or {}, container.get("name") or ""
        key = _SECCOMP_CONTAINER + name
        if context.get("seccompProfile") is None and key in annotations:
            found.append(f"{path.key(key)}: {_SECCOMP_GONE}")
        key, fields = _APP_ARMOR + name, (own.get("appArmorProfile"), context.get("appArmorProfile"))
        if is_template and fields == (None, None) and key in annotations:
            text = 'deprecated since v1.30; use the "appArmorProfile" field instead'
            found.append(f"{path.key(key)}: {text}")
    return found


def _environment(variables: Any, path: Path) -> list[str]:
    """A variable given twice, unless the second value is made from the first."""
    found = []
    seen: set[str] = set()
    for at, variable in enumerate(variables):
        name, value = variable.get("name") or "", variable.get("value") or ""
        reference = f"$({name})"
        extends = variable.get("valueFrom") is None and value != reference and reference in value
        if name in seen and not extends:
            text = f"hides previous definition of {quote(name)}, which may be dropped when using apply"
            found.append(f"{path.index(at)}: {text}")
        seen.add(name)
    return found


def _ports(spec: Object, path: Path) -> list[str]:
    found = []
    taken: dict[tuple[int, str], list[tuple[Path, Object]]] = {}
    for container, place in _containers(spec, path):
        for at, port in enumerate(container.get("ports") or ()):
            where = place.child("ports").index(at)
            if port.get("hostIP") and not port.get("hostPort"):
                found.append(f"{where}: hostIP set without hostPort: {_shown(port)}")
            others = taken.setdefault((port.get("containerPort") or 0, port.get("protocol") or ""), [])
            for other_place, other in others:
                clash = _clash(port, other)
                found += [f"{where}: {clash} port definition with {other_place}"] if clash else []
            others.append((where, port))
    return found


def _clash(port: Object, other: Object) -> str:
    address, number = port.get("hostIP") or "", port.get("hostPort") or 0
    other_address, other_number = other.get("hostIP") or "", other.get("hostPort") or 0
    if (address, number) == (other_address, other_number):
        return "duplicate"
    if not number or not other_number:
        return "overlapping"
    return "dangerously ambiguous" if number == other_number and bool(address) != bool(other_address) else ""


def _shown(port: Object) -> str:
    """As Go's %+v prints a ContainerPort."""
    fields = ("name", "hostPort", "containerPort", "protocol", "hostIP")
    absent = {"hostPort": 0, "containerPort": 0}
    parts = (f"{field[0].upper()}{field[1:]}:{port.get(field) or absent.get(field, '')}" for field in fields)
    return "{" + " ".join(parts) + "}"


def _affinity_terms(affinity: Object, path: Path) -> list[str]:
    found = []
    for field in ("podAffinity", "podAntiAffinity"):
        terms, where = affinity.get(field) or {}, path.child(field)
        for at, term in enumerate(terms.get(_REQUIRED) or ()):
            if term.get("labelSelector") is None:
                found.append(f"{where.child(_REQUIRED).index(at).child('labelSelector')}: {_NO_SELECTOR}")
        for at, term in enumerate(terms.get(_PREFERRED) or ()):
            if (term.get("podAffinityTerm") or {}).get("labelSelector") is None:
                place = where.child(_PREFERRED).index(at).child("podAffinityTerm", "labelSelector")
                found.append(f"{place}: {_NO_SELECTOR}")
    return found
