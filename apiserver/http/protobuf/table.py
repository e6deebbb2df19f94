"""What the fields of each message are, from ``fields.json`` (made by tools/protobuf_fields.py). Read on first use."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Final, NamedTuple

import msgspec

from apiserver.api.gvk import GroupVersionKind

KEPT, OMIT_EMPTY, LIST, MAP, INLINE = "kept", "omitempty", "list", "map", "inline"
_SUFFIX: Final = ".k8s.io"
_OPTIONS: Final = frozenset(
    {"CreateOptions", "DeleteOptions", "GetOptions", "ListOptions", "PatchOptions", "UpdateOptions"}
)


class Field(NamedTuple):
    """``type`` is a message, a scalar or a name of :mod:`.wellknown`; a map's is that of its values.

    ``shape``: ``kept`` is written whenever it came, ``omitempty`` only if it is not zero (Go's struct tag); ``list``
    and ``map``; the fields of an ``inline`` message are the fields of its parent.
    """

    name: str
    type: str
    shape: str


Fields = dict[int, Field]


@cache
def messages() -> dict[str, Fields]:
    data = resources.files(__package__).joinpath("fields.json").read_bytes()
    return msgspec.json.decode(data, type=dict[str, Fields])


def message_of(gvk: GroupVersionKind) -> str | None:
    """The name of a kind's message; None if the kind has no protobuf form."""
    if gvk.kind in _OPTIONS:  # registered in every group
        return f"meta.v1.{gvk.kind}"
    group = gvk.group or "core"
    if "." in group and not group.endswith(_SUFFIX):
        return None
    name = f"{group.partition('.')[0]}.{gvk.version}.{gvk.kind}"
    return name if name in messages() else None
