"""(P) Rules of role-based access control: what is asked, and whether a rule allows it.

Rule semantics of ``plugin/pkg/auth/authorizer/rbac``: verbs, groups, resources (``pods/log``, ``*/scale``),
resource names, non-resource paths with a trailing ``*``. `policy` finds the rules of a user.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from apiserver.auth.user import User

Rule = dict[str, Any]
Object = dict[str, Any]
GROUP: Final = "rbac.authorization.k8s.io"


@dataclass(frozen=True, slots=True)
class Attributes:
    """What is asked: a resource request, or a path when ``path`` is set.

    ``fields`` are the (field, value) pairs that a list or watch selects by equality. ``version`` and the selectors, as
    they were written, decide nothing here; authorizers elsewhere are told.
    """

    user: User
    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""
    fields: tuple[tuple[str, str], ...] = ()
    version: str = ""
    field_selector: str = ""
    label_selector: str = ""

    def describe(self) -> str:
        """``cannot list resource "pods" in API group "" in the namespace "x"``."""
        if self.path:
            return f'cannot {self.verb} path "{self.path}"'
        resource = f"{self.resource}/{self.subresource}" if self.subresource else self.resource
        where = f'in the namespace "{self.namespace}"' if self.namespace else "at the cluster scope"
        return f'cannot {self.verb} resource "{resource}" in API group "{self.group}" {where}'


def _set(values: list[str] | None) -> frozenset[str] | None:
    """None: everything."""
    found = frozenset(values or ())
    return None if "*" in found else found


class CompiledRule:
    """One PolicyRule, ready to be asked often; ``raw`` is as it was written."""

    __slots__ = ("_all_resources", "_groups", "_names", "_paths", "_prefixes", "_resources", "raw", "verbs")

    def __init__(self, rule: Rule) -> None:
        self.raw = rule
        self.verbs = _set(rule.get("verbs"))
        self._groups = _set(rule.get("apiGroups"))
        resources = _set(rule.get("resources"))
        self._all_resources = resources is None
        self._resources = resources or frozenset()
        self._names = frozenset(rule.get("resourceNames") or ())
        urls = rule.get("nonResourceURLs") or ()
        self._paths = frozenset(urls)
        self._prefixes = tuple(url.rstrip("*") for url in urls if url.endswith("*"))

    def allows(self, asked: Attributes) -> bool:
        if self.verbs is not None and asked.verb not in self.verbs:
            return False
        if asked.path:
            return asked.path in self._paths or asked.path.startswith(self._prefixes)
        if self._groups is not None and asked.group not in self._groups:
            return False
        if self._names and asked.name not in self._names:
            return False
        return self._all_resources or self._has_resource(asked)

    def _has_resource(self, asked: Attributes) -> bool:
        if not asked.subresource:
            return asked.resource in self._resources
        return (
            f"{asked.resource}/{asked.subresource}" in self._resources
            or f"*/{asked.subresource}" in self._resources
        )


def rule_allows(rule: Rule, asked: Attributes) -> bool:
    return CompiledRule(rule).allows(asked)
