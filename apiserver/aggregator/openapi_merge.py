"""(P) OpenAPI v2 documents of other servers, cut down to their group versions, to be put into this server's own.

A definition that another one here has the name of, and that is not the same, gets a name of its own (``..._v2``), as in
kube-openapi's ``MergeSpecsIgnorePathConflictRenamingDefinitionsAndParameters``. Shared parameters are written out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

Object = dict[str, Any]
Known = Callable[[str], Mapping[str, Any] | None]
"""The definition of a name in this server's own document."""
_DEFINITIONS: Final = "#/definitions/"
_PARAMETERS: Final = "#/parameters/"


class Merged(NamedTuple):
    paths: Object
    definitions: Object


def merged(specs: Iterable[tuple[Mapping[str, Any], Sequence[str]]], known: Known) -> Merged:
    """``specs``: (document, paths of the group versions that are wanted of it)."""
    paths: Object = {}
    definitions: Object = {}

    def taken(name: str) -> Mapping[str, Any] | None:
        own = known(name)
        return own if own is not None else definitions.get(name)

    for spec, wanted in specs:
        found, named = part(spec, wanted)
        names = {name: _name(name, definition, taken) for name, definition in named.items()}
        for path, item in found.items():
            paths.setdefault(path, _renamed(item, names))
        for name, definition in named.items():
            if known(names[name]) is None:
                definitions.setdefault(names[name], _renamed(definition, names))
    return Merged(paths, definitions)


def part(spec: Mapping[str, Any], wanted: Sequence[str]) -> Merged:
    """What a document says of some group versions."""
    found = {path: item for path, item in (spec.get("paths") or {}).items() if _within(path, wanted)}
    found = _written_out(found, spec.get("parameters") or {})
    return Merged(found, _closure(found, spec.get("definitions") or {}))


def _within(path: str, wanted: Sequence[str]) -> bool:
    return any(path == prefix or path.startswith(prefix + "/") for prefix in wanted)


def _name(name: str, definition: Mapping[str, Any], taken: Known) -> str:
    free, number = name, 2
    while (other := taken(free)) is not None and other != definition:
        free, number = f"{name}_v{number}", number + 1
    return free


def _closure(value: Any, definitions: Mapping[str, Any]) -> Object:
    found: Object = {}
    pending = list(_references(value))
    while pending:
        name = pending.pop()
        if name not in found and name in definitions:
            found[name] = definitions[name]
            pending.extend(_references(definitions[name]))
    return dict(sorted(found.items()))


def _references(value: Any) -> Iterable[str]:
    if isinstance(value, dict):
        reference = value.get("$ref")
        if isinstance(reference, str) and reference.startswith(_DEFINITIONS):
            yield reference.removeprefix(_DEFINITIONS)
        value = list(value.values())
    for item in value if isinstance(value, list) else ():
        yield from _references(item)


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_renamed(item, names) for item in value]
    if not isinstance(value, dict):
        return value
    result = {key: _renamed(item, names) for key, item in value.items()}
    reference = value.get("$ref")
    if isinstance(reference, str) and reference.startswith(_DEFINITIONS):
        name = reference.removeprefix(_DEFINITIONS)
        result["$ref"] = _DEFINITIONS + names.get(name, name)
    return result


def _written_out(value: Any, parameters: Mapping[str, Any]) -> Any:
    if isinstance(value, list):
        return [_written_out(item, parameters) for item in value]
    if not isinstance(value, dict):
        return value
    reference = value.get("$ref")
    if isinstance(reference, str) and reference.startswith(_PARAMETERS):
        return parameters.get(reference.removeprefix(_PARAMETERS), value)
    return {key: _written_out(item, parameters) for key, item in value.items()}
