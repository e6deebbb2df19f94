"""Rules for APIServices (kube-aggregator's ``apiregistration/validation``). Pure."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final

from apiserver.api import meta, names
from apiserver.api.field_errors import FieldError, Path, invalid, not_supported, quote, required
from apiserver.validation.domains import complaints, subdomain

Object = dict[str, Any]
Options = Mapping[str, Any]

_SPEC: Final = Path("spec")
_CONDITION_STATUSES: Final = ("True", "False", "Unknown")


def validate_api_service(obj: Object, options: Options) -> list[FieldError]:
    spec, name = obj.get("spec") or {}, meta.name(obj)
    group, version = spec.get("group") or "", spec.get("version") or ""
    wanted, found = f"{version}.{group}", []
    if name and not names.check_path_segment(name) and name != wanted:
        text = f'must be `spec.version+"."+spec.group`: {quote(wanted)}'
        found.append(invalid(Path("metadata").child("name"), name, text))
    if not group and version != "v1":
        text = "only v1 may have an empty group and it better be legacy kube"
        found.append(required(_SPEC.child("group"), text))
    if group:
        found += subdomain(group, _SPEC.child("group"))
    found += complaints(names.check_dns1035_label(version), version, _SPEC.child("version"))
    for field, most in (("groupPriorityMinimum", 20000), ("versionPriority", 1000)):
        value = spec.get(field) or 0
        if not 0 < value <= most:
            found.append(invalid(_SPEC.child(field), value, f"must be positive and less than {most}"))
    return found + (_local(spec) if spec.get("service") is None else _remote(spec))


def _local(spec: Object) -> list[FieldError]:
    bundle, skips, found = base64.b64decode(spec.get("caBundle") or ""), spec.get("insecureSkipTLSVerify"), []
    if bundle:
        text = "local APIServices may not have a caBundle"
        found.append(invalid(_SPEC.child("caBundle"), f"{len(bundle)} bytes", text))
    if skips:
        text = "local APIServices may not have insecureSkipTLSVerify"
        found.append(invalid(_SPEC.child("insecureSkipTLSVerify"), skips, text))
    return found


def _remote(spec: Object) -> list[FieldError]:
    service, path = spec["service"], _SPEC.child("service")
    found = [required(path.child(field)) for field in ("namespace", "name") if not service.get(field)]
    port = service.get("port")
    if port is not None:
        wrong = ", ".join(names.check_port_number(port))
        if wrong:
            found.append(invalid(path.child("port"), port, f"port is not valid: {wrong}"))
    if spec.get("insecureSkipTLSVerify") and spec.get("caBundle"):
        text = "may not be true if caBundle is present"
        found.append(invalid(_SPEC.child("insecureSkipTLSVerify"), True, text))
    return found


def validate_status(status: Object, old: Object) -> list[FieldError]:
    found = []
    for at, condition in enumerate(status.get("conditions") or ()):
        value = condition.get("status") or ""
        if value not in _CONDITION_STATUSES:
            path = Path("status").child("conditions").index(at).child("status")
            found.append(not_supported(path, value, _CONDITION_STATUSES, ordered=True))
    return found
