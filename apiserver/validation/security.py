"""Security contexts of pods and containers (``validatePodSpecSecurityContext``, ``ValidateSecurityContext``). Pure."""

from __future__ import annotations

import re
from typing import Any, Final

from apiserver.api.field_errors import (
    FieldError,
    Path,
    duplicate,
    forbidden,
    go_struct,
    invalid,
    not_supported,
    required,
)

Object = dict[str, Any]
_ID: Final = "must be between 0 and 2147483647, inclusive"
_SYSCTL_FMT: Final = r"([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SYSCTL: Final = re.compile(_SYSCTL_FMT)
_SYSCTL_MAX: Final = 253
_SECCOMP: Final = ("Localhost", "RuntimeDefault", "Unconfined")
_GROUP_POLICIES: Final = ("OnRootMismatch", "Always")


def validate_pod_security(spec: Object, path: Path) -> list[FieldError]:
    context = spec.get("securityContext")
    if not context:
        return []
    found = [error for field in ("fsGroup", "runAsUser", "runAsGroup") for error in _id(context, field, path)]
    for at, group in enumerate(context.get("supplementalGroups") or ()):
        if not 0 <= group <= 2**31 - 1:
            found.append(invalid(path.child("supplementalGroups").index(at), group, _ID))
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        text = "ShareProcessNamespace and HostPID cannot both be enabled"
        found.append(invalid(path.child("shareProcessNamespace"), True, text))
    found += _sysctls(spec, path.child("sysctls"))
    policy = context.get("fsGroupChangePolicy")
    if policy and policy not in _GROUP_POLICIES:
        found.append(not_supported(path.child("fsGroupChangePolicy"), policy, _GROUP_POLICIES))
    return found + _profiles(context, path)


def _id(context: Object, field: str, path: Path) -> list[FieldError]:
    value = context.get(field)
    return [] if value is None or 0 <= value <= 2**31 - 1 else [invalid(path.child(field), value, _ID)]


def _sysctls(spec: Object, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    seen: set[str] = set()
    for at, sysctl in enumerate(spec["securityContext"].get("sysctls") or ()):
        name, where = sysctl.get("name") or "", path.index(at).child("name")
        if not name:
            found.append(required(where))
        elif len(name) > _SYSCTL_MAX or not _SYSCTL.fullmatch(name):
            text = f"must have at most {_SYSCTL_MAX} characters and match regex ^{_SYSCTL_FMT}$"
            found.append(invalid(where, name, text))
        elif name in seen:
            found.append(duplicate(where, name))
        seen.add(name)
    return found


def _profiles(context: Object, path: Path) -> list[FieldError]:
    seccomp, found = context.get("seccompProfile"), []
    if seccomp is not None:
        found += _profile(seccomp, path.child("seccompProfile"), "seccomp")
    apparmor = context.get("appArmorProfile")
    if apparmor is not None:
        found += _profile(apparmor, path.child("appArmorProfile"), "AppArmor")
    return found


def _profile(profile: Object, path: Path, what: str) -> list[FieldError]:
    kind, local = profile.get("type") or "", profile.get("localhostProfile")
    where = path.child("localhostProfile")
    if kind == "Localhost":
        if not local:
            return [required(where, f"must be set when {what} type is Localhost")]
        if local.startswith("/") or ".." in local.split("/"):
            text = "must be a relative path" if local.startswith("/") else "must not contain '..'"
            return [invalid(where, local, text)]
        return []
    if local is not None:
        return [invalid(where, local, f"can only be set when {what} type is Localhost")]
    if not kind:
        return [required(path.child("type"), f"type is required when {what}Profile is set")]
    return [] if kind in _SECCOMP else [not_supported(path.child("type"), kind, _SECCOMP)]


def validate_container_security(context: Object, path: Path) -> list[FieldError]:
    found = [error for field in ("runAsUser", "runAsGroup") for error in _id(context, field, path)]
    found += _profiles(context, path)
    mount = context.get("procMount")
    if mount and mount not in ("Default", "Unmasked"):
        found.append(not_supported(path.child("procMount"), mount, ("Default", "Unmasked")))
    if context.get("allowPrivilegeEscalation") is False:
        added = (context.get("capabilities") or {}).get("add") or ()
        if context.get("privileged"):
            text = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
            found.append(invalid(path, go_struct(context), text))
        if "CAP_SYS_ADMIN" in added:
            text = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
            found.append(invalid(path, go_struct(context), text))
    return found


def validate_host_namespaces(spec: Object, path: Path) -> list[FieldError]:
    """What a pod with a user namespace of its own may not share with the host."""
    if spec.get("hostUsers") is not False:
        return []
    text = "when `hostUsers` is false"
    shared = [field for field in ("hostNetwork", "hostPID", "hostIPC") if spec.get(field)]
    return [forbidden(path.child(field), text) for field in shared]
