"""(P) The checks of the level ``restricted``: what hardened pods say of themselves. Words are the original's."""

from __future__ import annotations

from typing import Final

from apiserver.admission.podsecurity.baseline import explicit_seccomp
from apiserver.admission.podsecurity.check import (
    Check,
    Violation,
    containers,
    inner,
    listed,
    names_where,
    on_windows,
    plural,
    quoted,
    relaxed,
    setters,
)
from apiserver.api.meta import Object

_VOLUMES: Final = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)
_NOT_ROOT: Final = "runAsNonRoot != true"


def privilege_escalation(metadata: Object, spec: Object, minor: int) -> Violation | None:
    if on_windows(spec, minor):
        return None
    names = names_where(spec, lambda c: inner(c, "allowPrivilegeEscalation") is not False)
    text = f"{listed(names)} must set securityContext.allowPrivilegeEscalation=false"
    return Violation("allowPrivilegeEscalation != false", text) if names else None


def capabilities(metadata: Object, spec: Object, minor: int) -> Violation | None:
    if on_windows(spec, minor):
        return None
    keeping = names_where(spec, lambda c: "ALL" not in (inner(c, "capabilities", "drop") or ()))
    added = {
        c["name"]: set(inner(c, "capabilities", "add") or ()) - {"NET_BIND_SERVICE"} for c in containers(spec)
    }
    adding = [name for name, bad in added.items() if bad]
    details = [f'{listed(keeping)} must set securityContext.capabilities.drop=["ALL"]'] if keeping else []
    if adding:
        bad = quoted(sorted(set().union(*added.values())))
        details.append(f"{listed(adding)} must not include {bad} in securityContext.capabilities.add")
    return Violation("unrestricted capabilities", "; ".join(details)) if details else None


def volumes(metadata: Object, spec: Object, minor: int) -> Violation | None:
    bad = {}
    for volume in spec.get("volumes") or ():
        kinds = [key for key, value in volume.items() if key != "name" and value is not None]
        if not _VOLUMES.intersection(kinds):
            bad[volume["name"]] = kinds[0] if kinds else "unknown"
    if not bad:
        return None
    types = sorted(set(bad.values()))
    verb, what = "uses" if len(bad) == 1 else "use", plural("restricted volume type", types)
    text = f"{plural('volume', bad)} {quoted(bad)} {verb} {what} {quoted(types)}"
    return Violation("restricted volume types", text)


def not_root(metadata: Object, spec: Object, minor: int) -> Violation | None:
    if relaxed(spec, minor):
        return None
    refusing = names_where(spec, lambda c: inner(c, "runAsNonRoot") is False)
    in_pod = inner(spec, "runAsNonRoot")
    if refusing or in_pod is False:
        who = setters(in_pod is False, refusing)
        return Violation(_NOT_ROOT, f"{who} must not set securityContext.runAsNonRoot=false")
    silent = names_where(spec, lambda c: inner(c, "runAsNonRoot") is None) if not in_pod else []
    text = f"pod or {listed(silent)} must set securityContext.runAsNonRoot=true"
    return Violation(_NOT_ROOT, text) if silent else None


def user(metadata: Object, spec: Object, minor: int) -> Violation | None:
    names = names_where(spec, lambda c: inner(c, "runAsUser") == 0)
    in_pod = inner(spec, "runAsUser") == 0
    if relaxed(spec, minor) or not (names or in_pod):
        return None
    return Violation("runAsUser=0", f"{setters(in_pod, names)} must not set runAsUser=0")


def seccomp(metadata: Object, spec: Object, minor: int) -> Violation | None:
    explicit = explicit_seccomp(spec)
    if on_windows(spec, minor) or explicit is not None:
        return None if on_windows(spec, minor) else explicit
    if inner(spec, "seccompProfile") is not None:
        return None
    silent = names_where(spec, lambda c: inner(c, "seccompProfile") is None)
    text = f'pod or {listed(silent)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    return Violation("seccompProfile", text) if silent else None


RESTRICTED: Final = (
    Check("allowPrivilegeEscalation", privilege_escalation, since=8),
    Check("capabilities_restricted", capabilities, since=22, instead_of="capabilities_baseline"),
    Check("restrictedVolumes", volumes, instead_of="hostPathVolumes"),
    Check("runAsNonRoot", not_root),
    Check("runAsUser", user, since=23),
    Check("seccompProfile_restricted", seccomp, since=19, instead_of="seccompProfile_baseline"),
)
