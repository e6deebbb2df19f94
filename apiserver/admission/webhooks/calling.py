"""One webhook and one write: is it called, what is it asked, what does its answer mean. Both plugins work with this."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apiserver.admission.configured import Configured
from apiserver.admission.expressions import ExpressionFailed
from apiserver.admission.interface import Access, Attributes, Reader
from apiserver.admission.matching import Match, is_configuration
from apiserver.admission.namespaces import find_namespace
from apiserver.admission.policies.calls import Versions
from apiserver.admission.request import admission_request
from apiserver.admission.running import authorizer_of, in_time
from apiserver.admission.webhooks.hooks import Hook
from apiserver.admission.webhooks.review import Answer, BadResponse, denial, read, review
from apiserver.api import errors
from apiserver.api.errors import StatusError
from apiserver.api.meta import Object
from apiserver.webhook_client import WebhookUnreachable

log = logging.getLogger(__name__)

Send = Callable[[Mapping[str, Any], Object, int], Awaitable[Object]]
"""(clientConfig, review, seconds) → the answer. Raises WebhookUnreachable."""


class CallFailed(Exception):
    """Nothing was decided; the failurePolicy says what that means."""

    def __init__(self, hook: Hook, reason: str) -> None:
        super().__init__(f'failed calling webhook "{hook.name}": {reason}')


@dataclass(slots=True)
class Target:
    """A webhook that is to be called. ``obj``, ``old``: in the version that it wants."""

    hook: Hook
    match: Match
    obj: Object | None
    old: Object | None


class Caller:
    """``mutating``: which kind of answer is allowed."""

    def __init__(
        self,
        configured: Configured[Sequence[Hook]],
        versions: Versions,
        send: Send,
        access: Access,
        new_uid: Callable[[], str],
        *,
        mutating: bool,
    ) -> None:
        self._configured = configured
        self._versions = versions
        self._send = send
        self._access = access
        self._new_uid = new_uid
        self._mutating = mutating

    async def hooks(self, write: Attributes) -> Sequence[Hook]:
        """All there are, in their order; none for what configures admission."""
        if is_configuration(write.group_resource):
            return ()
        configured = await self._configured.all()
        return list(itertools.chain.from_iterable(configured)) if configured else ()

    async def target(self, hook: Hook, write: Attributes, reader: Reader) -> Target | None:
        """None if the webhook is not concerned. Raises StatusError."""
        namespace = None if hook.criteria.namespaces.empty() else await find_namespace(write, reader)
        match = hook.criteria.match(write, namespace, self._versions.equivalents)
        if match is None:
            return None
        converted = self._versions.converted
        obj = await converted(write.obj, match.gvr, write.gvr)
        target = Target(hook, match, obj, await converted(write.old, match.gvr, write.gvr))
        return target if await _is_meant(target, write, self._access) else None

    async def ask(self, target: Target, write: Attributes) -> Answer:
        """The answer of a webhook that allows the write. Raises CallFailed, StatusError."""
        hook = target.hook
        if write.dry_run and not hook.dry:
            raise errors.bad_request(f'admission webhook "{hook.name}" does not support dry run')
        uid = self._new_uid()
        question = review(write, target.match, uid, target.obj, target.old)
        try:
            answer = await self._send(hook.client, question, hook.seconds)
        except WebhookUnreachable as exc:
            raise CallFailed(hook, f"failed to call webhook: {exc}") from exc
        try:
            result = read(answer, uid, mutating=self._mutating)
        except BadResponse as exc:
            raise CallFailed(hook, str(exc)) from exc
        for key, value in (result.annotations or {}).items():
            write.annotate(f"{hook.name}/{key}", value)
        for text in result.warnings:
            write.warn(text)
        if not result.allowed:
            raise denial(hook.name, result.result)
        return result

    def failed(self, exc: CallFailed, hook: Hook, write: Attributes, key: str) -> StatusError | None:
        """None where the failure is to be ignored; the audit log keeps that, under ``failed-open.<key>``."""
        if not hook.ignore:
            return errors.internal(str(exc))
        log.warning("%s: ignored, as its failurePolicy says", exc)
        write.annotate(f"failed-open.{key}", hook.name)
        return None


async def _is_meant(target: Target, write: Attributes, access: Access) -> bool:
    """What the match conditions say. Raises 403 where they fail."""
    conditions = target.hook.conditions
    if not conditions:
        return True
    values = {
        "object": target.obj,
        "oldObject": target.old,
        "request": admission_request(write, target.match),
        "namespaceObject": None,
        "authorizer": authorizer_of(write, access),
    }
    try:
        return await in_time(lambda check: conditions.hold(values, check))
    except ExpressionFailed as exc:
        raise errors.forbidden(write.group_resource, write.name, str(exc)) from exc
