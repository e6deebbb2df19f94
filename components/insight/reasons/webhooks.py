"""An admission webhook, or a policy, refuses it; or the webhook cannot be asked."""

from __future__ import annotations

import re
from typing import Final

from components.insight.reasons.messages import Refusal, refusals, subject, who
from components.insight.situation import Fact, Finding, Situation

_DENIED: Final = re.compile(r'admission webhook "(?P<name>[^"]+)" denied the request(?:: (?P<why>.*))?', re.S)
_FAILED: Final = re.compile(r'failed calling webhook "(?P<name>[^"]+)": (?P<why>.*)', re.S)
_POLICY: Final = re.compile(
    r"ValidatingAdmissionPolicy '(?P<name>[^']+)' with binding '(?P<binding>[^']+)' denied request: (?P<why>.*)",
    re.S,
)

_CONFIGURATIONS: Final = "kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations"


def find(situation: Situation) -> list[Finding]:
    for refusal in refusals(situation):
        for look in (_denied, _failed, _policy):
            finding = look(situation, refusal)
            if finding is not None:
                return [finding]
    return []


def _denied(situation: Situation, refusal: Refusal) -> Finding | None:
    match = _DENIED.search(refusal.message)
    if match is None:
        return None
    why = match["why"] or "it gave no reason"
    headline = f'{subject(situation)} because webhook "{match["name"]}" refuses it.'
    remedy = f"Do what the webhook asks for, or change it: {_CONFIGURATIONS}"
    told = Fact(f"The webhook says: {why}", refusal.evidence, refusal.since, remedy)
    return Finding([told, who(refusal)], headline, 88)


def _failed(situation: Situation, refusal: Refusal) -> Finding | None:
    match = _FAILED.search(refusal.message)
    if match is None:
        return None
    headline = f'{subject(situation)} because webhook "{match["name"]}" cannot be asked.'
    remedy = "Bring the webhook's server back, or set its failurePolicy to Ignore."
    text = f"The call failed, and its failurePolicy is Fail: {match['why']}"
    return Finding([Fact(text, refusal.evidence, refusal.since, remedy), who(refusal)], headline, 88)


def _policy(situation: Situation, refusal: Refusal) -> Finding | None:
    match = _POLICY.search(refusal.message)
    if match is None:
        return None
    headline = f"{subject(situation)} because policy {match['name']} refuses it."
    text = f"The policy says (binding {match['binding']}): {match['why']}"
    return Finding([Fact(text, refusal.evidence, refusal.since), who(refusal)], headline, 88)
