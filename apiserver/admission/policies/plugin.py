"""ValidatingAdmissionPolicy: runs the stored policies that have bindings on every write that they match."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from apiserver.admission.configured import Configured
from apiserver.admission.expressions import namespace_value
from apiserver.admission.interface import Access, Attributes, Plugin, Reader
from apiserver.admission.matching import (
    Match,
    is_exempt_from_policies,
    is_namespace,
    namespace_of,
)
from apiserver.admission.namespaces import find_namespace
from apiserver.admission.policies.params import ConfigurationError, Kinds, collect
from apiserver.admission.policies.policy import Binding, Policy
from apiserver.admission.policies.verdict import Verdict
from apiserver.admission.request import admission_request
from apiserver.admission.running import authorizer_of, in_time
from apiserver.api.gvk import GroupVersionResource
from apiserver.api.meta import Object


class Versions(Kinds, Protocol):
    """See ``apiserver.http.versions``."""

    def equivalents(self, gvr: GroupVersionResource, subresource: str, /) -> Sequence[Match]: ...

    async def converted(
        self, obj: Object | None, wanted: GroupVersionResource, own: GroupVersionResource
    ) -> Object | None: ...


@dataclass(slots=True)
class _Write:
    """A write with what policies want to know of it."""

    attributes: Attributes
    reader: Reader
    namespace: Object | None


class ValidatingAdmissionPolicy(Plugin):
    name = "ValidatingAdmissionPolicy"

    def __init__(
        self, policies: Configured[Policy], bindings: Configured[Binding], versions: Versions, access: Access
    ) -> None:
        self._policies = policies
        self._bindings = bindings
        self._versions = versions
        self._access = access

    async def validate(self, attributes: Attributes, reader: Reader) -> None:
        if is_exempt_from_policies(attributes.group_resource):
            return
        bindings = await self._bindings.all()
        policies = await self._policies.all() if bindings else ()
        if not policies:
            return
        found = await find_namespace(attributes, reader)
        write, verdict = _Write(attributes, reader, found), Verdict(attributes)
        for policy in policies:
            await self._judge(
                policy, [item for item in bindings if item.policy == policy.name], write, verdict
            )
        verdict.finish()

    async def _judge(
        self, policy: Policy, bindings: Sequence[Binding], write: _Write, verdict: Verdict
    ) -> None:
        equivalents = self._versions.equivalents
        match = policy.criteria.match(write.attributes, write.namespace, equivalents) if bindings else None
        if match is None:
            return
        for binding in bindings:
            criteria = binding.criteria
            if criteria is None or criteria.match(write.attributes, write.namespace, equivalents) is not None:
                await self._run(policy, binding, match, write, verdict)

    async def _run(
        self, policy: Policy, binding: Binding, match: Match, write: _Write, verdict: Verdict
    ) -> None:
        try:
            params = await collect(
                policy, binding, namespace_of(write.attributes), write.reader, self._versions
            )
        except ConfigurationError as exc:
            verdict.misconfigured(policy, None if exc.of_policy else binding, str(exc))
            return
        values = await self._values(match, write) if params else {}
        for param in params:
            outcome = await in_time(partial(policy.decide, {**values, "params": param}))
            verdict.add(policy, binding, outcome)

    async def _values(self, match: Match, write: _Write) -> dict[str, Any]:
        attributes, converted = write.attributes, self._versions.converted
        namespace = None if is_namespace(attributes) else write.namespace
        return {
            "object": await converted(attributes.obj, match.gvr, attributes.gvr),
            "oldObject": await converted(attributes.old, match.gvr, attributes.gvr),
            "request": admission_request(attributes, match),
            "authorizer": authorizer_of(attributes, self._access),
            "namespaceObject": namespace_value(namespace),
        }
