"""PATCH: the patch is applied to what is stored and the result goes the way of an update.

Server-side apply is in :mod:`apiserver.http.handlers.apply`.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from aiohttp import web

from apiserver.api import codec, errors, go_json
from apiserver.api.errors import StatusError
from apiserver.api.field_errors import Path, invalid
from apiserver.api.gvk import GroupKind, GroupVersionKind
from apiserver.http import body, negotiation, options
from apiserver.http.handlers import answer, apply
from apiserver.http.handlers.update import call_of, check_name, namespace_of, owner_of, strategy_of
from apiserver.http.rest.ownership import Ownership
from apiserver.http.rest.update import Update, update
from apiserver.http.scope import Exchange, Object
from apiserver.patch import json_patch, merge, strategic
from apiserver.patch.errors import BadPatch, CannotApply, PatchFailure, TooLong
from apiserver.patch.go_text import go_value
from apiserver.schema.check import duplicate_fields

JSON_PATCH: Final = "application/json-patch+json"
MERGE_PATCH: Final = "application/merge-patch+json"
STRATEGIC: Final = "application/strategic-merge-patch+json"
_MANY_STEPS: Final = 200
_FORMATS: Final = (JSON_PATCH, MERGE_PATCH, STRATEGIC, apply.YAML)


async def handle(exchange: Exchange) -> web.StreamResponse:
    resource, info = exchange.resource, exchange.info
    patcher, chosen = await read(exchange, resource.gvk)
    call = call_of(exchange, chosen.dry_run)
    owner = owner_of(exchange, call, chosen.field_manager)

    async def transform(old: Object | None) -> Object:
        long = isinstance(patcher, Patcher) and patcher.is_long
        new = await asyncio.to_thread(patcher.apply, owner, old) if long else patcher.apply(owner, old)
        check_name(new, info.name)
        resource.strategy.default(new)
        return new if isinstance(patcher, apply.Applier) else owner.update(old, new)

    may_create = isinstance(patcher, apply.Applier) and not info.subresource
    change = Update(transform, strategy_of(resource, info.subresource), may_create=may_create)
    stored, created = await update(call, namespace_of(resource, info.namespace), info.name, change)
    return await answer.one(exchange, resource.gvk, stored, 201 if created else 200)


async def read(
    exchange: Exchange, gvk: GroupVersionKind
) -> tuple[Patcher | apply.Applier, options.WriteOptions]:
    """The patch and how it is to be taken. Raises 400, 413, 415 and 422."""
    media_type = (exchange.request.headers.get("Content-Type") or "").partition(";")[0].strip()
    if media_type == STRATEGIC and exchange.resource.custom is not None:
        raise errors.unsupported_media_type((JSON_PATCH, MERGE_PATCH, apply.YAML))
    cbor = negotiation.CBOR in exchange.services.media_types
    if media_type not in _FORMATS and not (media_type == apply.CBOR and cbor):
        raise errors.generic(415, "415: Unsupported Media Type")
    applying = media_type in (apply.YAML, apply.CBOR)
    chosen = options.write_options(exchange.query, "PatchOptions", applying=applying)
    if applying:
        return await apply.Applier.read(exchange, gvk, media_type, chosen), chosen
    return await Patcher.read(exchange, gvk, media_type, chosen.field_validation), chosen


class Patcher:
    """A decoded patch, ready to be applied as often as races demand."""

    def __init__(
        self,
        exchange: Exchange,
        gvk: GroupVersionKind,
        media_type: str,
        patch: Any,
        validation: str,
        raw: bytes,
    ) -> None:
        self._exchange = exchange
        self._gvk = gvk
        self._media_type = media_type
        self._patch = patch
        self._validation = validation
        self._complaints = document_complaints(raw, patch, media_type) if validation != options.IGNORE else []

    @classmethod
    async def read(
        cls, exchange: Exchange, gvk: GroupVersionKind, media_type: str, validation: str
    ) -> Patcher:
        """Raises 400 and 413."""
        raw = await body.read(exchange)
        patch = _decode(raw, media_type)
        return cls(exchange, gvk, media_type, patch, validation, raw)

    @property
    def is_long(self) -> bool:
        """Whether it may take so long to apply that the event loop must not wait for it."""
        if self._media_type != JSON_PATCH or not isinstance(self._patch, list):
            return False
        return len(self._patch) > _MANY_STEPS or any(_copies(step) for step in self._patch)

    def apply(self, _: Ownership, old: Object | None) -> Object:
        """``old`` is there: such patches create nothing.

        Raises 400, 413, 422 and the original's 500 for self-contradicting strategic patches."""
        assert old is not None
        try:
            new = self._applied(old)
        except BadPatch as exc:
            raise errors.bad_request(str(exc)) from None
        except TooLong as exc:
            raise errors.request_entity_too_large(str(exc)) from None
        except CannotApply:
            raise errors.generic(422) from None
        except PatchFailure as exc:
            raise errors.unknown(str(exc)) from None
        if not isinstance(new, dict):
            raise errors.generic(422)
        return self._checked(new)

    def _applied(self, old: Object) -> Any:
        if self._media_type == JSON_PATCH:
            return json_patch.apply(old, self._patch)
        if self._media_type == MERGE_PATCH:
            return merge.apply(old, self._patch)
        return strategic.apply(old, self._patch, self._exchange.services.schemas.type_of(self._gvk))

    def _checked(self, new: Object) -> Object:
        kind, version = new.get("kind") or "", new.get("apiVersion") or ""
        if (kind, version) != (self._gvk.kind, self._gvk.group_version):
            raise self._invalid(body.mismatch(kind, version, self._gvk), new)
        try:
            return body.checked(
                self._exchange,
                self._gvk,
                new,
                None,
                self._validation,
                before=self._complaints,
                converting=self._media_type == STRATEGIC,
            )
        except StatusError as exc:
            reason = exc.message.partition(f"cannot be handled as a {self._gvk.kind}: ")[2]
            raise self._invalid(reason, new) from None

    def _invalid(self, reason: str, new: Object) -> StatusError:
        """The original shows the patched object, or a strategic patch itself as Go prints it."""
        shown = go_value(self._patch) if self._media_type == STRATEGIC else codec.dumps_sorted(new).decode()
        return errors.invalid(GroupKind("", ""), "", [invalid(Path("patch"), shown, reason)])


def _copies(step: Any) -> bool:
    return isinstance(step, dict) and step.get("op") == "copy"


def document_complaints(raw: bytes, patch: Any, media_type: str) -> list[str]:
    """Fields of the patch document that come twice, and those that operations do not have."""
    found = duplicate_fields(raw)
    if media_type != JSON_PATCH or not isinstance(patch, list):
        return found
    return [f"json patch {text}" for text in (*found, *json_patch.unknown_fields(patch))]


def _decode(raw: bytes, media_type: str) -> Any:
    prefix = "" if media_type == STRATEGIC else "error decoding patch: "
    try:
        patch = body.decode_json(raw)
    except codec.DecodeError:
        raise errors.bad_request(prefix + go_json.complaint(raw.decode("utf-8", "replace"))) from None
    body.require_few_values(patch)
    if media_type != JSON_PATCH and not isinstance(patch, dict):
        raise errors.bad_request(prefix + go_json.no_map(patch))
    return patch
