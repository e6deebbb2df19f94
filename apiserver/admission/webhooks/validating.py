"""ValidatingAdmissionWebhook: asks all webhooks that a write meets at the same time; each of them may refuse it."""

from __future__ import annotations

import asyncio

from apiserver.admission.interface import Attributes, Plugin, Reader
from apiserver.admission.webhooks.calling import Caller, CallFailed, Target
from apiserver.api.errors import StatusError


class ValidatingAdmissionWebhook(Plugin):
    name = "ValidatingAdmissionWebhook"

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def validate(self, attributes: Attributes, reader: Reader) -> None:
        hooks = await self._caller.hooks(attributes)
        if not hooks:
            return
        asked = [await self._caller.target(hook, attributes, reader) for hook in hooks]
        targets = [target for target in asked if target is not None]
        answers = await asyncio.gather(
            *(self._refusal(target, attributes, at) for at, target in enumerate(targets))
        )
        refusal = next((answer for answer in answers if answer is not None), None)
        if refusal is not None:
            raise refusal

    async def _refusal(self, target: Target, write: Attributes, at: int) -> StatusError | None:
        try:
            await self._caller.ask(target, write)
        except CallFailed as exc:
            key = f"validating.webhook.admission.k8s.io/round_0_index_{at}"
            return self._caller.failed(exc, target.hook, write, key)
        except StatusError as exc:
            return exc
        return None
