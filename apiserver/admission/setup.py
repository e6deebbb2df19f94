"""Puts the plugins together that do what stored configurations say: policies and webhooks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from apiserver.admission.configured import Configured
from apiserver.admission.interface import Access, Plugin
from apiserver.admission.policies.calls import StoredPolicies, Versions
from apiserver.admission.policies.mutating import AtomOf, MutatingAdmissionPolicy
from apiserver.admission.policies.mutation import MutatingBinding, MutatingPolicy
from apiserver.admission.policies.plugin import ValidatingAdmissionPolicy
from apiserver.admission.policies.policy import Binding, Policy
from apiserver.admission.webhooks.calling import Caller, Send
from apiserver.admission.webhooks.hooks import hooks_of
from apiserver.admission.webhooks.mutating import Complete, MutatingAdmissionWebhook
from apiserver.admission.webhooks.validating import ValidatingAdmissionWebhook
from apiserver.storage.cacher import Caches

_PREFIX: Final = "/registry/"


def configured_plugins(
    caches: Caches,
    versions: Versions,
    send: Send,
    complete: Complete,
    access: Access,
    new_uid: Callable[[], str],
    atom_of: AtomOf,
) -> list[Plugin]:
    """In the original's order. ``new_uid`` names the questions to webhooks."""

    def caller(kind: str, *, mutating: bool) -> Caller:
        configured = Configured(caches.of(f"{_PREFIX}{kind}webhookconfigurations/"), hooks_of)
        return Caller(configured, versions, send, access, new_uid, mutating=mutating)

    validating = StoredPolicies(
        Configured(caches.of(f"{_PREFIX}validatingadmissionpolicies/"), Policy),
        Configured(caches.of(f"{_PREFIX}validatingadmissionpolicybindings/"), Binding),
        versions,
    )
    mutating = StoredPolicies(
        Configured(caches.of(f"{_PREFIX}mutatingadmissionpolicies/"), MutatingPolicy),
        Configured(caches.of(f"{_PREFIX}mutatingadmissionpolicybindings/"), MutatingBinding),
        versions,
    )
    return [
        MutatingAdmissionPolicy(mutating, versions, access, atom_of, complete),
        MutatingAdmissionWebhook(caller("mutating", mutating=True), versions, complete),
        ValidatingAdmissionPolicy(validating, versions, access),
        ValidatingAdmissionWebhook(caller("validating", mutating=False)),
    ]
