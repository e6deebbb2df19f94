"""MutatingAdmissionWebhook: one webhook after another may change the object by a JSON patch.

The last plugin that changes objects. When a webhook has changed one, all plugins see it once more, and of the
webhooks those with the reinvocationPolicy IfNeeded that were called before the change. Source: apiserver
``pkg/admission/plugin/webhook/mutating``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Final

from apiserver.admission.interface import Attributes, Plugin, Reader, Reinvocation
from apiserver.admission.policies.calls import Versions
from apiserver.admission.webhooks.calling import Caller, CallFailed, Target
from apiserver.admission.webhooks.hooks import Hook
from apiserver.api import errors, meta
from apiserver.api.gvk import GroupVersionKind
from apiserver.api.meta import Object
from apiserver.patch import json_patch
from apiserver.patch.errors import BadPatch, CannotApply

Complete = Callable[[GroupVersionKind, Object], Object]
"""A patched object of a kind, without unknown fields and with its defaults. Raises StatusError."""
_OTHER_NAMESPACE: Final = (
    "the namespace of the provided object does not match the namespace sent on the request"
)
_KEY: Final = "mutation.webhook.admission.k8s.io"


class MutatingAdmissionWebhook(Plugin):
    name = "MutatingAdmissionWebhook"

    def __init__(self, caller: Caller, versions: Versions, complete: Complete) -> None:
        self._caller = caller
        self._versions = versions
        self._complete = complete

    async def admit(self, attributes: Attributes, reader: Reader) -> None:
        hooks = await self._caller.hooks(attributes)
        if not hooks:
            return
        if attributes.reinvocation is None:
            attributes.reinvocation = Reinvocation()
        state = attributes.reinvocation
        if state.again and attributes.obj != state.output:
            _call_again(state)
        for at, hook in enumerate(hooks):
            if state.again and hook.identity not in state.due:
                continue
            target = await self._caller.target(hook, attributes, reader)
            if target is not None:
                await self._call(target, attributes, state, at)
        if not state.again:
            state.output = deepcopy(attributes.obj)

    async def _call(self, target: Target, write: Attributes, state: Reinvocation, at: int) -> None:
        hook, key = target.hook, f"{_KEY}/round_{int(state.again)}_index_{at}"
        changed = False
        try:
            answer = await self._caller.ask(target, write)
            changed = bool(answer.patch) and await self._apply(list(answer.patch), target, write)
        except CallFailed as exc:
            error = self._caller.failed(exc, hook, write, key)
            if error is not None:
                raise error from exc
        finally:
            write.annotate(key, _note(hook, mutated=changed))
        if changed:
            _call_again(state)
            state.wanted = True
        if hook.again:
            state.called.add(hook.identity)

    async def _apply(self, patch: list[object], target: Target, write: Attributes) -> bool:
        """Whether the patch changes the object. Raises StatusError."""
        if target.obj is None:
            raise errors.internal(
                f'admission webhook "{target.hook.name}" attempted to modify the object, which is not supported '
                "for this operation"
            )
        try:
            patched = json_patch.apply(target.obj, patch)
        except (BadPatch, CannotApply) as exc:
            raise errors.internal(str(exc)) from exc
        if not isinstance(patched, dict):
            raise errors.internal("the patched object is not an object")
        if patched == target.obj:
            return False
        if "metadata" in target.obj and not isinstance(patched.get("metadata"), dict):
            raise errors.internal("the patched object has no metadata")
        if meta.namespace(patched) != meta.namespace(target.obj):
            raise errors.bad_request(_OTHER_NAMESPACE)
        own = str(target.obj.get("apiVersion") or ""), str(target.obj.get("kind") or "")
        completed = self._complete(GroupVersionKind.of(*own), patched)
        write.obj = await self._versions.converted(completed, write.gvr, target.match.gvr)
        return True


def _call_again(state: Reinvocation) -> None:
    """In the second round, those that have been called so far."""
    state.due |= state.called
    state.called = set()


def _note(hook: Hook, *, mutated: bool) -> str:
    value = {"configuration": hook.configuration, "webhook": hook.name, "mutated": mutated}
    return json.dumps(value, separators=(",", ":"))
