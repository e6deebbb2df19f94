"""(P) Bytes of a configuration file to a document whose every field has its type.

Fed by the flags that name such files; the result goes to the validation of its kind. Strict, as the original reads
these files: a field that is unknown or given twice is an error, so that a typing error never switches something off
unseen. The words are those of its decoder. A file may hold keys, so no error shows what is in it beyond names of
fields.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources as package_files
from typing import Any, Final

import msgspec

from apiserver.api import go_json
from apiserver.api.field_errors import quote
from apiserver.http import yaml

Object = dict[str, Any]
GROUP: Final = "apiserver.config.k8s.io"
_SCALARS: Final[Mapping[str, type]] = {"string": str, "bool": bool, "int32": int, "Duration": str}


class ConfigFileError(ValueError):
    """The file cannot be used; the text names what is wrong in it."""


@cache
def shapes() -> Mapping[str, Mapping[str, str]]:
    """Type names to their fields and the types of these, as Go writes them."""
    data = package_files.files("apiserver.config_files") / "data" / "shapes.json"
    found: Mapping[str, Mapping[str, str]] = msgspec.json.decode(data.read_bytes())
    return found


def decode(data: bytes, kind: str, versions: Iterable[str] = ("v1",)) -> Object:
    """Fields that are null are left out. Raises ConfigFileError."""
    try:
        loaded = yaml.load(data)
    except (yaml.YamlError, yaml.TooManyValues) as exc:
        raise ConfigFileError(f"error converting YAML to JSON: {exc}") from exc
    value = loaded.value
    if not isinstance(value, dict):
        found = go_json.kind(value)
        raise ConfigFileError(f"couldn't get version/kind; json parse error: json: cannot unmarshal {found}")
    _check_kind(value, kind, versions)
    walk = _Walk()
    result: Object = walk.value(kind, value, "", kind)
    complaints = [yaml.strict_error(loaded.repeated)] if loaded.repeated else []
    complaints += [f"unknown field {quote(path)}" for path in walk.unknown]
    if complaints:
        raise ConfigFileError(f"strict decoding error: {', '.join(complaints)}")
    return result


def _check_kind(value: Object, kind: str, versions: Iterable[str]) -> None:
    for name in ("kind", "apiVersion"):
        if not isinstance(value.get(name), str) or not value[name]:
            raise ConfigFileError(f"Object '{name[:1].upper() + name[1:]}' is missing")
    if value["apiVersion"] not in {f"{GROUP}/{version}" for version in versions} or value["kind"] != kind:
        found = f"no kind {quote(value['kind'])} is registered for version {quote(value['apiVersion'])}"
        raise ConfigFileError(f"{found}; expected {kind} of {GROUP}/{next(iter(versions))}")


class _Walk:
    """Copies a document and collects the paths of unknown fields."""

    def __init__(self) -> None:
        self.unknown: list[str] = []

    def value(self, name: str, value: Any, path: str, place: str) -> Any:
        """``path`` has indexes, ``place`` is ``Type.field`` as Go's decoder names it."""
        if name.startswith("[]"):
            return self._list(name, value, path, place)
        wanted = _SCALARS.get(name)
        if wanted is None:
            return self._struct(name, value, path, place)
        if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
            raise _mismatch(name, value, place)
        return value

    def _list(self, name: str, value: Any, path: str, place: str) -> list[Any]:
        if not isinstance(value, list):
            raise _mismatch(name, value, place)
        item = name.removeprefix("[]")
        return [self.value(item, found, f"{path}[{at}]", place) for at, found in enumerate(value)]

    def _struct(self, name: str, value: Any, path: str, place: str) -> Object:
        if not isinstance(value, dict):
            raise _mismatch(name, value, place)
        fields, result = shapes()[name], {}
        for field, found in value.items():
            where = f"{path}.{field}" if path else field
            if field not in fields:
                self.unknown.append(where)
            elif found is not None:
                result[field] = self.value(fields[field], found, where, f"{name}.{field}")
        return result


def _mismatch(name: str, value: Any, place: str) -> ConfigFileError:
    target = f"Go struct field {place}" if "." in place else "Go value"
    brackets, item = ("[]", name[2:]) if name.startswith("[]") else ("", name)
    shown = f"{brackets}{item if item in _SCALARS else f'v1.{item}'}"
    return ConfigFileError(f"json: cannot unmarshal {go_json.kind(value)} into {target} of type {shown}")
