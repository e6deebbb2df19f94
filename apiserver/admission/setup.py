"""Puts the plugins together that do what stored configurations say: policies and webhooks."""

from __future__ import annotations

from typing import Final

from apiserver.admission.configured import Configured
from apiserver.admission.interface import Plugin
from apiserver.admission.policies.plugin import ValidatingAdmissionPolicy, Versions
from apiserver.admission.policies.policy import Binding, Policy
from apiserver.storage.cacher import Caches

_PREFIX: Final = "/registry/"


def configured_plugins(caches: Caches, versions: Versions) -> list[Plugin]:
    """In the original's order."""
    policies = Configured(caches.of(f"{_PREFIX}validatingadmissionpolicies/"), Policy)
    bindings = Configured(caches.of(f"{_PREFIX}validatingadmissionpolicybindings/"), Binding)
    return [ValidatingAdmissionPolicy(policies, bindings, versions)]
