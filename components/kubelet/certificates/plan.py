"""When a kubelet asks for a new client certificate, what it asks, and what became of it (P).

Source: client-go `util/certificate/certificate_manager.go`, `util/certificate/csr`, and the kubelet's own
`pkg/kubelet/certificate/kubelet.go`.
"""

from __future__ import annotations

import base64
from datetime import datetime, timedelta

from apiserver.api import certificate_requests as requests
from apiserver.api.meta import Object

USAGES = ("digital signature", "client auth")


class Refused(Exception):
    """Somebody has denied the request, or the signer could not sign it; the text is theirs."""


def deadline(not_before: datetime, not_after: datetime, share: float) -> datetime:
    """Between 70 and 90 per cent of its life, by a `share` from 0 to 1 drawn for each kubelet: not all at once."""
    life = not_after - not_before
    return not_before + life * 0.7 + life * 0.2 * share


def request(node_name: str, pem: bytes) -> Object:
    """The CertificateSigningRequest to create for a request in PEM."""
    return {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"generateName": "csr-"},
        "spec": {
            "request": base64.b64encode(pem).decode(),
            "signerName": requests.KUBELET_CLIENT,
            "usages": list(USAGES),
        },
    }


def issued(csr: Object) -> bytes | None:
    """The certificate in PEM; None while it is waited for. Raises Refused."""
    for kind in ("Denied", "Failed"):
        condition = requests.condition(csr, kind)
        if condition is not None:
            raise Refused(
                f"{kind.lower()}: {condition.get('message') or condition.get('reason') or 'no reason'}"
            )
    data = (csr.get("status") or {}).get("certificate")
    return base64.b64decode(data) if data else None


def pause(attempt: int) -> timedelta:
    """Before the next attempt: 2 s, doubled each time, at most five minutes."""
    return timedelta(seconds=min(2.0 * 2**attempt, 300.0))
