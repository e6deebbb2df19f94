"""Node selectors and node affinity, compiled (P): nodeSelector, required terms, preferred terms.

As component-helpers' nodeaffinity: terms are ORed, requirements within a term are ANDed, an empty term
matches nothing. Operators: In, NotIn, Exists, DoesNotExist, Gt, Lt; fields: metadata.name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Requirement = tuple[str, str, tuple[str, ...]]  # key, operator, values


@dataclass(frozen=True)
class NodeTerm:
    labels: tuple[Requirement, ...]
    fields: tuple[Requirement, ...]
    weight: int = 0

    @classmethod
    def of(cls, term: Mapping[str, Any], weight: int = 0) -> NodeTerm:
        return cls(_requirements(term, "matchExpressions"), _requirements(term, "matchFields"), weight)

    def matches(self, name: str, labels: Mapping[str, str]) -> bool:
        if not self.labels and not self.fields:
            return False
        own = {"metadata.name": name}
        return all(_holds(r, labels) for r in self.labels) and all(_holds(r, own) for r in self.fields)


@dataclass(frozen=True)
class NodeAffinityTerms:
    """What a pod demands and prefers of its node."""

    selector: tuple[tuple[str, str], ...]
    required: tuple[NodeTerm, ...] | None
    preferred: tuple[NodeTerm, ...]

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> NodeAffinityTerms:
        section = (spec.get("affinity") or {}).get("nodeAffinity") or {}
        required = section.get("requiredDuringSchedulingIgnoredDuringExecution")
        preferred = section.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        return cls(
            tuple((spec.get("nodeSelector") or {}).items()),
            None if required is None else tuple(NodeTerm.of(t) for t in required["nodeSelectorTerms"]),
            tuple(NodeTerm.of(p["preference"], p["weight"]) for p in preferred),
        )

    @property
    def demands_nothing(self) -> bool:
        return not self.selector and self.required is None

    def allows(self, name: str, labels: Mapping[str, str]) -> bool:
        if any(labels.get(key) != value for key, value in self.selector):
            return False
        return self.required is None or any(term.matches(name, labels) for term in self.required)


def _requirements(term: Mapping[str, Any], field: str) -> tuple[Requirement, ...]:
    return tuple((r["key"], r["operator"], tuple(r.get("values") or ())) for r in term.get(field) or ())


def _holds(requirement: Requirement, labels: Mapping[str, str]) -> bool:
    key, operator, values = requirement
    value = labels.get(key)
    if operator == "In":
        return value is not None and value in values
    if operator == "NotIn":
        return value is None or value not in values
    if operator == "Exists":
        return value is not None
    if operator == "DoesNotExist":
        return value is None
    return value is not None and _compares(operator, value, values)


def _compares(operator: str, value: str, values: Sequence[str]) -> bool:
    try:
        left, right = int(value), int(values[0])
    except (ValueError, IndexError):
        return False
    return left > right if operator == "Gt" else operator == "Lt" and left < right
