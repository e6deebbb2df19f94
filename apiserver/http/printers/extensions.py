"""(P) The columns of admission configuration."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from apiserver.api import meta
from apiserver.http.printers.common import UNSET, Object, age, spec

_GROUP = "admissionregistration.k8s.io"


def webhooks(obj: Object, now: datetime) -> list[Any]:
    return [meta.name(obj), len(obj.get("webhooks") or ()), age(obj, now)]


def _policy(field: str) -> Any:
    def policy(obj: Object, now: datetime) -> list[Any]:
        kind = spec(obj).get("paramKind")
        text = f"{kind.get('apiVersion', '')}/{kind.get('kind', '')}" if kind else UNSET
        return [meta.name(obj), len(spec(obj).get(field) or ()), text, age(obj, now)]

    return policy


def binding(obj: Object, now: datetime) -> list[Any]:
    reference = spec(obj).get("paramRef")
    text = UNSET
    if reference:
        scope, name = reference.get("namespace"), reference.get("name", "")
        text = f"{scope}/{name}" if scope else f"*/{name}"
    return [meta.name(obj), spec(obj).get("policyName", ""), text, age(obj, now)]


PRINTERS = {
    (_GROUP, "ValidatingWebhookConfiguration"): webhooks,
    (_GROUP, "MutatingWebhookConfiguration"): webhooks,
    (_GROUP, "ValidatingAdmissionPolicy"): _policy("validations"),
    (_GROUP, "MutatingAdmissionPolicy"): _policy("mutations"),
    (_GROUP, "ValidatingAdmissionPolicyBinding"): binding,
    (_GROUP, "MutatingAdmissionPolicyBinding"): binding,
}
