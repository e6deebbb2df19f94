"""(P) Groups of the Kubernetes community need an approval: an annotation with the address of the discussion.

Source: apiextensions ``pkg/apihelpers/helpers.go`` and ``pkg/controller/apiapproval``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlsplit

from apiserver.api import meta
from apiserver.api.field_errors import FieldError, Path, invalid, quote, required

Object = dict[str, Any]
ANNOTATION: Final = "api-approved.kubernetes.io"
_SEE: Final = "see https://github.com/kubernetes/enhancements/pull/1111"


class Approval(StrEnum):
    """The values are the reasons of the condition."""

    MISSING = "MissingAnnotation"
    INVALID = "InvalidAnnotation"
    BYPASSED = "UnapprovedAnnotation"
    APPROVED = "ApprovedAnnotation"


def is_protected(group: str) -> bool:
    return group in ("k8s.io", "kubernetes.io") or group.endswith((".k8s.io", ".kubernetes.io"))


def approval(definition: Object) -> tuple[Approval, str]:
    """The state and why."""
    text = meta.annotations(definition).get(ANNOTATION, "")
    if not text:
        return (
            Approval.MISSING,
            f"protected groups must have approval annotation {quote(ANNOTATION)}, {_SEE}",
        )
    if text.startswith("unapproved"):
        return Approval.BYPASSED, f"not approved: {quote(text)}"
    parts = urlsplit(text)
    if parts.scheme and parts.netloc:
        return Approval.APPROVED, f"approved in {text}"
    return Approval.INVALID, (
        f"protected groups must have approval annotation {quote(ANNOTATION)} with either a URL or a reason starting "
        f'with "unapproved", {_SEE}'
    )


def validate_approval(new: Object, old: Object | None) -> list[FieldError]:
    """A definition that was not approved before need not be now."""
    if not is_protected(new["spec"].get("group") or ""):
        return []
    state, reason = approval(new)
    if old is not None and approval(old)[0] == state:
        return []
    path = Path("metadata").child("annotations").key(ANNOTATION)
    if state is Approval.MISSING:
        return [required(path, reason)]
    if state is Approval.INVALID:
        return [invalid(path, meta.annotations(new)[ANNOTATION], reason)]
    return []


def approval_condition(definition: Object) -> Object | None:
    """None for groups that need no approval."""
    if not is_protected(definition["spec"].get("group") or ""):
        return None
    state, reason = approval(definition)
    status = "True" if state is Approval.APPROVED else "False"
    kind = "KubernetesAPIApprovalPolicyConformant"
    return {"type": kind, "status": status, "reason": state.value, "message": reason}
