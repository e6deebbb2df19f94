"""Rules for roles and their bindings (``pkg/apis/rbac/validation``). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from apiserver.api.field_errors import FieldError, Path, go_struct, invalid, not_supported, required
from apiserver.validation.domains import path_segment, subdomain

Object = dict[str, Any]
Options = Mapping[str, Any]

_GROUP: Final = "rbac.authorization.k8s.io"
_SUBJECTS: Final = ("ServiceAccount", "User", "Group")
_NO_GROUPS: Final = "resource rules must supply at least one api group"
_NO_RESOURCES: Final = "resource rules must supply at least one resource"


def validate_role(obj: Object, options: Options) -> list[FieldError]:
    return _rules(obj, namespaced=True)


def validate_cluster_role(obj: Object, options: Options) -> list[FieldError]:
    return _rules(obj, namespaced=False)


def _rules(obj: Object, *, namespaced: bool) -> list[FieldError]:
    found: list[FieldError] = []
    for at, rule in enumerate(obj.get("rules") or ()):
        path = Path("rules").index(at)
        if not rule.get("verbs"):
            found.append(required(path.child("verbs"), "verbs must contain at least one value"))
        check = _urls if rule.get("nonResourceURLs") else _resources
        found += check(rule, path, namespaced)
    return found


def _urls(rule: Object, path: Path, namespaced: bool) -> list[FieldError]:
    urls, where = rule["nonResourceURLs"], path.child("nonResourceURLs")
    found: list[FieldError] = []
    if namespaced:
        found.append(invalid(where, urls, "namespaced rules cannot apply to non-resource URLs"))
    if any(rule.get(field) for field in ("apiGroups", "resources", "resourceNames")):
        text = "rules cannot apply to both regular resources and non-resource URLs"
        found.append(invalid(where, urls, text))
    return found


def _resources(rule: Object, path: Path, namespaced: bool) -> list[FieldError]:
    resources = rule.get("resources") or ()
    found: list[FieldError] = []
    if not rule.get("apiGroups"):
        found.append(required(path.child("apiGroups"), _NO_GROUPS))
    if not resources:
        found.append(required(path.child("resources"), _NO_RESOURCES))
    if rule.get("resourceNames") and len(resources) > 1:
        text = "resource names cannot apply to multiple resources"
        found.append(required(path.child("resourceNames"), text))
    return found


def validate_role_binding(obj: Object, options: Options) -> list[FieldError]:
    return _binding(obj, ("Role", "ClusterRole"), namespaced=True)


def validate_cluster_role_binding(obj: Object, options: Options) -> list[FieldError]:
    return _binding(obj, ("ClusterRole",), namespaced=False)


def _binding(obj: Object, kinds: tuple[str, ...], *, namespaced: bool) -> list[FieldError]:
    reference, path = obj.get("roleRef") or {}, Path("roleRef")
    group, kind, name = (reference.get(field) or "" for field in ("apiGroup", "kind", "name"))
    found: list[FieldError] = []
    if group != _GROUP:
        found.append(not_supported(path.child("apiGroup"), group, (_GROUP,)))
    if kind not in kinds:
        found.append(not_supported(path.child("kind"), kind, kinds, ordered=True))
    found += path_segment(name, path.child("name")) if name else [required(path.child("name"))]
    for at, subject in enumerate(obj.get("subjects") or ()):
        found += _subject(subject, Path("subjects").index(at), namespaced=namespaced)
    return found


def _subject(subject: Object, path: Path, *, namespaced: bool) -> list[FieldError]:
    kind, name = subject.get("kind") or "", subject.get("name") or ""
    found = [] if name else [required(path.child("name"))]
    if kind == "ServiceAccount":
        return found + _account(subject, path, namespaced=namespaced)
    if kind not in _SUBJECTS:
        return [*found, not_supported(path.child("kind"), kind, _SUBJECTS, ordered=True)]
    group = subject.get("apiGroup") or ""
    if group != _GROUP:
        found.append(not_supported(path.child("apiGroup"), group, (_GROUP,)))
    return found


def _account(subject: Object, path: Path, *, namespaced: bool) -> list[FieldError]:
    name, group, found = subject.get("name") or "", subject.get("apiGroup") or "", []
    if name:
        found += subdomain(name, path.child("name"))
    if group:
        found.append(not_supported(path.child("apiGroup"), group, ("",)))
    if not namespaced and not subject.get("namespace"):
        found.append(required(path.child("namespace")))
    return found


def validate_binding_update(new: Object, old: Object, options: Options) -> list[FieldError]:
    mine, theirs = new.get("roleRef") or {}, old.get("roleRef") or {}
    if mine == theirs:
        return []
    return [invalid(Path("roleRef"), go_struct({**mine}), "cannot change roleRef")]
