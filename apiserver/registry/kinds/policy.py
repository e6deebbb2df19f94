"""Leases, budgets, RBAC, priorities, webhooks and policies: kinds that are data for others."""

from __future__ import annotations

from typing import Final

from apiserver.api.meta import format_time
from apiserver.registry.strategy import Object, Strategy, fill

_MATCHING_PRECEDENCE: Final = 1000
_QUEUING: Final = {"queues": 64, "handSize": 8, "queueLengthLimit": 50}
_RBAC: Final = "rbac.authorization.k8s.io"


class LeaseStrategy(Strategy):
    allow_create_on_update = True
    allow_unconditional_update = False


class PodDisruptionBudgetStrategy(Strategy):
    allow_unconditional_update = False
    has_status = True
    initial_status = {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0}
    tracks_generation = True


class RoleStrategy(Strategy):
    allow_create_on_update = True


class RoleBindingStrategy(Strategy):
    allow_create_on_update = True

    def default(self, obj: Object) -> None:
        reference = obj.setdefault("roleRef", {})
        reference["apiGroup"] = reference.get("apiGroup") or _RBAC
        for subject in obj.get("subjects") or ():
            if not subject.get("apiGroup") and subject.get("kind") in ("User", "Group"):
                subject["apiGroup"] = _RBAC


class PriorityClassStrategy(Strategy):
    tracks_generation = True

    def default(self, obj: Object) -> None:
        fill(obj, preemptionPolicy="PreemptLowerPriority")

    def is_new_generation(self, new: Object, old: Object) -> bool:
        return False


class WebhookStrategy(Strategy):
    allow_unconditional_update = False
    tracks_generation = True

    def default(self, obj: Object) -> None:
        for webhook in obj.get("webhooks") or ():
            fill(
                webhook,
                failurePolicy="Fail",
                matchPolicy="Equivalent",
                namespaceSelector={},
                objectSelector={},
                timeoutSeconds=10,
            )
            if self.gvk.kind.startswith("Mutating"):
                fill(webhook, reinvocationPolicy="Never")
            service = (webhook.get("clientConfig") or {}).get("service")
            if service is not None:
                fill(service, port=443)
            for rule in webhook.get("rules") or ():
                fill(rule, scope="*")


class MutatingPolicyStrategy(Strategy):
    allow_unconditional_update = False
    tracks_generation = True

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        fill(spec, failurePolicy="Fail")
        _default_match(spec.get("matchConstraints"))


class AdmissionPolicyStrategy(MutatingPolicyStrategy):
    has_status = True


class AdmissionPolicyBindingStrategy(Strategy):
    allow_unconditional_update = False
    tracks_generation = True

    def default(self, obj: Object) -> None:
        _default_match((obj.get("spec") or {}).get("matchResources"))


def _default_match(match: Object | None) -> None:
    if match is None:
        return
    fill(match, matchPolicy="Equivalent", namespaceSelector={}, objectSelector={})
    for rule in [*(match.get("resourceRules") or ()), *(match.get("excludeResourceRules") or ())]:
        fill(rule, scope="*")


class GenerationStatusStrategy(Strategy):
    """Spec, status and generation, and no defaults."""

    has_status = True
    tracks_generation = True


class FlowSchemaStrategy(GenerationStatusStrategy):
    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        spec["matchingPrecedence"] = spec.get("matchingPrecedence") or _MATCHING_PRECEDENCE

    def prepare_for_create(self, obj: Object) -> None:
        """An empty status of these kinds is not written at all."""
        super().prepare_for_create(obj)
        del obj["status"]


class PriorityLevelStrategy(FlowSchemaStrategy):
    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        limited, exempt = spec.get("limited"), spec.get("exempt")
        if exempt is not None:
            fill(exempt, nominalConcurrencyShares=0, lendablePercent=0)
        if limited is None:
            return
        fill(limited, nominalConcurrencyShares=30, lendablePercent=0)
        queuing = (limited.get("limitResponse") or {}).get("queuing")
        if queuing is not None:
            for field, value in _QUEUING.items():
                queuing[field] = queuing.get(field) or value


class StatusOnlyStrategy(Strategy):
    has_status = True


class APIServiceStrategy(StatusOnlyStrategy):
    def default(self, obj: Object) -> None:
        service = obj.setdefault("spec", {}).get("service")
        if service is not None:
            fill(service, port=443)

    def prepare_for_create(self, obj: Object) -> None:
        """What this server serves itself is there from the start."""
        super().prepare_for_create(obj)
        if obj["spec"].get("service") is None:
            condition = {
                "type": "Available",
                "status": "True",
                "lastTransitionTime": format_time(self.options.now()),
                "reason": "Local",
                "message": "Local APIServices are always available",
            }
            obj["status"] = {"conditions": [condition]}
