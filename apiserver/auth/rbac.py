"""Role-based access control over given roles and bindings. Pure: the caller supplies the objects.

Rule semantics of ``plugin/pkg/auth/authorizer/rbac``: verbs, groups, resources (``pods/log``, ``*/scale``),
resource names, non-resource paths with a trailing ``*``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from apiserver.api.labels import SelectorError, selector_from_label_selector
from apiserver.auth.user import User, split_service_account

Rule = dict[str, Any]
Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Attributes:
    """What is asked: a resource request, or a path when ``path`` is set."""

    user: User
    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    def describe(self) -> str:
        """``cannot list resource "pods" in API group "" in the namespace "x"``."""
        if self.path:
            return f'cannot {self.verb} path "{self.path}"'
        resource = f"{self.resource}/{self.subresource}" if self.subresource else self.resource
        where = f'in the namespace "{self.namespace}"' if self.namespace else "at the cluster scope"
        return f'cannot {self.verb} resource "{resource}" in API group "{self.group}" {where}'


@dataclass(slots=True)
class Policy:
    """Roles and bindings. ``cluster_roles`` by name, ``roles`` by (namespace, name)."""

    cluster_roles: Callable[[str], Object | None]
    roles: Callable[[str, str], Object | None]
    cluster_bindings: Callable[[], Iterable[Object]]
    bindings: Callable[[str], Iterable[Object]]
    all_cluster_roles: Callable[[], Iterable[Object]]

    def rules(self, user: User, namespace: str) -> Iterator[tuple[Rule, str]]:
        """Every rule that applies to the user there, with the text that says why."""
        for binding in self.cluster_bindings():
            if _bound(binding, user, ""):
                yield from self._rules_of(
                    binding, "", f'ClusterRoleBinding "{binding["metadata"]["name"]}"', user
                )
        for binding in self.bindings(namespace) if namespace else ():
            if _bound(binding, user, namespace):
                what = f'RoleBinding "{binding["metadata"]["name"]}/{namespace}"'
                yield from self._rules_of(binding, namespace, what, user)

    def _rules_of(self, binding: Object, namespace: str, what: str, user: User) -> Iterator[tuple[Rule, str]]:
        ref = binding.get("roleRef") or {}
        kind, name = ref.get("kind", ""), ref.get("name", "")
        role = self.cluster_roles(name) if kind == "ClusterRole" else self.roles(namespace, name)
        if role is None:
            return
        reason = f'RBAC: allowed by {what} of {kind} "{name}" to {_subject(binding, user, namespace)}'
        for rule in self.expand(role):
            yield rule, reason

    def expand(self, role: Object, within: tuple[Object, ...] = ()) -> list[Rule]:
        """The role's rules; those of an aggregated role that no controller has filled yet are gathered here.

        ``within``: the roles that this one is gathered for. They may select each other in a circle.
        """
        rules: list[Rule] = role.get("rules") or []
        aggregation = role.get("aggregationRule")
        if rules or not aggregation:
            return rules
        try:
            selectors = [
                selector_from_label_selector(s) for s in aggregation.get("clusterRoleSelectors") or []
            ]
        except SelectorError:
            return rules
        path = (*within, role)
        for other in self.all_cluster_roles():
            labels = other["metadata"].get("labels") or {}
            if not any(other is known for known in path) and any(s.matches(labels) for s in selectors):
                rules = rules + self.expand(other, path)
        return rules

    def allows(self, asked: Attributes) -> str | None:
        """The reason why it is allowed, None if it is not."""
        for rule, reason in self.rules(asked.user, asked.namespace):
            if rule_allows(rule, asked):
                return reason
        return None


def rule_allows(rule: Rule, asked: Attributes) -> bool:
    if not _has(rule.get("verbs"), asked.verb):
        return False
    if asked.path:
        return any(_path_matches(path, asked.path) for path in rule.get("nonResourceURLs") or ())
    if not _has(rule.get("apiGroups"), asked.group) or not _resource_matches(rule, asked):
        return False
    names = rule.get("resourceNames")
    return not names or asked.name in names


def _has(values: list[str] | None, wanted: str) -> bool:
    return values is not None and ("*" in values or wanted in values)


def _resource_matches(rule: Rule, asked: Attributes) -> bool:
    resources = rule.get("resources") or ()
    full = f"{asked.resource}/{asked.subresource}" if asked.subresource else asked.resource
    if "*" in resources or full in resources:
        return True
    return bool(asked.subresource) and f"*/{asked.subresource}" in resources


def _path_matches(pattern: str, path: str) -> bool:
    if pattern.endswith("*"):
        return path.startswith(pattern[:-1])
    return pattern == path


def _bound(binding: Object, user: User, namespace: str) -> bool:
    return any(_matches(subject, user, namespace) for subject in binding.get("subjects") or ())


def _matches(subject: Object, user: User, namespace: str) -> bool:
    kind, name = subject.get("kind"), subject.get("name")
    if kind == "User":
        return bool(user.name == name)
    if kind == "Group":
        return name in user.groups
    if kind != "ServiceAccount":
        return False
    return split_service_account(user.name) == (subject.get("namespace") or namespace, name)


def _subject(binding: Object, user: User, namespace: str) -> str:
    for subject in binding.get("subjects") or ():
        if _matches(subject, user, namespace):
            if subject["kind"] == "ServiceAccount":
                return f'ServiceAccount "{subject["name"]}/{subject.get("namespace") or namespace}"'
            return f'{subject["kind"]} "{subject["name"]}"'
    return ""
