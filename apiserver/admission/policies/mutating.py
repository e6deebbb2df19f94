"""MutatingAdmissionPolicy: stored policies that have bindings change the objects they match, one after another.

Stands before MutatingAdmissionWebhook. When a policy has changed an object, all plugins see it once more, and of the
policies those with the reinvocationPolicy IfNeeded that ran before the change. Source: apiserver
``pkg/admission/plugin/policy/mutating/dispatcher.go``.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from apiserver.admission.expressions import ExpressionFailed, namespace_value
from apiserver.admission.interface import Access, Attributes, Plugin, Reader, Reinvocation
from apiserver.admission.matching import Match
from apiserver.admission.policies.calls import Misconfigured, StoredPolicies, Versions
from apiserver.admission.policies.mutation import (
    MutatingBinding,
    MutatingPolicy,
    Mutation,
    MutationFailed,
)
from apiserver.admission.request import admission_request
from apiserver.admission.running import authorizer_of, in_time
from apiserver.api import errors, meta
from apiserver.api.errors import StatusError
from apiserver.api.field_errors import quote
from apiserver.api.gvk import GroupVersionKind
from apiserver.api.meta import Object
from apiserver.patch.apply.atoms import Atom

AtomOf = Callable[[GroupVersionKind], Atom | None]
"""How objects of a kind are owned; None: there is no schema of it (yet)."""
Complete = Callable[[GroupVersionKind, Object], Object]
"""A changed object of a kind, without unknown fields and with its defaults. Raises StatusError."""
_OTHER_NAMESPACE: Final = (
    "the namespace of the provided object does not match the namespace sent on the request"
)
_DENIED: Final = "admission request denied by policy"


@dataclass(frozen=True, slots=True)
class _Invocation:
    """One policy with one binding and one of its params."""

    policy: MutatingPolicy
    binding: MutatingBinding
    match: Match
    param: Any

    @property
    def key(self) -> Hashable:
        metadata = (self.param or {}).get("metadata") or {}
        return self.policy.name, self.binding.name, metadata.get("namespace"), metadata.get("name")


@dataclass(frozen=True, slots=True)
class _Fault:
    policy: MutatingPolicy
    binding: MutatingBinding | None
    message: str
    reason: str = ""

    def __str__(self) -> str:
        if self.binding is None:
            return f"policy {quote(self.policy.name)} denied request: {self.message}"
        names = f"policy '{self.policy.name}' with binding '{self.binding.name}'"
        return f"{names} denied request: {self.message}"


class MutatingAdmissionPolicy(Plugin):
    name = "MutatingAdmissionPolicy"

    def __init__(
        self,
        stored: StoredPolicies[MutatingPolicy, MutatingBinding],
        versions: Versions,
        access: Access,
        atom_of: AtomOf,
        complete: Complete,
    ) -> None:
        self._stored = stored
        self._versions = versions
        self._access = access
        self._atom_of = atom_of
        self._complete = complete

    async def admit(self, attributes: Attributes, reader: Reader) -> None:
        calls = await self._stored.calls(attributes, reader)
        faults: list[_Fault] = []
        invocations: list[_Invocation] = []
        for call in calls.ordered:
            if isinstance(call, Misconfigured):
                faults.append(_Fault(call.policy, call.binding, str(call)))
            else:
                invocations += [
                    _Invocation(call.policy, call.binding, call.match, param) for param in call.params
                ]
        if invocations:
            await self._dispatch(invocations, attributes, namespace_value(calls.namespace), faults)
        counted = [fault for fault in faults if fault.policy.fail]
        if counted:
            raise _refusal(attributes, counted)

    async def _dispatch(
        self,
        invocations: Sequence[_Invocation],
        write: Attributes,
        namespace: Any,
        faults: list[_Fault],
    ) -> None:
        if write.reinvocation is None:
            write.reinvocation = Reinvocation()
        state, rounds = write.reinvocation, write.reinvocation.policies
        if state.again and write.obj != rounds.output:
            rounds.call_again()
        try:
            for invocation in invocations:
                if await self._invoke(invocation, write, namespace, faults):
                    rounds.call_again()
                    state.wanted = True
                if invocation.policy.again:
                    rounds.called.add(invocation.key)
        finally:
            rounds.output = deepcopy(write.obj)

    async def _invoke(
        self, invocation: _Invocation, write: Attributes, namespace: Any, faults: list[_Fault]
    ) -> bool:
        """Whether the object is another one now."""
        policy, match = invocation.policy, invocation.match
        values = await self._values(invocation, write, namespace)
        try:
            if not await in_time(partial(policy.wants, values)):
                return False
        except ExpressionFailed as exc:
            faults.append(_Fault(policy, invocation.binding, str(exc), "Invalid"))
            return False
        assert write.reinvocation is not None
        if write.reinvocation.again and invocation.key not in write.reinvocation.policies.due:
            return False
        before = obj = values["object"]
        if obj is None:
            return False
        for mutation in policy.mutations:
            try:
                obj = await self._mutated(policy, mutation, {**values, "object": obj}, match.gvk)
            except MutationFailed as exc:
                faults.append(_Fault(policy, invocation.binding, str(exc), "Invalid"))
        if obj == before:
            return False
        if meta.namespace(obj) != meta.namespace(before):
            raise errors.bad_request(_OTHER_NAMESPACE)
        write.obj = await self._versions.converted(obj, write.gvr, match.gvr)
        return True

    async def _mutated(
        self, policy: MutatingPolicy, mutation: Mutation, values: dict[str, Any], gvk: GroupVersionKind
    ) -> Object:
        """With its defaults. Raises MutationFailed."""
        atom = self._atom_of(gvk)
        if atom is None:
            raise errors.service_unavailable(
                f"Resource kind {gvk} not found. There can be a delay between when CustomResourceDefinitions are "
                "created and when they are available."
            )
        patched = await in_time(partial(policy.mutate, mutation, values, atom))
        if patched == values["object"]:
            return patched
        try:
            return self._complete(gvk, deepcopy(patched))
        except StatusError as exc:
            raise MutationFailed(exc.message) from exc

    async def _values(self, invocation: _Invocation, write: Attributes, namespace: Any) -> dict[str, Any]:
        match, converted = invocation.match, self._versions.converted
        return {
            "object": await converted(write.obj, match.gvr, write.gvr),
            "oldObject": await converted(write.old, match.gvr, write.gvr),
            "request": admission_request(write, match),
            "authorizer": authorizer_of(write, self._access),
            "namespaceObject": namespace,
            "params": invocation.param,
        }


def _refusal(write: Attributes, faults: Sequence[_Fault]) -> StatusError:
    """The first one's words; 403, whatever the reason says, as in the original."""
    causes = [{"message": str(fault)} for fault in faults]
    error = write.forbidden(_DENIED, causes)
    return StatusError(error.code, faults[0].reason or error.reason, causes[0]["message"], error.details)
