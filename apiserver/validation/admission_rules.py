"""Which requests webhooks and policies are asked about: rules with operations (``validateRule``). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from apiserver.api.field_errors import FieldError, Path, duplicate, invalid, not_supported, required
from apiserver.validation.domains import path_segment

Object = dict[str, Any]

_OPERATIONS: Final = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
_SCOPES: Final = ("*", "Cluster", "Namespaced")


def rule_with_operations(rule: Object, path: Path) -> list[FieldError]:
    operations, where = rule.get("operations") or [], path.child("operations")
    found = _alone(operations, where, "operations") if operations else [required(where)]
    found += [
        not_supported(where.index(at), operation, _OPERATIONS)
        for at, operation in enumerate(operations)
        if operation not in _OPERATIONS
    ]
    return found + _rule(rule, path)


def named_rule(rule: Object, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    given, where = rule.get("resourceNames") or [], path.child("resourceNames")
    for at, name in enumerate(given):
        found += path_segment(name, where.index(at))
        if name in given[:at]:
            found.append(duplicate(where.index(at), name))
    return found + rule_with_operations(rule, path)


def _alone(values: Sequence[str], path: Path, noun: str) -> list[FieldError]:
    if len(values) > 1 and "*" in values:
        return [invalid(path, values, f"if '*' is present, must not specify other {noun}")]
    return []


def _rule(rule: Object, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    for field, noun in (("apiGroups", "API groups"), ("apiVersions", "API versions")):
        values, where = rule.get(field) or [], path.child(field)
        found += _alone(values, where, noun) if values else [required(where)]
    versions, where = rule.get("apiVersions") or (), path.child("apiVersions")
    found += [required(where.index(at)) for at, version in enumerate(versions) if not version]
    found += _resources(rule.get("resources") or [], path.child("resources"))
    scope = rule.get("scope")
    if scope is not None and scope not in _SCOPES:
        found.append(not_supported(path.child("scope"), scope, _SCOPES))
    return found


def _resources(resources: list[str], path: Path) -> list[FieldError]:
    """``x``, ``x/y`` and the same with stars; what another entry already covers is refused."""
    found = [] if resources else [required(path)]
    whole: set[str] = set()
    everywhere: set[str] = set()
    bare = False  # as in the original, the last entry without a subresource decides
    for at, text in enumerate(resources):
        resource, slash, subresource = text.partition("/")
        if not text:
            found.append(required(path.index(at)))
        elif not slash:
            bare = text != "*"
        else:
            if resource in whole:
                covered = f"if '{resource}/*' is present, must not specify {text}"
                found.append(invalid(path.index(at), text, covered))
            if subresource in everywhere:
                covered = f"if '*/{subresource}' is present, must not specify {text}"
                found.append(invalid(path.index(at), text, covered))
            whole |= {resource} if subresource == "*" else set()
            everywhere |= {subresource} if resource == "*" else set()
    if len(resources) > 1 and "*/*" in resources:
        found.append(invalid(path, resources, "if '*/*' is present, must not specify other resources"))
    if "*" in resources and bare:
        text = "if '*' is present, must not specify other resources without subresources"
        found.append(invalid(path, resources, text))
    return found
