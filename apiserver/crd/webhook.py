"""Conversion by webhook: a ConversionReview v1 for all values that are in another version, then as without one.

What the webhook may not change (names, uid, everything of the metadata but labels and annotations) is
checked. The request goes to the URL or the service of the definition, over TLS with its CA bundle, within 30
seconds. Source: apiextensions ``pkg/apiserver/conversion/webhook_converter.go``.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any, Final

from apiserver.api import codec
from apiserver.api.errors import StatusError, internal
from apiserver.api.gvk import GroupVersionKind
from apiserver.crd.conversion import Normalised
from apiserver.storage.interface import Undecodable
from apiserver.webhook_client import WebhookUnreachable

Object = dict[str, Any]
Send = Callable[[Mapping[str, Any], Object], Awaitable[Object]]
"""(clientConfig, ConversionReview) → the answer as it came. Raises WebhookUnreachable."""
_REVIEW: Final = "apiextensions.k8s.io/v1"
_CHANGEABLE: Final = ("labels", "annotations")


class ConversionFailed(Undecodable, StatusError):
    """Both a store that cannot give what is asked, and the answer to the client."""

    def __init__(self, reason: str) -> None:
        answer = internal(reason)
        StatusError.__init__(self, 500, "", reason, answer.details)


class WebhookConversion:
    """``own``: the group version that is read, ``stored``: that of the store."""

    def __init__(
        self, name: str, config: Mapping[str, Any], normalised: Normalised, own: str, stored: str, send: Send
    ) -> None:
        self._name = name
        self._webhook: Mapping[str, Any] = config.get("webhook") or {}
        self._normalised = normalised
        self._own = own
        self._stored = stored
        self._send = send

    async def read(self, values: Sequence[bytes]) -> list[bytes]:
        objects = [codec.decode(value) for value in values]
        converted = await self._converted(objects, self._own)
        return [self._normalised.normal(obj, value) for obj, value in zip(converted, values, strict=True)]

    async def written(self, value: bytes) -> bytes:
        if self._own == self._stored:
            return value
        return codec.encode((await self._converted([codec.decode(value)], self._stored))[0])

    async def _converted(self, objects: list[Object], wanted: str) -> list[Object]:
        """All objects in the wanted version; the webhook is asked once, for those that are not."""
        asked = [at for at, obj in enumerate(objects) if obj.get("apiVersion") != wanted]
        if not asked:
            return objects
        kind = GroupVersionKind.of(objects[asked[0]]["apiVersion"], objects[asked[0]]["kind"])
        answers = await self._ask([objects[at] for at in asked], wanted, kind)
        result = list(objects)
        for at, answer in zip(asked, answers, strict=True):
            result[at] = _checked(objects[at], answer, wanted, self._failed(kind, ""))
        return result

    def _failed(self, kind: GroupVersionKind, reason: str) -> str:
        return f"conversion webhook for {kind} failed: {reason}"

    async def _ask(self, objects: list[Object], wanted: str, kind: GroupVersionKind) -> list[Object]:
        uid = str(uuid.uuid4())
        request = {"uid": uid, "desiredAPIVersion": wanted, "objects": objects}
        review = {"kind": "ConversionReview", "apiVersion": _REVIEW, "request": request}
        try:
            answer = await self._send(self._webhook.get("clientConfig") or {}, review)
        except WebhookUnreachable as exc:
            raise ConversionFailed(self._failed(kind, str(exc))) from exc
        reason = _complaint(answer, uid, len(objects))
        if reason:
            raise ConversionFailed(self._failed(kind, reason))
        converted: list[Object] = answer["response"]["convertedObjects"]
        return converted


def _complaint(answer: Object, uid: str, expected: int) -> str:
    """What is wrong with a ConversionReview as an answer, empty if nothing."""
    said = (answer.get("apiVersion"), answer.get("kind"))
    if said != (_REVIEW, "ConversionReview"):
        return f"invalid response object, expected {_REVIEW}, Kind=ConversionReview, got {said[0]}, Kind={said[1]}"
    response = answer.get("response")
    if not isinstance(response, dict):
        return "no response provided"
    if response.get("uid") != uid:
        return f'expected response.uid="{uid}", got "{response.get("uid") or ""}"'
    result = response.get("result") or {}
    if result.get("status") != "Success":
        return str(result.get("message") or "unknown reason")
    converted = response.get("convertedObjects") or []
    if len(converted) != expected:
        return f"webhook returned {len(converted)} objects, expected {expected}"
    return ""


def _checked(original: Object, converted: Any, wanted: str, prefix: str) -> Object:
    """The converted object with the metadata that only the server may change. Raises ConversionFailed."""
    if not isinstance(converted, dict) or converted.get("apiVersion") != wanted:
        found = converted.get("apiVersion") if isinstance(converted, dict) else converted
        raise ConversionFailed(f"{prefix}returned object has unexpected version: {found}, expected {wanted}")
    if converted.get("kind") != original.get("kind"):
        raise ConversionFailed(
            f"{prefix}returned object has kind {converted.get('kind')}, expected {original.get('kind')}"
        )
    metadata = converted.get("metadata")
    if not isinstance(metadata, dict):
        raise ConversionFailed(f"{prefix}returned object has no metadata")
    before = original.get("metadata") or {}
    for key in ("name", "namespace", "uid"):
        if (metadata.get(key) or "") != (before.get(key) or ""):
            raise ConversionFailed(f"{prefix}returned object has a different {key}: {metadata.get(key)}")
    kept = {key: deepcopy(value) for key, value in before.items() if key not in _CHANGEABLE}
    changed = {key: metadata[key] for key in _CHANGEABLE if metadata.get(key)}
    return {**converted, "metadata": {**kept, **changed}}
