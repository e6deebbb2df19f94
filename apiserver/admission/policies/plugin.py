"""ValidatingAdmissionPolicy: runs the stored policies that have bindings on every write that they match."""

from __future__ import annotations

from functools import partial
from typing import Any

from apiserver.admission.expressions import namespace_value
from apiserver.admission.interface import Access, Attributes, Plugin, Reader
from apiserver.admission.matching import Match
from apiserver.admission.policies.calls import Misconfigured, StoredPolicies, Versions
from apiserver.admission.policies.policy import Binding, Policy
from apiserver.admission.policies.verdict import Verdict
from apiserver.admission.request import admission_request
from apiserver.admission.running import authorizer_of, in_time
from apiserver.api.meta import Object


class ValidatingAdmissionPolicy(Plugin):
    name = "ValidatingAdmissionPolicy"

    def __init__(self, stored: StoredPolicies[Policy, Binding], versions: Versions, access: Access) -> None:
        self._stored = stored
        self._versions = versions
        self._access = access

    async def validate(self, attributes: Attributes, reader: Reader) -> None:
        calls = await self._stored.calls(attributes, reader)
        verdict = Verdict(attributes)
        for call in calls.ordered:
            if isinstance(call, Misconfigured):
                verdict.misconfigured(call)
                continue
            values = await self._values(call.match, attributes, calls.namespace) if call.params else {}
            for param in call.params:
                outcome = await in_time(partial(call.policy.decide, {**values, "params": param}))
                verdict.add(call.policy, call.binding, outcome)
        verdict.finish()

    async def _values(self, match: Match, write: Attributes, namespace: Object | None) -> dict[str, Any]:
        converted = self._versions.converted
        return {
            "object": await converted(write.obj, match.gvr, write.gvr),
            "oldObject": await converted(write.old, match.gvr, write.gvr),
            "request": admission_request(write, match),
            "authorizer": authorizer_of(write, self._access),
            "namespaceObject": namespace_value(namespace),
        }
