"""(P) YAML bodies as Go's ``sigs.k8s.io/yaml`` reads them: into what JSON can hold.

Fed by `body`, for objects and for apply configurations alike. Dates stay texts, keys become texts; of a key that is
given twice the last one counts, and its line is told. Messages are those of go-yaml, whose parser is libyaml as ours
is. A document that is JSON is read as JSON, which is a hundred times faster: kubectl sends it as YAML.
"""

from __future__ import annotations

import math
from contextlib import suppress
from functools import cache
from typing import Any, Final, NamedTuple

from apiserver.api import codec
from apiserver.schema.check import repeats_fields

_LARGE: Final = 1 << 16
_MAX_EVENTS: Final = 4 * codec.MAX_VALUES
_JSON_BEGINS: Final = (b"{", b"[")
_TIMESTAMP: Final = "tag:yaml.org,2002:timestamp"
_MERGE: Final = "tag:yaml.org,2002:merge"


class YamlError(ValueError):
    """The text is not YAML, or holds what JSON cannot."""


class TooManyValues(ValueError):
    """More than `codec.MAX_VALUES`, anchors followed."""


class Loaded(NamedTuple):
    """``repeated`` says which keys came twice: a line for each."""

    value: Any
    repeated: list[str]


def load(data: bytes) -> Loaded:
    """Raises YamlError, TooManyValues."""
    if data.lstrip()[:1] in _JSON_BEGINS:
        with suppress(codec.DecodeError):
            value = codec.decode(data)
            if not repeats_fields(value, data):
                return Loaded(value, [])
    value, repeated = _parsed(data)
    if codec.count_values(value) > codec.MAX_VALUES:  # before the anchors are written out
        raise TooManyValues
    if codec.is_too_deep(value):
        raise YamlError(f"yaml: {codec.TOO_DEEP}")
    return Loaded(_json(value), repeated)


def strict_error(repeated: list[str]) -> str:
    """What strict decoding says of keys that came twice."""
    lines = "\n".join(f"  {line}" for line in repeated)
    return f"yaml: unmarshal errors:\n{lines}"


def _parsed(data: bytes) -> Loaded:
    import yaml

    try:
        if len(data) >= _LARGE and any(
            at > _MAX_EVENTS for at, _ in enumerate(yaml.parse(data, Loader=_loader()))
        ):
            raise TooManyValues
        loader = _loader()(data)
        try:
            return Loaded(loader.get_single_data(), loader.repeated)
        finally:
            loader.dispose()
    except TooManyValues:
        raise
    except yaml.MarkedYAMLError as exc:
        raise YamlError(f"yaml: {_complaint(exc)}") from exc
    except RecursionError as exc:
        raise YamlError(f"yaml: {codec.TOO_DEEP}") from exc
    except (yaml.YAMLError, ValueError, TypeError, AttributeError) as exc:
        raise YamlError(f"yaml: {exc}") from exc  # PyYAML's constructors let through what Python's types say


def _complaint(exc: Any) -> str:
    """The line as go-yaml counts it: from 0, and one more for what its scanner finds."""
    import yaml

    mark = exc.context_mark if exc.context_mark and exc.context_mark.line else exc.problem_mark
    line = mark.line if mark else 0
    if line and isinstance(exc, yaml.scanner.ScannerError):
        line += 1
    problem = exc.problem or "unknown problem parsing YAML content"
    return f"line {line}: {problem}" if line else problem


@cache
def _loader() -> Any:
    """The class, made on first use: importing yaml costs more than everything else here."""
    import yaml

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(base):  # type: ignore[misc]  # its base is chosen at run time
        """Collects keys that come twice; reads no times."""

        yaml_implicit_resolvers: dict[str, Any] = {
            first: [(tag, pattern) for tag, pattern in found if tag != _TIMESTAMP]
            for first, found in base.yaml_implicit_resolvers.items()
        }

        def __init__(self, stream: bytes) -> None:
            super().__init__(stream)
            self.repeated: list[str] = []

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            self.repeated += _repeated(node)
            return super().construct_mapping(node, deep)

    return Loader


def _repeated(mapping: Any) -> list[str]:
    """Of a node; merge keys may come as often as they like."""
    seen: set[str] = set()
    found = []
    for key, _ in mapping.value:
        name = getattr(key, "value", None)
        if key.tag == _MERGE or not isinstance(name, str):
            continue
        if name in seen:
            found.append(f'line {key.start_mark.line + 1}: key "{name}" already set in map')
        seen.add(name)
    return found


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
