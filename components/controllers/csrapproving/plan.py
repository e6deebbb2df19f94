"""Which right lets a kubelet's certificate request be approved by itself (P). Source: approver/sarapprove.go."""

from __future__ import annotations

from dataclasses import dataclass

from apiserver.api import certificate_requests as requests
from apiserver.api.meta import Object
from components.controllers.common.objects import spec, status


@dataclass(frozen=True)
class Question:
    """May the requester ``create`` certificatesigningrequests/``subresource``? Then it is approved in these words."""

    subresource: str
    message: str


def questions(csr: Object) -> list[Question]:
    """In the order in which they are asked; the first yes approves. None for requests that people decide on."""
    decided = any(requests.condition(csr, kind) for kind in ("Approved", "Denied"))
    if decided or status(csr).get("certificate"):
        return []
    if spec(csr).get("signerName") != requests.KUBELET_CLIENT:
        return []
    try:
        asked = requests.read(csr)
    except requests.BadRequest:
        return []
    if requests.fault_of(requests.KUBELET_CLIENT, asked, spec(csr).get("usages") or ()):
        return []
    own = Question(
        "selfnodeclient", "Auto approving self kubelet client certificate after SubjectAccessReview."
    )
    other = Question("nodeclient", "Auto approving kubelet client certificate after SubjectAccessReview.")
    return [own, other] if asked.common_name == spec(csr).get("username") else [other]


def review(csr: Object, question: Question) -> Object:
    """The SubjectAccessReview to create."""
    attributes = {
        "group": "certificates.k8s.io",
        "resource": "certificatesigningrequests",
        "verb": "create",
        "subresource": question.subresource,
    }
    asked = spec(csr)
    filled = {key: asked[key] for key in ("uid", "groups", "extra") if asked.get(key)}
    filled["user"] = asked.get("username") or ""
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {**filled, "resourceAttributes": attributes},
    }


def approved(csr: Object, question: Question) -> Object:
    made = {"type": "Approved", "status": "True", "reason": "AutoApproved", "message": question.message}
    return {**csr, "status": {**status(csr), "conditions": [*(status(csr).get("conditions") or []), made]}}
