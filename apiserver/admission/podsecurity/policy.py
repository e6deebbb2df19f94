"""(P) Which standard a namespace's labels ask for, and what a pod violates of it.

Source: ``k8s.io/pod-security-admission`` (``api/helpers.go``, ``policy/registry.go``). A check of the level
``restricted`` may take the place of one of ``baseline``. Results are in the order of their ids, baseline first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from apiserver.admission.podsecurity.baseline import BASELINE
from apiserver.admission.podsecurity.check import Check, Violation
from apiserver.admission.podsecurity.restricted import RESTRICTED
from apiserver.api import meta
from apiserver.api.field_errors import FieldError, Path, invalid
from apiserver.api.meta import Object

PREFIX: Final = "pod-security.kubernetes.io/"
LEVELS: Final = ("privileged", "baseline", "restricted")
LATEST: Final = 1 << 30
_VERSION: Final = re.compile(r"v1\.([0-9]|[1-9][0-9]*)")


@dataclass(frozen=True, slots=True)
class Standard:
    """``minor``: of the version 1.minor, `LATEST` for the newest."""

    level: str = "privileged"
    minor: int = LATEST

    def __str__(self) -> str:
        return f"{self.level}:{'latest' if self.minor == LATEST else f'v1.{self.minor}'}"

    def is_stricter_than(self, other: Standard) -> bool:
        return LEVELS.index(self.level) > LEVELS.index(other.level)


PRIVILEGED: Final = Standard()


@dataclass(frozen=True, slots=True)
class Policy:
    enforce: Standard = PRIVILEGED
    audit: Standard = PRIVILEGED
    warn: Standard = PRIVILEGED


def policy_of(labels: Mapping[str, str], defaults: Policy) -> tuple[Policy, list[FieldError]]:
    """Always a policy: what cannot be read is ``restricted`` and ``latest`` to enforce, and nothing to warn of."""
    if not any(label.startswith(PREFIX) for label in labels):
        return defaults, []
    found: list[FieldError] = []
    parts = {
        mode: _standard(labels, mode, getattr(defaults, mode), found) for mode in ("enforce", "audit", "warn")
    }
    return Policy(**parts), found


def _standard(labels: Mapping[str, str], mode: str, default: Standard, found: list[FieldError]) -> Standard:
    level, version = labels.get(PREFIX + mode), labels.get(f"{PREFIX}{mode}-version")
    standard = default
    if level is not None:
        standard = replace(standard, level=level)
        if level not in LEVELS:
            standard = replace(standard, level="restricted" if mode == "enforce" else "privileged")
            found.append(_fault(mode, level, f"must be one of {', '.join(LEVELS)}"))
    if version is not None:
        matched = _VERSION.fullmatch(version)
        standard = replace(standard, minor=int(matched[1]) if matched else LATEST)
        if not matched and version != "latest":
            found.append(_fault(f"{mode}-version", version, 'must be "latest" or "v1.x"'))
    return standard


def _fault(label: str, value: str, text: str) -> FieldError:
    return invalid(Path("metadata").child("labels").key(PREFIX + label), value, text)


def violations(standard: Standard, metadata: Object, spec: Object) -> list[Violation]:
    """What the pod with this metadata and spec violates; nothing if it is allowed."""
    found = []
    for check in _checks(standard):
        violation = check.run(metadata, spec, standard.minor)
        if violation is not None:
            found.append(violation)
    return found


def _checks(standard: Standard) -> list[Check]:
    if standard.level == "privileged":
        return []
    strict = [c for c in RESTRICTED if c.since <= standard.minor] if standard.level == "restricted" else []
    replaced = {check.instead_of for check in strict}
    basic = [c for c in BASELINE if c.since <= standard.minor and c.name not in replaced]
    return [*sorted(basic, key=_name), *sorted(strict, key=_name)]


def _name(check: Check) -> str:
    return check.name


def detail(found: list[Violation]) -> str:
    """``hostPort (container "c" uses hostPort 80), privileged (…)``"""
    return ", ".join(f"{item.reason} ({item.detail})" if item.detail else item.reason for item in found)


def reasons(found: list[Violation]) -> str:
    return ", ".join(item.reason for item in found)


def existing_pods(standard: Standard, namespace: str, pods: list[Object], total: int) -> list[str]:
    """Warnings of a namespace that gets a stricter standard while it has pods. ``total``: also those not given."""
    found: dict[str, list[str]] = {}
    for pod in pods:
        broken = violations(standard, meta.metadata(pod), pod.get("spec") or {})
        if broken:
            found.setdefault(reasons(broken), []).append(meta.name(pod))
    warnings = []
    if len(pods) < total:
        warnings.append(
            f"new PodSecurity enforce level only checked against the first {len(pods)} of {total} existing pods"
        )
    if found:
        warnings.append(
            f'existing pods in namespace "{namespace}" violate the new PodSecurity enforce level "{standard}"'
        )
    return warnings + sorted(f"{_pods(names)}: {text}" for text, names in found.items())


def _pods(names: list[str]) -> str:
    others = len(names) - 1
    if not others:
        return names[0]
    return f"{min(names)} (and {others} other pod{'s' if others > 1 else ''})"
