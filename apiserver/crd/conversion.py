"""(P) Values of the store in the form of one version, without a webhook: another apiVersion, pruned and defaulted.

``Normalised`` is the last step of every conversion, also of those by webhook.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from apiserver.api import codec
from apiserver.crd.defaulting import drop_nulls, set_defaults
from apiserver.crd.pruning import prune
from apiserver.crd.structural import Structural

Object = dict[str, Any]


class Normalised:
    """Strategy ``None``. ``schema`` is that of the version that is read."""

    def __init__(self, version: str, stored: str, schema: Callable[[], Structural]) -> None:
        """``version``, ``stored``: group versions."""
        self._version = version
        self._stored = stored
        self._schema = schema

    async def read(self, values: Sequence[bytes]) -> list[bytes]:
        return [self.normal(codec.decode(value), value) for value in values]

    def normal(self, obj: Object, value: bytes) -> bytes:
        """``value``: the bytes of ``obj``, returned if nothing has to change."""
        obj["apiVersion"] = self._version
        schema = self._schema()
        prune(obj, schema)
        drop_nulls(obj, schema)
        set_defaults(obj, schema)
        data = codec.encode(obj)
        return value if data == value else data

    async def written(self, value: bytes) -> bytes:
        if self._version == self._stored:
            return value
        obj = codec.decode(value)
        obj["apiVersion"] = self._stored
        return codec.encode(obj)
