"""Bodies that are small in bytes and large in work are refused before anything walks them."""

from __future__ import annotations

import pytest

from apiserver.api import codec
from apiserver.api.errors import StatusError
from apiserver.http import body, negotiation

LAUGHS = b"""
a: &a [x, x, x, x, x, x, x, x, x, x]
b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]
c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]
d: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]
e: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d, *d]
"""


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (b'{"a":[' + b"{}," * codec.MAX_VALUES + b"{}]}", negotiation.JSON),
        (b'{"a":[' + b"[1,1]," * (codec.MAX_VALUES // 3) + b"[1,1]]}", negotiation.JSON),
        (LAUGHS, negotiation.YAML),
        (b"a: &a [*a]", negotiation.YAML),
    ],
    ids=["empty objects", "nested scalars", "aliases of aliases", "an alias of itself"],
)
def test_too_many_values_are_refused(data: bytes, media_type: str) -> None:
    with pytest.raises(StatusError, match="more than 100000 values") as caught:
        body.parse(data, media_type, "ConfigMap")
    assert caught.value.code == 413


@pytest.mark.parametrize("depth", [codec.MAX_DEPTH + 1, 900, 50_000])
@pytest.mark.parametrize("media_type", [negotiation.JSON, negotiation.YAML])
def test_documents_nested_without_end_are_refused(depth: int, media_type: str) -> None:
    data = b'{"a":' * depth + b"1" + b"}" * depth
    if media_type == negotiation.YAML:
        data = data[: 6 * 900]  # its parser is slow
    with pytest.raises(StatusError) as caught:
        body.parse(data, media_type, "ConfigMap")
    assert caught.value.code == 400


def test_large_values_are_not_many_values() -> None:
    text = "{[" * 500_000
    assert body.parse(codec.dumps({"data": {"a": text}}), negotiation.JSON, "ConfigMap")["data"]["a"] == text
