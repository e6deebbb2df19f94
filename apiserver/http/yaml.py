"""(P) YAML bodies as Go's ``sigs.k8s.io/yaml`` reads them: into what JSON can hold. Fed by `body`.

Dates stay texts, keys become texts. A document that is JSON is read as JSON, which is a hundred times faster.
"""

from __future__ import annotations

import math
from contextlib import suppress
from functools import cache
from typing import Any, Final

from apiserver.api import codec

_LARGE: Final = 1 << 16
_MAX_EVENTS: Final = 4 * codec.MAX_VALUES
_JSON_BEGINS: Final = (b"{", b"[")
_TIMESTAMP: Final = "tag:yaml.org,2002:timestamp"


class YamlError(ValueError):
    """The text is not YAML, or holds what JSON cannot."""


class TooManyValues(ValueError):
    """More than `codec.MAX_VALUES`, anchors followed."""


def load(data: bytes) -> Any:
    """Raises YamlError, TooManyValues."""
    if data.lstrip()[:1] in _JSON_BEGINS:
        with suppress(codec.DecodeError):
            return codec.decode(data)
    value = _parsed(data)
    if codec.count_values(value) > codec.MAX_VALUES:  # before the anchors are written out
        raise TooManyValues
    if codec.is_too_deep(value):
        raise YamlError("exceeded max depth")
    return _json(value)


def _parsed(data: bytes) -> Any:
    import yaml

    try:
        if len(data) >= _LARGE and any(
            at > _MAX_EVENTS for at, _ in enumerate(yaml.parse(data, Loader=_loader()))
        ):
            raise TooManyValues
        return yaml.load(data, Loader=_loader())
    except TooManyValues:
        raise
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, RecursionError) as exc:
        raise YamlError(str(exc)) from exc  # PyYAML's constructors let through what Python's types say


@cache
def _loader() -> Any:
    """The class, made on first use: importing yaml costs more than everything else here."""
    import yaml

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(base):  # type: ignore[misc]  # its base is chosen at run time
        yaml_implicit_resolvers: dict[str, Any] = {
            first: [(tag, pattern) for tag, pattern in found if tag != _TIMESTAMP]
            for first, found in base.yaml_implicit_resolvers.items()
        }

    return Loader


def _json(value: Any) -> Any:
    if isinstance(value, dict):
        return {_key(key): _json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_json(item) for item in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, float) and not math.isfinite(value):
        raise YamlError(f"json: unsupported value: {value}")
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise YamlError(f"json: unsupported type: {type(value).__name__}")


def _key(key: Any) -> str:
    if isinstance(key, str):
        return key
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, int | float):
        return str(key)
    raise YamlError(f"unsupported map key of type: {type(key).__name__}")
