"""YAML that clients send, read as the original's ``sigs.k8s.io/yaml`` reads it. Pure.

Keys become strings, times stay the texts that they were, and a key given twice is a complaint: the last one counts.
Messages are those of go-yaml, whose parser is libyaml as ours is.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import yaml

from apiserver.api.codec import MAX_VALUES, count_values

_TIMESTAMP: Final = "tag:yaml.org,2002:timestamp"
_MERGE: Final = "tag:yaml.org,2002:merge"
_TOO_DEEP: Final = "exceeded max depth of 10000"
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class BadYaml(ValueError):
    """The message is the original's."""


class Loaded(NamedTuple):
    """``repeated`` says which keys came twice: a line for each."""

    value: Any
    repeated: list[str]


class _Loader(_Base):  # type: ignore[misc]
    """Collects keys that come twice; reads no times."""

    yaml_implicit_resolvers: Final = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
        for first, resolvers in _Base.yaml_implicit_resolvers.items()
    }

    def __init__(self, stream: bytes) -> None:
        super().__init__(stream)
        self.repeated: list[str] = []

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: set[str] = set()
        for key, _ in node.value:
            name = getattr(key, "value", None)
            if key.tag == _MERGE or not isinstance(name, str):
                continue
            if name in seen:
                self.repeated.append(f'line {key.start_mark.line + 1}: key "{name}" already set in map')
            seen.add(name)
        return super().construct_mapping(node, deep)


def load(data: bytes) -> Loaded:
    """Raises BadYaml."""
    loader = None
    try:
        loader = _Loader(data)
        value = loader.get_single_data()
    except yaml.MarkedYAMLError as exc:
        raise BadYaml(f"error converting YAML to JSON: yaml: {_complaint(exc)}") from None
    except RecursionError:
        raise BadYaml(f"error converting YAML to JSON: yaml: {_TOO_DEEP}") from None
    except (yaml.YAMLError, UnicodeError, ValueError) as exc:
        raise BadYaml(f"error converting YAML to JSON: yaml: {exc}") from None
    finally:
        if loader is not None:
            loader.dispose()
    if count_values(value) > MAX_VALUES:
        raise BadYaml(f"more than {MAX_VALUES} values in one object")
    try:
        return Loaded(_as_json(value), loader.repeated)
    except RecursionError:
        raise BadYaml(f"error converting YAML to JSON: yaml: {_TOO_DEEP}") from None


def strict_error(repeated: list[str]) -> str:
    """What strict decoding says of keys that came twice."""
    lines = "\n".join(f"  {line}" for line in repeated)
    return f"error converting YAML to JSON: yaml: unmarshal errors:\n{lines}"


def _complaint(exc: yaml.MarkedYAMLError) -> str:
    """The line as go-yaml counts it: from 0, and one more for what its scanner finds."""
    mark = exc.context_mark if exc.context_mark and exc.context_mark.line else exc.problem_mark
    line = mark.line if mark else 0
    if line and isinstance(exc, yaml.scanner.ScannerError):
        line += 1
    problem = exc.problem or "unknown problem parsing YAML content"
    return f"line {line}: {problem}" if line else problem


def _as_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {_key(key): _as_json(item) for key, item in value.items()}
    return [_as_json(item) for item in value] if isinstance(value, list) else value


def _key(key: Any) -> str:
    if isinstance(key, bool):
        return "true" if key else "false"
    return "null" if key is None else str(key)
