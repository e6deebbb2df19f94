"""PATCH: the patch is applied to what is stored and the result goes the way of an update."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from apiserver.api import codec, errors, go_json
from apiserver.api.errors import StatusError
from apiserver.api.field_errors import Path, Raw, invalid
from apiserver.api.gvk import GroupKind, GroupVersionKind
from apiserver.http import body, options
from apiserver.http.handlers import answer
from apiserver.http.handlers.update import check_name, namespace_of, strategy_of
from apiserver.http.rest.call import Call
from apiserver.http.rest.update import Update, update
from apiserver.http.scope import Exchange, Object
from apiserver.patch import json_patch, merge, strategic
from apiserver.patch.errors import BadPatch, CannotApply, PatchFailure

JSON_PATCH: Final = "application/json-patch+json"
MERGE_PATCH: Final = "application/merge-patch+json"
STRATEGIC: Final = "application/strategic-merge-patch+json"
APPLY: Final = frozenset({"application/apply-patch+yaml", "application/apply-patch+cbor"})


async def handle(exchange: Exchange) -> web.StreamResponse:
    resource, info = exchange.resource, exchange.info
    chosen = options.write_options(exchange.query, "PatchOptions")
    patcher = await Patcher.read(exchange, resource.gvk, chosen.field_validation)

    async def transform(old: Object | None) -> Object:
        assert old is not None
        new = patcher.apply(old)
        check_name(new, info.name)
        resource.strategy.default(new)
        return new

    call = Call(exchange.services, resource, exchange.user, chosen.dry_run, info.subresource, exchange.warn)
    change = Update(transform, strategy_of(resource, info.subresource))
    stored, _ = await update(call, namespace_of(resource, info.namespace), info.name, change)
    return await answer.one(exchange, resource.gvk, stored)


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
        self._raw = raw

    @classmethod
    async def read(cls, exchange: Exchange, gvk: GroupVersionKind, validation: str) -> Patcher:
        """Raises 400 and 415."""
        media_type = (exchange.request.headers.get("Content-Type") or "").partition(";")[0].strip()
        if media_type in APPLY:
            raise errors.generic(
                415, "server-side apply is not supported by this server; use a merge, strategic or JSON patch"
            )
        if media_type not in (JSON_PATCH, MERGE_PATCH, STRATEGIC):
            raise errors.generic(415, "415: Unsupported Media Type")
        raw = await body.read(exchange)
        patch = _decode(raw, media_type)
        return cls(exchange, gvk, media_type, patch, validation, raw)

    def apply(self, old: Object) -> Object:
        """Raises 400, 422 and the original's 500 for self-contradicting strategic patches."""
        try:
            new = self._applied(old)
        except BadPatch as exc:
            raise errors.bad_request(str(exc)) from None
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
            raise self._invalid(body.mismatch(kind, version, self._gvk))
        try:
            return body.checked(self._exchange, self._gvk, new, None, self._validation)
        except StatusError as exc:
            raise self._invalid(
                exc.message.partition(f"cannot be handled as a {self._gvk.kind}: ")[2]
            ) from None

    def _invalid(self, reason: str) -> StatusError:
        shown = Raw(
            '"' + self._raw.decode("utf-8", "replace").replace("\\", "\\\\").replace('"', '\\"') + '"'
        )
        return errors.invalid(GroupKind("", ""), "", [invalid(Path("patch"), shown, reason)])


def _decode(raw: bytes, media_type: str) -> Any:
    prefix = "" if media_type == STRATEGIC else "error decoding patch: "
    try:
        patch = body.decode_json(raw)
    except codec.DecodeError:
        raise errors.bad_request(prefix + go_json.complaint(raw.decode("utf-8", "replace"))) from None
    body.require_few_values(patch)
    if media_type != JSON_PATCH and not isinstance(patch, dict):
        found = {list: "array", str: "string", bool: "bool"}.get(type(patch), "number")
        raise errors.bad_request(
            f"{prefix}json: cannot unmarshal {found} into Go value of type map[string]interface {{}}"
        )
    return patch
