"""The conditions of a namespace that is being emptied, and what to do next (P)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from apiserver.api import meta
from apiserver.api.conditions import set_condition
from apiserver.api.meta import Object
from components.controllers.common.objects import spec, status

FINALIZER = "kubernetes"


def is_due(namespace: Object) -> bool:
    return meta.is_deleting(namespace) and FINALIZER in (spec(namespace).get("finalizers") or ())


def finalized(namespace: Object) -> Object:
    kept = [name for name in spec(namespace).get("finalizers") or () if name != FINALIZER]
    return {
        **namespace,
        "apiVersion": "v1",
        "kind": "Namespace",
        "spec": {**spec(namespace), "finalizers": kept},
    }


def _undiscovered(failed: Sequence[str]) -> str:
    """In client-go's words."""
    if not failed:
        return ""
    each = ", ".join(f"{version}: stale GroupVersion discovery: {version}" for version in sorted(failed))
    complete = "unable to retrieve the complete list of server APIs"
    return f"Discovery failed for some groups, {len(failed)} failing: {complete}: {each}"


def with_conditions(
    namespace: Object,
    remaining: Mapping[str, int],
    finalizers: Mapping[str, int],
    error: str,
    now: datetime,
    failed: Sequence[str] = (),
) -> Object:
    """`remaining` counts objects by resource, `finalizers` by finalizer; `error` names failed deletions, `failed` the
    group versions of which nobody knows what they have.
    """
    conditions = [dict(c) for c in status(namespace).get("conditions") or ()]
    stamp = meta.format_time(now)
    parts = [f"{name} has {count} resource instances" for name, count in sorted(remaining.items())]
    held = [f"{name} in {count} resource instances" for name, count in sorted(finalizers.items())]
    table = (
        (
            "NamespaceDeletionDiscoveryFailure",
            _undiscovered(failed),
            "DiscoveryFailed" if failed else "ResourcesDiscovered",
            "All resources successfully discovered",
        ),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            "",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        (
            "NamespaceDeletionContentFailure",
            error,
            "ContentDeletionFailed" if error else "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
        ),
        (
            "NamespaceContentRemaining",
            "Some resources are remaining: " + ", ".join(parts) if parts else "",
            "SomeResourcesRemain" if parts else "ContentRemoved",
            "All content successfully removed",
        ),
        (
            "NamespaceFinalizersRemaining",
            "Some content in the namespace has finalizers remaining: " + ", ".join(held) if held else "",
            "SomeFinalizersRemain" if held else "ContentHasNoFinalizers",
            "All content-preserving finalizers finished",
        ),
    )
    for kind, problem, reason, fine in table:
        value = "True" if problem else "False"
        new = {"type": kind, "status": value, "reason": reason, "message": problem or fine}
        set_condition(conditions, new, stamp)
    new_status = {**status(namespace), "phase": "Terminating", "conditions": conditions}
    return {**namespace, "apiVersion": "v1", "kind": "Namespace", "status": new_status}
