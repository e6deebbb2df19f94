"""Certificate signing requests: who approves sets conditions, who signs sets the certificate."""

from __future__ import annotations

import copy

from apiserver.api import meta
from apiserver.api.field_errors import FieldError
from apiserver.registry.strategy import Object, Strategy
from apiserver.validation.dispatch import validate_update
from apiserver.validation.signing import validate_approval, validate_certificate_update


class _Part:
    def __init__(self, main: Strategy) -> None:
        self._main = main

    def prepare_for_update(self, new: Object, old: Object) -> None:
        new["spec"] = copy.deepcopy(old["spec"])
        self._stamp(new, old)

    def _stamp(self, new: Object, old: Object) -> None:
        """Times that the writer left out; a condition that stays keeps the time of its transition."""
        now = meta.format_time(self._main.options.now())
        before = (old.get("status") or {}).get("conditions") or []
        for condition in (new.get("status") or {}).get("conditions") or ():
            condition["lastUpdateTime"] = condition.get("lastUpdateTime") or now
            if not condition.get("lastTransitionTime"):
                condition["lastTransitionTime"] = _transition(condition, before) or now

    def _metadata(self, new: Object, old: Object) -> list[FieldError]:
        return validate_update(self._main.gvk, new, old, self._main.validation_options, status=True)


def _transition(condition: Object, before: list[Object]) -> str:
    for known in before:
        if known.get("type") == condition.get("type") and known.get("status") == condition.get("status"):
            return known.get("lastTransitionTime") or ""
    return ""


class Approval(_Part):
    def prepare_for_update(self, new: Object, old: Object) -> None:
        super().prepare_for_update(new, old)
        conditions = (new.get("status") or {}).get("conditions")
        new["status"] = copy.deepcopy(old.get("status") or {})
        new["status"].pop("conditions", None)
        if conditions:
            new["status"]["conditions"] = conditions

    def validate_update(self, new: Object, old: Object) -> list[FieldError]:
        return validate_approval(new, old) + self._metadata(new, old)


class SigningStatus(_Part):
    def validate_update(self, new: Object, old: Object) -> list[FieldError]:
        return validate_certificate_update(new, old) + self._metadata(new, old)
