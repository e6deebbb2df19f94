"""Rules for FlowSchemas (``pkg/apis/flowcontrol/validation``). Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from apiserver.api import meta, names
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
from apiserver.validation.domains import label, subdomain

Object = dict[str, Any]
Options = Mapping[str, Any]

_SPEC: Final = Path("spec")
_MAX_PRECEDENCE: Final = 10000
_METHODS: Final = ("ByNamespace", "ByUser")
_VERBS: Final = frozenset(
    ("get", "list", "create", "update", "delete", "deletecollection", "patch", "watch", "proxy")
)
_SUBJECTS: Final = {"Group": "group", "ServiceAccount": "serviceAccount", "User": "user"}
_NAMESPACE_INTRO: Final = "each member of this list must be '*' or a DNS-1123 label; "


def validate_flow_schema(obj: Object, options: Options) -> list[FieldError]:
    spec, name = obj.get("spec") or {}, meta.name(obj)
    found = _precedence(spec.get("matchingPrecedence") or 0, name)
    method = spec.get("distinguisherMethod")
    if method is not None and method.get("type") not in _METHODS:
        where = _SPEC.child("distinguisherMethod", "type")
        found.append(not_supported(where, go_struct(method), _METHODS))
    level, where = (
        (spec.get("priorityLevelConfiguration") or {}).get("name") or "",
        _SPEC.child("priorityLevelConfiguration", "name"),
    )
    found += subdomain(level, where) if level else [required(where, "must reference a priority level")]
    for at, rule in enumerate(spec.get("rules") or ()):
        found += _rule(rule, _SPEC.child("rules").index(at))
    fixed = _MANDATORY.get(name)
    if fixed is not None and spec != fixed:
        found.append(invalid(_SPEC, go_struct(spec), f"spec of '{name}' must equal the fixed value"))
    return found + conditions(obj.get("status") or {})


def _precedence(value: int, name: str) -> list[FieldError]:
    path, found = _SPEC.child("matchingPrecedence"), []
    if value <= 0:
        found.append(invalid(path, value, "must be a positive value"))
    if value > _MAX_PRECEDENCE:
        found.append(invalid(path, value, f"must not be greater than {_MAX_PRECEDENCE}"))
    if value == 1 and name != "exempt":
        text = "only the schema named 'exempt' may have matchingPrecedence 1"
        found.append(invalid(path, value, text))
    return found


def _rule(rule: Object, path: Path) -> list[FieldError]:
    subjects, found = rule.get("subjects") or (), []
    for at, subject in enumerate(subjects):
        found += _subject(subject, path.child("subjects").index(at))
    if not subjects:
        found.append(required(path.child("subjects"), "subjects must contain at least one value"))
    resources, urls = rule.get("resourceRules") or (), rule.get("nonResourceRules") or ()
    if not resources and not urls:
        text = "at least one of resourceRules and nonResourceRules has to be non-empty"
        found.append(required(path, text))
    for at, entry in enumerate(resources):
        found += _resource_rule(entry, path.child("resourceRules").index(at))
    for at, entry in enumerate(urls):
        found += _url_rule(entry, path.child("nonResourceRules").index(at))
    return found


def _subject(subject: Object, path: Path) -> list[FieldError]:
    kind = subject.get("kind") or ""
    own = _SUBJECTS.get(kind)
    if own is None:
        return [not_supported(path.child("kind"), kind, tuple(_SUBJECTS))]
    value, where = subject.get(own), path.child(own)
    if value is None:
        found = [required(where, f"{own} is required when subject kind is '{kind}'")]
    else:
        found = _account(value, where) if kind == "ServiceAccount" else _name(value, where)
    for other, field in _SUBJECTS.items():
        if field != own and subject.get(field) is not None:
            text = f"{field} is forbidden when subject kind is not '{other}'"
            found.append(forbidden(path.child(field), text))
    return found


def _name(value: Object, path: Path) -> list[FieldError]:
    return [] if value.get("name") else [required(path.child("name"))]


def _account(value: Object, path: Path) -> list[FieldError]:
    name, namespace, where = value.get("name") or "", value.get("namespace") or "", path.child("namespace")
    found = _name(value, path)
    if name not in ("", "*"):
        found += subdomain(name, path.child("name"))
    if not namespace:
        return [*found, required(where, "must specify namespace for service account")]
    return found + label(namespace, where)


def _list(
    values: list[str], path: Path, missing: str, others: str, check: Callable[[str, Path], list[FieldError]]
) -> list[FieldError]:
    """A list of values, or '*' alone."""
    if not values:
        return [required(path, missing)] if missing else []
    if "*" in values:
        text = f"if '*' is present, must not specify other {others}"
        return [invalid(path, values, text)] if len(values) > 1 else []
    return [error for at, value in enumerate(values) for error in check(value, path.index(at))]


def _verbs(verbs: list[str], path: Path) -> list[FieldError]:
    found = _list(verbs, path, "verbs must contain at least one value", "verbs", _anything)
    if verbs and "*" not in verbs and not _VERBS.issuperset(verbs):
        found.append(not_supported(path, verbs, _VERBS))
    return found


def _anything(value: str, path: Path) -> list[FieldError]:
    return []


def _resource_rule(rule: Object, path: Path) -> list[FieldError]:
    found = _verbs(rule.get("verbs") or [], path.child("verbs"))
    for field, noun in (("apiGroups", "api group"), ("resources", "resource")):
        missing = f"resource rules must supply at least one {noun}"
        found += _list(rule.get(field) or [], path.child(field), missing, f"{noun}s", _anything)
    missing = "resource rules that are not cluster scoped must supply at least one namespace"
    missing = "" if rule.get("clusterScope") else missing
    namespaces = rule.get("namespaces") or []
    return found + _list(namespaces, path.child("namespaces"), missing, "namespaces", _namespace)


def _namespace(value: str, path: Path) -> list[FieldError]:
    return [invalid(path, value, _NAMESPACE_INTRO + text) for text in names.check_dns1123_label(value)]


def _url_rule(rule: Object, path: Path) -> list[FieldError]:
    found = _verbs(rule.get("verbs") or [], path.child("verbs"))
    missing = "nonResourceURLs must contain at least one value"
    urls = rule.get("nonResourceURLs") or []
    return found + _list(urls, path.child("nonResourceURLs"), missing, "non-resource URLs", _url)


def _url(value: str, path: Path) -> list[FieldError]:
    """The first complaint only."""
    stars = value.count("*")
    complaints = (
        (not value, "must not be empty"),
        (not value.startswith("/"), "must start with slash"),
        (" " in value, "must not contain white-space"),
        ("//" in value, "must not contain double slash"),
        (stars > 1 or (stars and not value.endswith("/*")), "wildcard can only do suffix matching"),
    )
    return [invalid(path, value, text) for applies, text in complaints if applies][:1]


def conditions(status: Object) -> list[FieldError]:
    """Of FlowSchemas and PriorityLevelConfigurations alike."""
    found: list[FieldError] = []
    seen: set[str] = set()
    for at, condition in enumerate(status.get("conditions") or ()):
        kind, path = condition.get("type") or "", Path("status").child("conditions").index(at).child("type")
        if kind in seen:
            found.append(duplicate(path, kind))
        seen.add(kind)
        if not kind:
            found.append(required(path, "must not be empty"))
    return found


def validate_status(status: Object, old: Object) -> list[FieldError]:
    return conditions(status)


def _everything(*groups: str) -> list[Object]:
    everything = {
        "verbs": ["*"],
        "apiGroups": ["*"],
        "resources": ["*"],
        "clusterScope": True,
        "namespaces": ["*"],
    }
    urls = {"verbs": ["*"], "nonResourceURLs": ["*"]}
    subjects = [{"kind": "Group", "group": {"name": name}} for name in groups]
    return [{"subjects": subjects, "resourceRules": [everything], "nonResourceRules": [urls]}]


_MANDATORY: Final[Mapping[str, Object]] = {
    "exempt": {
        "priorityLevelConfiguration": {"name": "exempt"},
        "matchingPrecedence": 1,
        "rules": _everything("system:masters"),
    },
    "catch-all": {
        "priorityLevelConfiguration": {"name": "catch-all"},
        "matchingPrecedence": _MAX_PRECEDENCE,
        "distinguisherMethod": {"type": "ByUser"},
        "rules": _everything("system:unauthenticated", "system:authenticated"),
    },
}
"""Specs that nobody changes (``internalbootstrap``)."""
