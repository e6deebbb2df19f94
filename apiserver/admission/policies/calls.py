"""Which stored policies concern a write: with which of their bindings, in which version of it, with which params.

Between what is stored and the plugins of policies, validating and mutating. Leaves out what a policy then does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from apiserver.admission.configured import Configured
from apiserver.admission.interface import Attributes, Reader
from apiserver.admission.matching import Criteria, Match, is_exempt_from_policies, is_namespace, namespace_of
from apiserver.admission.namespaces import find_namespace
from apiserver.admission.policies import params
from apiserver.admission.policies.params import ConfigurationError, Kinds
from apiserver.api.gvk import GroupVersionResource
from apiserver.api.meta import Object


class Versions(Kinds, Protocol):
    """See ``apiserver.http.versions``."""

    def equivalents(self, gvr: GroupVersionResource, subresource: str, /) -> Sequence[Match]: ...

    async def converted(
        self, obj: Object | None, wanted: GroupVersionResource, own: GroupVersionResource
    ) -> Object | None: ...


class Policy(params.Policy, Protocol):
    @property
    def name(self) -> str: ...

    @property
    def criteria(self) -> Criteria: ...


class Binding(params.Binding, Protocol):
    @property
    def policy(self) -> str: ...

    @property
    def criteria(self) -> Criteria | None: ...


P = TypeVar("P", bound=Policy)
B = TypeVar("B", bound=Binding)


@dataclass(frozen=True, slots=True)
class Call(Generic[P, B]):
    """A policy is to be run with one of its bindings, once for each of ``params``; None there: without."""

    policy: P
    binding: B
    match: Match
    params: Sequence[Any]


@dataclass(frozen=True, slots=True)
class Misconfigured(Generic[P, B]):
    """``binding`` is None where the fault is the policy's."""

    policy: P
    binding: B | None
    reason: str

    def __str__(self) -> str:
        what = "policy" if self.binding is None else "binding"
        return f"failed to configure {what}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Calls(Generic[P, B]):
    """``ordered`` by policies, then by bindings."""

    ordered: Sequence[Call[P, B] | Misconfigured[P, B]] = ()
    namespace: Object | None = None
    """What expressions see as ``namespaceObject``."""


class StoredPolicies(Generic[P, B]):
    """Policies without a binding do nothing, as in the original."""

    def __init__(self, policies: Configured[P], bindings: Configured[B], versions: Versions) -> None:
        self._policies = policies
        self._bindings = bindings
        self._versions = versions

    async def calls(self, write: Attributes, reader: Reader) -> Calls[P, B]:
        """Raises 404 for a namespace that is not there, 500 while a stored policy cannot be used."""
        if is_exempt_from_policies(write.group_resource):
            return Calls()
        bindings = await self._bindings.all()
        policies = await self._policies.all() if bindings else ()
        if not policies:
            return Calls()
        namespace = await find_namespace(write, reader)
        ordered: list[Call[P, B] | Misconfigured[P, B]] = []
        for policy, binding, match in self._matches(policies, bindings, write, namespace):
            try:
                found = await params.collect(policy, binding, namespace_of(write), reader, self._versions)
            except ConfigurationError as exc:
                ordered.append(Misconfigured(policy, None if exc.of_policy else binding, str(exc)))
            else:
                ordered.append(Call(policy, binding, match, found))
        return Calls(ordered, None if is_namespace(write) else namespace)

    def _matches(
        self, policies: Sequence[P], bindings: Sequence[B], write: Attributes, namespace: Object | None
    ) -> Iterator[tuple[P, B, Match]]:
        equivalents = self._versions.equivalents
        for policy in policies:
            own = [binding for binding in bindings if binding.policy == policy.name]
            match = policy.criteria.match(write, namespace, equivalents) if own else None
            if match is None:
                continue
            for binding in own:
                criteria = binding.criteria
                if criteria is None or criteria.match(write, namespace, equivalents) is not None:
                    yield policy, binding, match
