"""An authorizer elsewhere: asked with a SubjectAccessReview, its answers remembered for a while.

A member of ``auth.authorizer``. Its match conditions decide first whether it is asked at all. Without an answer, or
with conditions that fail, its failurePolicy decides: no opinion, or no.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from apiserver.api import codec
from apiserver.auth.authorizer import Decision
from apiserver.auth.rbac import Attributes
from apiserver.auth.structured.access_review import matches, may_be_remembered, spec_of
from apiserver.auth.structured.expressions import ExpressionFault, TooLong, patience
from apiserver.auth.structured.review_client import ReviewFailed, Send

log = logging.getLogger(__name__)

Object = dict[str, Any]
_REMEMBERED: Final = 8192
_BOTH: Final = "webhook subject access review returned both allow and deny response"


@dataclass(frozen=True, slots=True)
class Settings:
    """Times in seconds; 0: such answers are not remembered. ``version``: of the reviews. ``denies``: on failure."""

    name: str
    version: str
    denies: bool
    authorized_ttl: float
    unauthorized_ttl: float
    conditions: Sequence[str] = ()


class WebhookAuthorizer:
    """``clock``: monotonic seconds."""

    NO_LIST = "webhook authorizer does not support user rule resolution"

    def __init__(self, settings: Settings, send: Send, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._send = send
        self._clock = clock
        self._answers: OrderedDict[bytes, tuple[float, Object]] = OrderedDict()

    async def decide(self, asked: Attributes) -> Decision:
        try:
            if not await self._is_meant(asked):
                return Decision(False)
            status = await self._status(asked)
        except (ExpressionFault, ReviewFailed) as exc:
            log.error("authorizer %s: %s", self._settings.name, exc)
            return Decision(False, denied=self._settings.denies, error=str(exc))
        return _decision(status)

    async def _is_meant(self, asked: Attributes) -> bool:
        conditions = self._settings.conditions
        if not conditions:
            return True
        try:
            return matches(conditions, asked, patience())
        except TooLong:
            return await asyncio.to_thread(matches, conditions, asked)

    async def _status(self, asked: Attributes) -> Object:
        """Raises ReviewFailed."""
        spec = spec_of(asked)
        key = codec.dumps_sorted(spec)
        known = self._answers.get(key)
        if known is not None and known[0] > self._clock():
            return known[1]
        answer = await self._send(_review(spec, self._settings.version))
        status = answer.get("status")
        if not isinstance(status, dict):
            raise ReviewFailed("the answer has no status")
        self._remember(key, asked, status)
        return status

    def _remember(self, key: bytes, asked: Attributes, status: Object) -> None:
        settings = self._settings
        ttl = settings.authorized_ttl if status.get("allowed") is True else settings.unauthorized_ttl
        if not ttl or not may_be_remembered(asked):
            return
        self._answers[key] = (self._clock() + ttl, status)
        self._answers.move_to_end(key)
        while len(self._answers) > _REMEMBERED:
            self._answers.popitem(last=False)


def _review(spec: Object, version: str) -> Object:
    """In v1beta1 the groups are called ``group``."""
    if version == "v1beta1" and "groups" in spec:
        spec = {("group" if name == "groups" else name): value for name, value in spec.items()}
    return {
        "kind": "SubjectAccessReview",
        "apiVersion": f"authorization.k8s.io/{version}",
        "metadata": {},
        "spec": spec,
        "status": {"allowed": False},
    }


def _decision(status: Object) -> Decision:
    allowed, denied = status.get("allowed") is True, status.get("denied") is True
    reason = status.get("reason")
    text = reason if isinstance(reason, str) else ""
    if allowed and denied:
        return Decision(False, text, denied=True, error=_BOTH)
    return Decision(allowed, text, denied=denied)
