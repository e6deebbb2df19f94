"""What becomes of a certificate request: nothing yet, a refusal, or a certificate of some length (P).

Source: pkg/controller/certificates/signer/signer.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from apiserver.api import certificate_requests as requests
from apiserver.api.certificate_requests import Asked
from apiserver.api.meta import Object
from components.controllers.common.objects import spec, status

_SHORTEST = timedelta(minutes=10)


@dataclass(frozen=True)
class Sign:
    asked: Asked
    usages: tuple[str, ...]
    duration: timedelta


@dataclass(frozen=True)
class Refuse:
    reason: str
    message: str


def decide(csr: Object, longest: timedelta) -> Sign | Refuse | None:
    """None: it is not approved, already done, or another signer's."""
    signer = spec(csr).get("signerName") or ""
    done = status(csr).get("certificate") or requests.condition(csr, "Failed")
    approved = requests.condition(csr, "Approved") and not requests.condition(csr, "Denied")
    if signer not in requests.SIGNERS or done or not approved:
        return None
    usages = tuple(spec(csr).get("usages") or ())
    try:
        asked = requests.read(csr)
    except requests.BadRequest as fault:
        return Refuse("SignerValidationFailure", str(fault))
    fault_text = requests.fault_of(signer, asked, usages)
    if fault_text:
        return Refuse("SignerValidationFailure", fault_text)
    return Sign(asked, usages, _duration(csr, longest))


def _duration(csr: Object, longest: timedelta) -> timedelta:
    seconds = spec(csr).get("expirationSeconds")
    if seconds is None:
        return longest
    return max(_SHORTEST, min(timedelta(seconds=seconds), longest))


def failed(csr: Object, refusal: Refuse) -> Object:
    made = {"type": "Failed", "status": "True", "reason": refusal.reason, "message": refusal.message}
    return {**csr, "status": {**status(csr), "conditions": [*(status(csr).get("conditions") or []), made]}}
