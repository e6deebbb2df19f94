"""(P) What objects count against ResourceQuotas, after the original's evaluators (``pkg/quota/v1/evaluator/core``).

Two sides share it: admission charges an object before it is stored, and the quota controller adds up what is
stored. `evaluator_of` is the way in; `amounts` holds the arithmetic. Device classes of ResourceClaims are left
out: of claims only their number counts.
"""

from __future__ import annotations

from apiserver.api.gvk import GroupResource
from apiserver.api.quota.claims import CLAIMS
from apiserver.api.quota.evaluator import Evaluator, counting
from apiserver.api.quota.pods import PODS
from apiserver.api.quota.services import SERVICES

_OWN = {evaluator.resource: evaluator for evaluator in (PODS, SERVICES, CLAIMS)}
_LEGACY = ("configmaps", "resourcequotas", "replicationcontrollers", "secrets")
_COUNT = "count/"


def evaluator_of(resource: GroupResource) -> Evaluator:
    """Every resource can be counted; some have an evaluator with more."""
    own = _OWN.get(resource)
    if own is not None:
        return own
    legacy = not resource.group and resource.resource in _LEGACY
    return counting(resource, resource.resource if legacy else None)


def resource_named(name: str) -> GroupResource | None:
    """The resource whose objects the quota resource `name` counts or measures; None if it is of no kind known here.

    >>> resource_named("count/deployments.apps")
    GroupResource(group='apps', resource='deployments')
    """
    if name.startswith(_COUNT):
        plural, _, group = name[len(_COUNT) :].partition(".")
        return GroupResource(group, plural)
    for evaluator in _OWN.values():
        if evaluator.tracks(name):
            return evaluator.resource
    return GroupResource("", name) if name in _LEGACY else None
