"""Stored bytes: splitting and splicing against decoding, setting and encoding."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiserver.api import codec

TEXT = st.text(max_size=8)
METADATA = st.fixed_dictionaries(
    {}, optional={"name": TEXT, "labels": st.dictionaries(TEXT, TEXT, max_size=3), "resourceVersion": TEXT}
)
OBJECTS = st.fixed_dictionaries(
    {"kind": st.just("Thing"), "apiVersion": st.just("v1"), "metadata": METADATA},
    optional={"spec": st.dictionaries(TEXT, TEXT, max_size=3)},
)


@given(OBJECTS, st.integers(1, 1 << 62))
def test_a_version_is_spliced_in_and_a_list_item_has_no_kind(obj: dict[str, Any], revision: int) -> None:
    stored = codec.encode(obj)
    metadata = {**obj["metadata"], "resourceVersion": str(revision)}
    whole = {**obj, "metadata": metadata}
    assert codec.decode(codec.splice(stored, revision)) == whole
    head, item = codec.split(stored, revision)
    assert head + item[1:] == codec.splice(stored, revision)
    assert codec.decode(item) == {k: v for k, v in whole.items() if k not in ("kind", "apiVersion")}


@given(OBJECTS)
def test_labels_are_those_of_the_whole(obj: dict[str, Any]) -> None:
    assert codec.labels(codec.encode(obj)) == (obj["metadata"].get("labels") or {})


def test_what_is_no_object_is_told() -> None:
    for data in (b"{}", b'{"kind":"Thing"}', b"[]", b"\xff"):
        with pytest.raises(codec.DecodeError):
            codec.split(data, 1)
        with pytest.raises(codec.DecodeError):
            codec.labels(data)
