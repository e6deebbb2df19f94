"""Rules for admission policies and their bindings (``pkg/apis/admissionregistration/validation``). Pure.

The structure only: whether an expression compiles is not decided here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
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
from apiserver.validation.admission_rules import named_rule
from apiserver.validation.common import label_selector
from apiserver.validation.domains import path_segment, qualified, subdomain
from apiserver.validation.webhooks import (
    FAILURE_POLICIES,
    MATCH_POLICIES,
    REINVOCATION_POLICIES,
    choice,
    match_conditions,
)

Object = dict[str, Any]
Options = Mapping[str, Any]

_SPEC: Final = Path("spec")
_ACTIONS: Final = ("Audit", "Deny", "Warn")
_REASONS: Final = ("Forbidden", "Invalid", "RequestEntityTooLarge")
_NOT_FOUND_ACTIONS: Final = ("Deny", "Allow")
_PATCH_TYPES: Final = {"ApplyConfiguration": "applyConfiguration", "JSONPatch": "jsonPatch"}
_MAX_ANNOTATIONS: Final = 20
_MAX_VALUE_EXPRESSION: Final = 5 * 1024
_IDENTIFIER: Final = re.compile("[_a-zA-Z][_a-zA-Z0-9]*")
_RESERVED: Final = frozenset(
    (
        *("true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if"),
        *("import", "let", "loop", "package", "namespace", "return", "var", "void", "while"),
    )
)
_NEITHER: Final = "validations or auditAnnotations must contain at least one item"
_EXCLUSIVE: Final = "name and selector are mutually exclusive"


def validate_policy(obj: Object, options: Options) -> list[FieldError]:
    spec = obj.get("spec") or {}
    found = _common(spec)
    checks, notes = spec.get("validations") or (), spec.get("auditAnnotations") or ()
    if not checks and not notes:
        fields = ("validations", "auditAnnotations")
        return found + [required(_SPEC.child(field), _NEITHER) for field in fields]
    for at, check in enumerate(checks):
        found += _validation(check, _SPEC.child("validations").index(at))
    return found + _annotations(notes, _SPEC.child("auditAnnotations"), meta.name(obj))


def validate_mutating_policy(obj: Object, options: Options) -> list[FieldError]:
    spec = obj.get("spec") or {}
    found, mutations, where = _common(spec), spec.get("mutations") or (), _SPEC.child("mutations")
    if not mutations:
        found.append(required(where, "mutations must contain at least one item"))
    for at, mutation in enumerate(mutations):
        found += _mutation(mutation, where.index(at))
    policy, where = spec.get("reinvocationPolicy"), _SPEC.child("reinvocationPolicy")
    return found + (choice(policy, REINVOCATION_POLICIES, where) if policy is not None else [required(where)])


def _common(spec: Object) -> list[FieldError]:
    """What policies of both kinds have."""
    policy, where, found = spec.get("failurePolicy"), _SPEC.child("failurePolicy"), []
    found += [required(where)] if policy is None else choice(policy, FAILURE_POLICIES, where)
    if spec.get("paramKind") is not None:
        found += _param_kind(spec["paramKind"], _SPEC.child("paramKind"))
    match, where = spec.get("matchConstraints"), _SPEC.child("matchConstraints")
    if match is None:
        found.append(required(where))
    else:
        found += _match(match, where)
        found += [] if match.get("resourceRules") else [required(where.child("resourceRules"))]
    found += match_conditions(spec.get("matchConditions") or (), _SPEC.child("matchConditions"))
    for at, variable in enumerate(spec.get("variables") or ()):
        found += _variable(variable, _SPEC.child("variables").index(at))
    return found


def _param_kind(param: Object, path: Path) -> list[FieldError]:
    version, kind = param.get("apiVersion") or "", param.get("kind") or ""
    found = (
        _api_version(version, path.child("apiVersion")) if version else [required(path.child("apiVersion"))]
    )
    where, wrong = path.child("kind"), names.check_dns1035_label(kind.lower())
    if not kind:
        found.append(required(where))
    elif wrong:
        text = "may have mixed case, but should otherwise match: " + ",".join(wrong)
        found.append(invalid(where, kind, text))
    return found


def _api_version(text: str, path: Path) -> list[FieldError]:
    if text.count("/") > 1:
        return [invalid(path, text, f"unexpected GroupVersion string: {text}")]
    group, _, version = text.rpartition("/")
    found: list[FieldError] = []
    wrong = names.check_dns1123_subdomain(group) if group else []
    if wrong:
        found.append(invalid(path, group, ",".join(wrong)))
    wrong = names.check_dns1035_label(version)
    if not version:
        found.append(invalid(path, text, "version must be specified"))
    elif wrong:
        found.append(invalid(path, version, ",".join(wrong)))
    return found


def _match(match: Object, path: Path) -> list[FieldError]:
    policy, where, found = match.get("matchPolicy"), path.child("matchPolicy"), []
    found += [required(where)] if policy is None else choice(policy, MATCH_POLICIES, where)
    for field in ("namespaceSelector", "objectSelector"):
        if match.get(field) is None:
            found.append(required(path.child(field)))
        found += label_selector(match.get(field), path.child(field))
    for field in ("resourceRules", "excludeResourceRules"):
        for at, rule in enumerate(match.get(field) or ()):
            found += named_rule(rule, path.child(field).index(at))
    return found


def _variable(variable: Object, path: Path) -> list[FieldError]:
    name, found = variable.get("name") or "", []
    if not name.strip():
        found.append(required(path.child("name"), "name is not specified"))
    elif not _IDENTIFIER.fullmatch(name) or name in _RESERVED:
        found.append(invalid(path.child("name"), name, "name is not a valid CEL identifier"))
    return found + _expression(variable, "expression", path)


def _expression(holder: Object, field: str, path: Path) -> list[FieldError]:
    if (holder.get(field) or "").strip():
        return []
    return [required(path.child(field), f"{field} is not specified")]


def _validation(check: Object, path: Path) -> list[FieldError]:
    found = _expression(check, "expression", path)
    words, message, reason = (check.get(f) or "" for f in ("messageExpression", "message", "reason"))
    if words and not words.strip():
        found.append(invalid(path.child("messageExpression"), words, "must be non-empty if specified"))
    if message and not message.strip():
        found.append(invalid(path.child("message"), message, "message must be non-empty if specified"))
    elif re.search(r"[\n\r]", message.strip()):
        found.append(invalid(path.child("message"), message, "message must not contain line breaks"))
    if check.get("reason") is not None and reason not in _REASONS:
        found.append(not_supported(path.child("reason"), reason, _REASONS))
    return found


def _annotations(notes: Any, path: Path, name: str) -> list[FieldError]:
    found: list[FieldError] = []
    if len(notes) > _MAX_ANNOTATIONS:
        text = f"must not have more than {_MAX_ANNOTATIONS} auditAnnotations"
        found.append(invalid(path, go_struct(list(notes)), text))
    seen: set[str] = set()
    for at, note in enumerate(notes):
        key, where = note.get("key") or "", path.index(at)
        if name:
            found += qualified(f"{name}/{key}", where.child("key"))
        else:
            found.append(invalid(where.child("key"), key, "requires metadata.name be non-empty"))
        found += _expression(note, "valueExpression", where)
        if len((note.get("valueExpression") or "").strip()) > _MAX_VALUE_EXPRESSION:
            text = f"must not exceed {_MAX_VALUE_EXPRESSION} bytes in length"
            found.append(required(where.child("valueExpression"), text))
        if key in seen:
            found.append(duplicate(where.child("key"), key))
        seen.add(key)
    return found


def _mutation(mutation: Object, path: Path) -> list[FieldError]:
    kind = mutation.get("patchType") or ""
    if not kind:
        return [required(path.child("patchType"))]
    if kind not in _PATCH_TYPES:
        return [not_supported(path.child("patchType"), kind, tuple(_PATCH_TYPES))]
    field, other = _PATCH_TYPES[kind], next(f for k, f in _PATCH_TYPES.items() if k != kind)
    patch, found = mutation.get(field), []
    if patch is None:
        found.append(required(path.child(field), f"must be specified when patchType is {kind}"))
    elif not (patch.get("expression") or "").strip():
        found.append(required(path.child(field, "expression")))
    if mutation.get(other) is not None:
        text = f"must not be specified when patchType is {kind}"
        found.append(invalid(path.child(other), f"{{{other}}}", text))
    return found


def validate_binding(obj: Object, options: Options) -> list[FieldError]:
    spec = obj.get("spec") or {}
    return _binding(spec) + _actions(spec.get("validationActions") or [], _SPEC.child("validationActions"))


def validate_mutating_binding(obj: Object, options: Options) -> list[FieldError]:
    return _binding(obj.get("spec") or {})


def _binding(spec: Object) -> list[FieldError]:
    name, where = spec.get("policyName") or "", _SPEC.child("policyName")
    found = subdomain(name, where) if name else [required(where)]
    if spec.get("paramRef") is not None:
        found += _param_ref(spec["paramRef"], _SPEC.child("paramRef"))
    match = spec.get("matchResources")
    return found + (_match(match, _SPEC.child("matchResources")) if match is not None else [])


def _param_ref(reference: Object, path: Path) -> list[FieldError]:
    name, selector, found = reference.get("name") or "", reference.get("selector"), []
    if name:
        found += path_segment(name, path.child("name"))
        found += [forbidden(path.child("name"), _EXCLUSIVE)] if selector is not None else []
    found += label_selector(selector, path.child("selector"))
    if name and selector is not None:
        found.append(forbidden(path.child("selector"), _EXCLUSIVE))
    if not name and selector is None:
        found.append(required(path, "one of name or selector must be specified"))
    action, where = reference.get("parameterNotFoundAction") or "", path.child("parameterNotFoundAction")
    if not action:
        found.append(required(where))
    elif action not in _NOT_FOUND_ACTIONS:
        found.append(not_supported(where, action, _NOT_FOUND_ACTIONS, ordered=True))
    return found


def _actions(actions: list[str], path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    for at, action in enumerate(actions):
        if action not in _ACTIONS:
            found.append(not_supported(path.index(at), action, _ACTIONS))
        if action in actions[:at]:
            found.append(duplicate(path.index(at), action))
    if "Deny" in actions and "Warn" in actions:
        text = (
            "must not contain both Deny and Warn (repeating the same validation failure information in the "
            "API response and headers serves no purpose)"
        )
        found.append(invalid(path, actions, text))
    if not actions:
        found.append(required(path, "at least one validation action is required"))
    return found


def validate_policy_status(status: Object, old: Object) -> list[FieldError]:
    path, found = Path("status").child("typeChecking", "expressionWarnings"), []
    for at, warning in enumerate((status.get("typeChecking") or {}).get("expressionWarnings") or ()):
        for field in ("warning", "fieldRef"):
            if not (warning.get(field) or "").strip():
                found.append(required(path.index(at).child(field)))
    return found
