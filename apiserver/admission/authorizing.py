"""(P) ``authorizer`` in expressions: may the user of the request, or a service account, do this or that?

``authorizer.group('apps').resource('deployments').namespace('a').check('create').allowed()``; the plugins give
the function that decides. Field and label selectors are accepted and not looked at: they could only make the
question narrower. Source: apiserver ``pkg/cel/library/authz.go``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from apiserver.admission.interface import Attributes
from apiserver.admission.matching import namespace_of
from apiserver.auth import rbac
from apiserver.auth.user import User, service_account_user
from apiserver.cel.library.function import Function, function
from apiserver.cel.types import Type, object_of
from apiserver.cel.values import Opaque

Decide = Callable[[rbac.Attributes], tuple[bool, str]]
"""(allowed, reason). May raise TooLong."""
_COST: Final = 350_000
"""Of one question, as in Kubernetes: an authorizer may be far away."""
RESOURCE_CHECK: Final = Type("kubernetes_resourcecheck")
AUTHORIZER: Final = object_of(
    "kubernetes_authorizer", {"requestResource": ("requestResource", RESOURCE_CHECK)}
)


@dataclass(frozen=True)
class Check(Opaque):
    """What is asked so far."""

    asked: rbac.Attributes
    decide: Decide
    type_name = "kubernetes.authorization.Check"

    def with_(self, **changes: Any) -> Check:
        return replace(self, asked=replace(self.asked, **changes))

    def check(self, verb: str) -> Decision:
        return Decision(*self.decide(replace(self.asked, verb=verb)))


@dataclass(frozen=True)
class Decision(Opaque):
    allowed: bool
    reason: str
    type_name = "kubernetes.authorization.Decision"


class Authorizer(dict[str, Any]):
    """The value of ``authorizer``; its only field is ``requestResource``, where the request is known."""

    def __init__(self, user: User, decide: Decide, write: Attributes | None = None) -> None:
        super().__init__()
        self._decide = decide
        self._user = user
        if write is not None:
            asked = rbac.Attributes(
                *(user, "", write.gvr.group, write.gvr.resource, write.subresource),
                *(namespace_of(write), write.name),
            )
            self["requestResource"] = Check(asked, decide)

    def ask(self, *, group: str = "", path: str = "") -> Check:
        return Check(rbac.Attributes(self._user, "", group, path=path), self._decide)

    def of_service_account(self, namespace: str, name: str) -> Authorizer:
        return Authorizer(service_account_user(namespace, name, ""), self._decide)


def _functions() -> tuple[Function, ...]:
    check, group, path = "kubernetes_resourcecheck", "kubernetes_groupcheck", "kubernetes_pathcheck"
    asker, decision = "kubernetes_authorizer", "kubernetes_decision"

    def question(text: str, run: Callable[..., Any]) -> Function:
        return function(text, run, lambda _: _COST)

    return (
        function(f"{asker}.path(string) -> {path}", lambda own, value: own.ask(path=value)),
        function(f"{asker}.group(string) -> {group}", lambda own, value: own.ask(group=value)),
        function(f"{asker}.serviceAccount(string, string) -> {asker}", Authorizer.of_service_account),
        function(f"{group}.resource(string) -> {check}", lambda own, value: own.with_(resource=value)),
        function(f"{check}.subresource(string) -> {check}", lambda own, value: own.with_(subresource=value)),
        function(f"{check}.namespace(string) -> {check}", lambda own, value: own.with_(namespace=value)),
        function(f"{check}.name(string) -> {check}", lambda own, value: own.with_(name=value)),
        function(f"{check}.fieldSelector(string) -> {check}", lambda own, _: own),
        function(f"{check}.labelSelector(string) -> {check}", lambda own, _: own),
        question(f"{check}.check(string) -> {decision}", Check.check),
        question(f"{path}.check(string) -> {decision}", Check.check),
        function(f"{decision}.allowed() -> bool", lambda own: own.allowed),
        function(f"{decision}.reason() -> string", lambda own: own.reason),
        function(f"{decision}.errored() -> bool", lambda _: False),
        function(f"{decision}.error() -> string", lambda _: ""),
    )


FUNCTIONS: Final = _functions()
