"""PATCH with an apply configuration: server-side apply. Called by the handler of PATCH and by subresources."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from apiserver.api import codec, errors, go_json, meta
from apiserver.api.errors import StatusError
from apiserver.api.gvk import GroupResource, GroupVersionKind
from apiserver.http import body, cbor, options, yaml
from apiserver.http.options import WriteOptions
from apiserver.http.rest.ownership import Ownership
from apiserver.http.scope import Exchange, Object

YAML: Final = "application/apply-patch+yaml"
CBOR: Final = "application/apply-patch+cbor"
_UNREAD: Final = "error converting YAML to JSON: "
_WIPED: Final = (
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
)


@dataclass(slots=True)
class Applier:
    """A decoded configuration, ready to be applied as often as races demand. ``repeated``: keys given twice."""

    exchange: Exchange
    gvk: GroupVersionKind
    config: Object
    repeated: list[str]
    chosen: WriteOptions

    @classmethod
    async def read(
        cls, exchange: Exchange, gvk: GroupVersionKind, media_type: str, chosen: WriteOptions
    ) -> Applier:
        """Raises 400 and 413."""
        data = await body.read(exchange)
        read = _cbor if media_type == CBOR else _yaml
        config, repeated = await body.aside(partial(read, data), len(data))
        body.require_few_values(config)
        return cls(exchange, gvk, config, repeated, chosen)

    def apply(self, owner: Ownership, old: Object | None) -> Object:
        """The object to be stored, not yet defaulted. Raises the errors of server-side apply."""
        new = owner.apply(old, self.config, bool(self.chosen.force))
        self._complain()
        new = self._normalised(new)
        if old is None:
            self._wipe(new)
        return new

    def _complain(self) -> None:
        if not self.repeated or self.chosen.field_validation == options.IGNORE:
            return
        if self.chosen.field_validation == options.STRICT:
            raise errors.bad_request(
                f"error strict decoding YAML: {_UNREAD}{yaml.strict_error(self.repeated)}"
            )
        for line in self.repeated:
            self.exchange.warn(line)

    def _normalised(self, new: Object) -> Object:
        try:
            return body.checked(self.exchange, self.gvk, new, None, options.IGNORE)
        except StatusError as exc:
            reason = exc.message.partition(f"cannot be handled as a {self.gvk.kind}: ")[2] or exc.message
            raise errors.unknown(self._failure(new, reason)) from None

    def _failure(self, new: Object, reason: str) -> str:
        gvk, place = self.gvk, f"{meta.namespace(new)}/{meta.name(new)}"
        return (
            f"failed to convert new object ({place}; {gvk}) to proper version ({gvk.group_version}): "
            f"unable to convert unstructured object to {gvk}: {reason}"
        )

    def _wipe(self, new: Object) -> None:
        """A new object takes nothing of the system's from its author. Raises 409 for one that was expected."""
        uid = meta.uid(new)
        if uid:
            info = self.exchange.info
            text = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
            raise errors.conflict(GroupResource(info.group, info.resource), info.name, text)
        for name in _WIPED:
            new["metadata"].pop(name, None)


def _yaml(data: bytes) -> tuple[Any, list[str]]:
    try:
        value, repeated = yaml.load(data)
    except yaml.TooManyValues:
        raise body.too_many() from None
    except yaml.YamlError as exc:
        raise errors.bad_request(f"error decoding YAML: {_UNREAD}{exc}") from None
    return _map(value, "error decoding YAML: error unmarshaling JSON: "), repeated


def _cbor(data: bytes) -> tuple[Any, list[str]]:
    try:
        value = cbor.load(data)
    except codec.DecodeError as exc:
        raise errors.bad_request(f"error decoding YAML: {exc}") from None
    return _map(value, "error decoding YAML: "), []


def _map(value: Any, prefix: str) -> Object:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise errors.bad_request(prefix + go_json.no_map(value))
    return value
