"""(P) Which of the names a definition asks for it gets, and what its conditions say of that.

Names are given once in a group: a definition keeps what it has, and gets what nobody else in the group has.
Once all names are accepted the resource is established, and stays so. Source: apiextensions
``pkg/controller/status/naming_controller.go``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from apiserver.api.conditions import get_condition, set_condition
from apiserver.api.field_errors import quote
from apiserver.crd.approval import approval_condition
from apiserver.crd.structural_rules import structural_violations

Object = dict[str, Any]
Names = Mapping[str, Any]

_RESOURCES: Final = ("plural", "singular")
_KINDS: Final = ("kind", "listKind")


@dataclass(slots=True)
class Taken:
    """Names that other definitions of the group have."""

    resources: set[str] = field(default_factory=set)
    kinds: set[str] = field(default_factory=set)

    @classmethod
    def by(cls, others: Iterable[Names]) -> Taken:
        """``others``: the accepted names of the others."""
        taken = cls()
        for names in others:
            taken.resources.update(names.get(key) or "" for key in _RESOURCES)
            taken.resources.update(names.get("shortNames") or ())
            taken.kinds.update(names.get(key) or "" for key in _KINDS)
        return taken


def reconciled(definition: Object, taken: Taken, now: str) -> Object | None:
    """The status that the definition should have, None if it has it."""
    status = dict(definition.get("status") or {})
    conditions = [dict(condition) for condition in status.get("conditions") or ()]
    names, accepted = _names(definition, taken)
    changed = names != (status.get("acceptedNames") or {})
    changed |= set_condition(conditions, accepted, now)
    established = get_condition({"status": {"conditions": conditions}}, "Established")
    if established is None or established["status"] != "True":
        changed |= set_condition(conditions, _established(accepted), now)
    for condition in (_structural(definition), approval_condition(definition)):
        if condition is not None:
            changed |= set_condition(conditions, condition, now)
    if not changed:
        return None
    return {**status, "acceptedNames": names, "conditions": conditions}


def _established(accepted: Object) -> Object:
    if accepted["status"] == "True":
        return _condition(
            "Established", "True", "InitialNamesAccepted", "the initial names have been accepted"
        )
    return _condition("Established", "False", "NotAccepted", "not all names are accepted")


def _condition(kind: str, status: str, reason: str, message: str) -> Object:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def _names(definition: Object, taken: Taken) -> tuple[Object, Object]:
    """(accepted names, condition NamesAccepted); the condition speaks of the last conflict."""
    wanted: Object = definition["spec"]["names"]
    has: Object = dict((definition.get("status") or {}).get("acceptedNames") or {})
    conflict = ("", "")
    for key, used, reason in (
        ("plural", taken.resources, "PluralConflict"),
        ("singular", taken.resources, "SingularConflict"),
        ("shortNames", taken.resources, "ShortNamesConflict"),
        ("kind", taken.kinds, "KindConflict"),
        ("listKind", taken.kinds, "ListKindConflict"),
    ):
        refused = _refused(wanted.get(key), has.get(key), used)
        if refused:
            conflict = (reason, _aggregate([f"{quote(name)} is already in use" for name in refused]))
        else:
            _keep(has, key, wanted.get(key))
    _keep(has, "categories", wanted.get("categories"))
    has.setdefault("plural", "")
    has.setdefault("kind", "")
    if conflict[0]:
        return has, _condition("NamesAccepted", "False", *conflict)
    return has, _condition("NamesAccepted", "True", "NoConflicts", "no conflicts found")


def _refused(wanted: Any, has: Any, used: set[str]) -> list[str]:
    asked = wanted if isinstance(wanted, list) else [wanted or ""]
    own = has if isinstance(has, list) else [has or ""]
    return [name for name in asked if name not in own and name in used]


def _keep(names: Object, key: str, value: Any) -> None:
    if value:
        names[key] = value
    else:
        names.pop(key, None)


def _aggregate(messages: list[str]) -> str:
    return messages[0] if len(messages) == 1 else f"[{', '.join(messages)}]"


def _structural(definition: Object) -> Object | None:
    """Only definitions from before version 1, which keep unknown fields, can violate the rules."""
    if not definition["spec"].get("preserveUnknownFields"):
        return None
    violations = structural_violations(definition["spec"])
    if violations:
        return _condition("NonStructuralSchema", "True", "Violations", violations)
    return None
