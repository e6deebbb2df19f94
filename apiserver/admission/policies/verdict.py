"""(P) What becomes of the outcomes of all policies that a write meets: one refusal, warnings, audit annotations.

Source: apiserver ``pkg/admission/plugin/policy/validating/dispatcher.go``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Final

from apiserver.admission.interface import Attributes
from apiserver.admission.policies.calls import Misconfigured
from apiserver.admission.policies.policy import INVALID, Binding, Denial, Outcome, Policy
from apiserver.api.errors import StatusError

FAILURE_KEY: Final = "validation.policy.admission.k8s.io/validation_failure"
_CODES: Final = {"Forbidden": 403, "Unauthorized": 401, "RequestEntityTooLarge": 413}


@dataclass(slots=True)
class Verdict:
    """``refusals`` in the order in which they were found, with whose they are: the first is told."""

    write: Attributes
    refusals: list[tuple[str, Denial]] = field(default_factory=list)
    _notes: dict[str, list[str]] = field(default_factory=dict)

    def misconfigured(self, fault: Misconfigured[Policy, Binding]) -> None:
        """The failurePolicy decides."""
        if fault.policy.fail:
            self.refusals.append((_origin(fault.policy, fault.binding), Denial(str(fault))))

    def add(self, policy: Policy, binding: Binding, outcome: Outcome) -> None:
        for denial in outcome.denials:
            self._act(policy, binding, denial)
        self.refusals += [(_origin(policy, binding), denial) for denial in outcome.failures]
        for key, value in outcome.annotations:
            values = self._notes.setdefault(f"{policy.name}/{key}", [])
            if value not in values:
                values.append(value)

    def _act(self, policy: Policy, binding: Binding, denial: Denial) -> None:
        for action in binding.actions:
            match action:
                case "Deny":
                    self.refusals.append((_origin(policy, binding), denial))
                case "Audit":
                    self.write.annotate(FAILURE_KEY, _failure(policy, binding, denial))
                case "Warn":
                    place = f"ValidatingAdmissionPolicy '{policy.name}' with binding '{binding.name}'"
                    self.write.warn(f"Validation failed for {place}: {denial.message}")

    def finish(self) -> None:
        """Publishes the annotations; raises the first refusal."""
        for key, values in self._notes.items():
            self.write.annotate(key, ", ".join(values))
        if self.refusals:
            raise _refusal(self.write, *self.refusals[0])


def _origin(policy: Policy, binding: Binding | None) -> str:
    text = f"ValidatingAdmissionPolicy '{policy.name}'"
    return text if binding is None else f"{text} with binding '{binding.name}'"


def _failure(policy: Policy, binding: Binding, denial: Denial) -> str:
    value = {
        "message": denial.message,
        "policy": policy.name,
        "binding": binding.name,
        "expressionIndex": denial.index,
        "validationActions": list(binding.actions),
    }
    return json.dumps([value], separators=(",", ":"), ensure_ascii=False)


def _refusal(write: Attributes, origin: str, denial: Denial) -> StatusError:
    """ "Is forbidden" in words, whatever the reason says, as in the original."""
    message = f"{origin} denied request: {denial.message}"
    error = write.forbidden(message, [{"message": message}])
    reason = denial.reason or INVALID
    return StatusError(_CODES.get(reason, 422), reason, error.message, error.details)
