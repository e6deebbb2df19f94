"""(P) Nobody grants what they do not have: which parts of some rules others do not cover, and the words for it.

Rules are broken down to one verb of one resource of one group each, so that each part is covered by a single rule or
not at all. Source: ``component-helpers/auth/rbac/validation/policy_comparator.go``, ``rbac/validation/rule.go``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from apiserver.api.field_errors import quote
from apiserver.auth.rbac import Rule
from apiserver.auth.user import User

EVERYTHING: Final[list[Rule]] = [
    {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
    {"nonResourceURLs": ["*"], "verbs": ["*"]},
]
"""What an aggregated role may come to hold: whoever makes one must have it all."""
_SHOWN: Final = {
    "apiGroups": "APIGroups",
    "resources": "Resources",
    "nonResourceURLs": "NonResourceURLs",
    "resourceNames": "ResourceNames",
    "verbs": "Verbs",
}


def uncovered(owned: Sequence[Rule], granted: Iterable[Rule]) -> list[Rule]:
    """The parts of ``granted`` that no rule of ``owned`` covers."""
    return [
        part for rule in granted for part in broken_down(rule) if not any(covers(own, part) for own in owned)
    ]


def broken_down(rule: Rule) -> Iterator[Rule]:
    verbs, names = rule.get("verbs") or (), rule.get("resourceNames") or ()
    for group in rule.get("apiGroups") or ():
        for resource in rule.get("resources") or ():
            for verb in verbs:
                part = {"apiGroups": [group], "resources": [resource], "verbs": [verb]}
                yield from ({**part, "resourceNames": [name]} for name in names) if names else (part,)
    for url in rule.get("nonResourceURLs") or ():
        yield from ({"nonResourceURLs": [url], "verbs": [verb]} for verb in verbs)


def covers(own: Rule, part: Rule) -> bool:
    """``part`` has at most one of each."""
    names = own.get("resourceNames") or ()
    return (
        _covers_all(own, part, "verbs")
        and _covers_all(own, part, "apiGroups")
        and all(_covers_resource(own, resource) for resource in part.get("resources") or ())
        and all(_covers_path(own, url) for url in part.get("nonResourceURLs") or ())
        and (not names or (bool(part.get("resourceNames")) and set(part["resourceNames"]) <= set(names)))
    )


def _covers_all(own: Rule, part: Rule, field: str) -> bool:
    values = own.get(field) or ()
    return "*" in values or set(part.get(field) or ()) <= set(values)


def _covers_resource(own: Rule, resource: str) -> bool:
    values = own.get("resources") or ()
    if "*" in values or resource in values:
        return True
    _, slash, subresource = resource.partition("/")
    return bool(slash) and f"*/{subresource}" in values


def _covers_path(own: Rule, path: str) -> bool:
    return any(
        url == path or (url.endswith("*") and path.startswith(url.rstrip("*")))
        for url in own.get("nonResourceURLs") or ()
    )


def refusal(user: User, missing: Iterable[Rule]) -> str:
    """``user "alice" (groups=["dev"]) is attempting to grant RBAC permissions not currently held: …``"""
    lines = sorted({_text(rule) for rule in _compacted(missing)})
    return (
        f"user {quote(user.name)} (groups={_list(user.groups)}) is attempting to grant RBAC permissions "
        "not currently held:\n" + "\n".join(lines)
    )


def _compacted(rules: Iterable[Rule]) -> list[Rule]:
    """Parts that differ only in their verb become one."""
    simple: dict[tuple[str, str], Rule] = {}
    others: list[Rule] = []
    for rule in rules:
        if rule.get("resourceNames") or rule.get("nonResourceURLs"):
            others.append(rule)
            continue
        key = (rule["apiGroups"][0], rule["resources"][0])
        known = simple.setdefault(key, {**rule, "verbs": []})
        known["verbs"] = [*known["verbs"], *rule["verbs"]]
    return [*others, *simple.values()]


def _text(rule: Rule) -> str:
    """``{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}``"""
    return "{" + ", ".join(f"{shown}:{_list(rule[f])}" for f, shown in _SHOWN.items() if rule.get(f)) + "}"


def _list(values: Iterable[str]) -> str:
    return "[" + " ".join(quote(value) for value in values) + "]"
