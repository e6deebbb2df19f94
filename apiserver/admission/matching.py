"""(P) Does a webhook or a policy concern a write? Rules, exceptions, selectors of namespaces and objects.

Fed with the stored configurations (compiled once each) and, for each write, its attributes and its namespace;
asked by the policy and webhook plugins. Conversion of objects is left out: a match says in which version the
object is wanted. Source: apiserver ``pkg/admission/plugin/webhook/predicates`` and ``plugin/policy/matching``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from apiserver.admission.interface import Attributes
from apiserver.api import errors
from apiserver.api.gvk import GroupResource, GroupVersionKind, GroupVersionResource
from apiserver.api.labels import Selector, selector_from_label_selector

Object = Mapping[str, Any]
CONFIGURATION_GROUP: Final = "admissionregistration.k8s.io"
_CONFIGURATIONS: Final = frozenset(
    {
        *("validatingwebhookconfigurations", "mutatingwebhookconfigurations"),
        *("validatingadmissionpolicies", "validatingadmissionpolicybindings"),
        *("mutatingadmissionpolicies", "mutatingadmissionpolicybindings"),
    }
)
_REVIEWS: Final = frozenset(
    {
        ("authentication.k8s.io", "selfsubjectreviews"),
        ("authentication.k8s.io", "tokenreviews"),
        ("authorization.k8s.io", "localsubjectaccessreviews"),
        ("authorization.k8s.io", "selfsubjectaccessreviews"),
        ("authorization.k8s.io", "selfsubjectrulesreviews"),
        ("authorization.k8s.io", "subjectaccessreviews"),
    }
)


class Match(NamedTuple):
    """The version in which the object is to be judged."""

    gvr: GroupVersionResource
    gvk: GroupVersionKind


Equivalents = Callable[[GroupVersionResource, str], Sequence[Match]]
"""(resource, subresource) → the same objects in other groups and versions."""


def is_configuration(resource: GroupResource) -> bool:
    """What configures admission is never its subject: else nobody could repair it."""
    return resource.group == CONFIGURATION_GROUP and resource.resource in _CONFIGURATIONS


def is_exempt_from_policies(resource: GroupResource) -> bool:
    return is_configuration(resource) or tuple(resource) in _REVIEWS


def is_namespace(write: Attributes) -> bool:
    return tuple(write.group_resource) == ("", "namespaces")


def namespace_of(write: Attributes) -> str:
    """The namespace of the request; a namespace is in itself, once it has been created."""
    if is_namespace(write):
        return "" if write.operation == "CREATE" else write.name
    return write.namespace


def _among(wanted: Sequence[str], value: str) -> bool:
    return "*" in wanted or value in wanted


def rule_matches(rule: Object, write: Attributes, gvr: GroupVersionResource) -> bool:
    """``gvr``: the resource of the write, or one equivalent to it."""
    return (
        _scope_matches(rule.get("scope") or "*", write)
        and _among(rule.get("operations") or (), write.operation)
        and _among(rule.get("apiGroups") or (), gvr.group)
        and _among(rule.get("apiVersions") or (), gvr.version)
        and any(
            _resource_matches(text, gvr.resource, write.subresource) for text in rule.get("resources") or ()
        )
    )


def _scope_matches(scope: str, write: Attributes) -> bool:
    if scope == "*":
        return True
    clusterwide = is_namespace(write) or not write.namespace
    return clusterwide == (scope == "Cluster")


def _resource_matches(text: str, resource: str, subresource: str) -> bool:
    """``*`` is every resource without its subresources, ``*/*`` everything."""
    wanted, _, part = text.partition("/")
    return wanted in ("*", resource) and part in ("*", subresource)


def _selector(selector: Object | None) -> Selector:
    return selector_from_label_selector(selector or {})


def _labels(obj: Object | None) -> Mapping[str, str] | None:
    return None if obj is None else (obj.get("metadata") or {}).get("labels") or {}


@dataclass(frozen=True, slots=True)
class Criteria:
    """Which writes are meant. ``rules`` None: all that the selectors let through."""

    rules: Sequence[Object] | None
    excluded: Sequence[Object]
    namespaces: Selector
    objects: Selector
    equivalent: bool

    @classmethod
    def of_webhook(cls, hook: Object) -> Criteria:
        return cls(hook.get("rules") or (), (), *cls._common(hook))

    @classmethod
    def of_policy(cls, match: Object) -> Criteria:
        """``match``: the MatchResources of a policy or a binding."""
        return cls(
            match.get("resourceRules") or None, match.get("excludeResourceRules") or (), *cls._common(match)
        )

    @staticmethod
    def _common(source: Object) -> tuple[Selector, Selector, bool]:
        namespaces, objects = (
            _selector(source.get("namespaceSelector")),
            _selector(source.get("objectSelector")),
        )
        return namespaces, objects, source.get("matchPolicy") != "Exact"

    def match(self, write: Attributes, namespace: Object | None, equivalents: Equivalents) -> Match | None:
        """``namespace``: the Namespace of the write, None if there is none of that name. Raises 404 for that."""
        if not self.objects.empty() and not self._selects_object(write):
            return None
        known = self._selects_namespace(write, namespace)
        if known is False or self._by_rules(self.excluded, write, equivalents):
            return None
        found = (
            Match(write.gvr, write.gvk)
            if self.rules is None
            else self._by_rules(self.rules, write, equivalents)
        )
        if found is not None and known is None:
            raise errors.not_found(GroupResource("", "namespaces"), namespace_of(write))
        return found

    def _selects_object(self, write: Attributes) -> bool:
        sides = (_labels(write.obj), _labels(write.old))
        return any(labels is not None and self.objects.matches(labels) for labels in sides)

    def _selects_namespace(self, write: Attributes, namespace: Object | None) -> bool | None:
        """None: the namespace is not known."""
        if self.namespaces.empty() or not (write.namespace or is_namespace(write)):
            return True
        fresh = is_namespace(write) and not write.subresource and write.operation in ("CREATE", "UPDATE")
        labels = _labels(write.obj if fresh else namespace)
        return None if labels is None else self.namespaces.matches(labels)

    def _by_rules(self, rules: Sequence[Object], write: Attributes, equivalents: Equivalents) -> Match | None:
        for rule in rules:
            if rule_matches(rule, write, write.gvr) and _is_named(rule, write):
                return Match(write.gvr, write.gvk)
        if not self.equivalent or not rules:
            return None
        others = equivalents(write.gvr, write.subresource)
        return next(
            (
                other
                for rule in rules
                for other in others
                if rule_matches(rule, write, other.gvr) and _is_named(rule, write)
            ),
            None,
        )


def _is_named(rule: Object, write: Attributes) -> bool:
    wanted = rule.get("resourceNames")
    return not wanted or write.name in wanted
