"""CBOR as the original's feature ``CBORServingAndStorage`` has it: the self-described tag first, texts as byte strings.

Pure. Readers take texts in either form. A value that is base64 in JSON stays so: every reader of the original's
decodes a byte string into text and a base64 text into bytes.
"""

from __future__ import annotations

import base64
import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from apiserver.api.codec import MAX_VALUES, DecodeError

SELF_DESCRIBED: Final = 55799
_MARK: Final = b"\xd9\xd9\xf7"
_BASE64_LATER: Final = 22


def dump(value: Any) -> bytes:
    import cbor2

    return _MARK + bytes(cbor2.dumps(_bytes(value), canonical=True))


def _bytes(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, dict):
        return {key.encode(): _bytes(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_bytes(item) for item in value]
    return value


def load(data: bytes) -> Any:
    """The value in its JSON form. Raises DecodeError."""
    import cbor2

    try:
        return _text(cbor2.loads(data), itertools.count())
    except (cbor2.CBORDecodeError, UnicodeDecodeError, RecursionError, ValueError) as exc:
        raise DecodeError(str(exc)) from exc


def _text(value: Any, met: Iterator[int]) -> Any:
    """``met`` counts values: shared ones, which may share in turn, are written out."""
    import cbor2

    if next(met) > MAX_VALUES:
        raise ValueError(f"more than {MAX_VALUES} values in one object")
    if isinstance(value, cbor2.CBORTag):
        if value.tag == _BASE64_LATER and isinstance(value.value, bytes):
            return base64.b64encode(value.value).decode()
        if value.tag != SELF_DESCRIBED:
            raise ValueError(f"unsupported CBOR tag {value.tag}")
        return _text(value.value, met)
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, Mapping):  # frozen within a tag
        return {_name(key): _text(item, met) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_text(item, met) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"JSON has no value for {value}")
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise ValueError(f"unsupported CBOR value of type {type(value).__name__}")


def _name(key: Any) -> str:
    if isinstance(key, bytes):
        return key.decode()
    if not isinstance(key, str):
        raise ValueError("a map key is not text")
    return key
