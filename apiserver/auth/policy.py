"""(P) The stored policy: roles and bindings, and what they allow a user.

Fed by `authorizer` with every change of a role or binding. What applies to a user in a namespace is worked out once
and kept until anything changes, so a decision looks at the few rules that name its verb.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from apiserver.auth.bindings import BindingIndex
from apiserver.auth.rbac import GROUP, Attributes, CompiledRule, Object, Rule
from apiserver.auth.user import User

_REMEMBERED: Final = 4096
_VERBS: Final = 64
_NO_RULES: Final[tuple[CompiledRule, ...]] = ()


class RuleSet:
    """What applies to one user in one namespace. ``missing`` says which roles bindings name in vain."""

    __slots__ = ("_by_verb", "missing", "rules")

    def __init__(self, rules: list[tuple[CompiledRule, str]], missing: list[str]) -> None:
        self.rules = rules
        self.missing = missing
        self._by_verb: dict[str, list[tuple[CompiledRule, str]]] = {}

    def decide(self, asked: Attributes) -> tuple[bool, str]:
        for rule, reason in self._naming(asked.verb):
            if rule.allows(asked):
                return True, reason
        return False, f"RBAC: {aggregate(self.missing)}" if self.missing else ""

    def _naming(self, verb: str) -> list[tuple[CompiledRule, str]]:
        found = self._by_verb.get(verb)
        if found is None:
            found = [item for item in self.rules if item[0].verbs is None or verb in item[0].verbs]
            if len(self._by_verb) < _VERBS:
                self._by_verb[verb] = found
        return found


def aggregate(faults: list[str]) -> str:
    """As Go joins several errors."""
    return faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]"


class Policy:
    """Roles are keyed by (namespace, name), cluster roles by ("", name)."""

    def __init__(self) -> None:
        self._roles: dict[tuple[str, str], tuple[CompiledRule, ...]] = {}
        self._bindings = BindingIndex()
        self._sets: dict[tuple[str, tuple[str, ...], str], RuleSet] = {}

    # ---- changes

    def put_role(self, role: Object) -> None:
        metadata = role["metadata"]
        rules = tuple(CompiledRule(rule) for rule in role.get("rules") or ())
        self._roles[metadata.get("namespace") or "", metadata["name"]] = rules
        self._sets.clear()

    def remove_role(self, namespace: str, name: str) -> None:
        self._roles.pop((namespace, name), None)
        self._sets.clear()

    def put_binding(self, binding: Object) -> None:
        self._bindings.put(_key(binding["metadata"]), binding)
        self._sets.clear()

    def remove_binding(self, namespace: str, name: str) -> None:
        self._bindings.remove(f"{namespace}/{name}")
        self._sets.clear()

    # ---- questions

    def decide(self, asked: Attributes) -> tuple[bool, str]:
        """(allowed, reason); the reason of a refusal names roles that do not exist, else it is empty."""
        return self.rule_set(asked.user, asked.namespace).decide(asked)

    def rule_set(self, user: User, namespace: str) -> RuleSet:
        key = (user.name, user.groups, namespace)
        found = self._sets.get(key)
        if found is None:
            if len(self._sets) >= _REMEMBERED:
                self._sets.clear()
            found = self._sets[key] = self._gather(user, namespace)
        return found

    def rules(self, user: User, namespace: str) -> list[Rule]:
        return [rule.raw for rule, _ in self.rule_set(user, namespace).rules]

    def role(self, kind: str, namespace: str, name: str) -> tuple[CompiledRule, ...] | None:
        """The rules that a roleRef from a binding in ``namespace`` means; None if there is no such role."""
        return self._roles.get(("" if kind == "ClusterRole" else namespace, name))

    def _gather(self, user: User, namespace: str) -> RuleSet:
        rules: list[tuple[CompiledRule, str]] = []
        missing: list[str] = []
        for scope in dict.fromkeys(("", namespace)):
            for grant in self._bindings.grants(user, scope):
                found = self.role(grant.kind, scope, grant.role)
                if found is None:
                    missing.append(f'{grant.kind.lower()}.{GROUP} "{grant.role}" not found')
                rules += [(rule, grant.reason) for rule in found or _NO_RULES]
        return RuleSet(rules, missing)


def _key(metadata: Object) -> str:
    return f"{metadata.get('namespace') or ''}/{metadata['name']}"


def policy_of(roles: Iterable[Object], bindings: Iterable[Object]) -> Policy:
    policy = Policy()
    for role in roles:
        policy.put_role(role)
    for binding in bindings:
        policy.put_binding(binding)
    return policy
