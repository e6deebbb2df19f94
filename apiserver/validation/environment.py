"""Environment of a container (``ValidateEnv``, ``ValidateEnvFrom``). Pure."""

from __future__ import annotations

from typing import Any, Final

from apiserver.api import names
from apiserver.api.field_errors import FieldError, Path, invalid, required
from apiserver.validation.field_refs import ENVIRONMENT, field_ref, resource_ref

Object = dict[str, Any]
_SOURCES: Final = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")
_NONE: Final = (
    "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
)


def validate_environment(variables: Any, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    for at, variable in enumerate(variables):
        where, name = path.index(at), variable.get("name") or ""
        if not name:
            found.append(required(where.child("name")))
        else:
            found += [invalid(where.child("name"), name, text) for text in names.check_env_name(name)]
        if variable.get("valueFrom") is not None:
            found += _source(variable, where.child("valueFrom"))
    return found


def _source(variable: Object, path: Path) -> list[FieldError]:
    source, found = variable["valueFrom"], []
    given = [name for name in _SOURCES if source.get(name) is not None]
    for name in given:
        found += _reference(name, source[name], path.child(name))
    if not given:
        found.append(invalid(path, "", _NONE))
    elif variable.get("value"):
        found.append(invalid(path, "", "may not be specified when `value` is not empty"))
    elif len(given) > 1:
        found.append(invalid(path, "", "may not have more than one field specified at a time"))
    return found


def _reference(kind: str, reference: Object, path: Path) -> list[FieldError]:
    if kind == "fieldRef":
        return field_ref(reference, path, ENVIRONMENT)
    if kind == "resourceFieldRef":
        return resource_ref(reference, path, in_volume=False)
    if kind == "fileKeyRef":
        return [required(path.child(f)) for f in ("key", "path", "volumeName") if not reference.get(f)]
    return _key_ref(reference, path)


def _key_ref(reference: Object, path: Path) -> list[FieldError]:
    name, key = reference.get("name") or "", reference.get("key") or ""
    found = [invalid(path.child("name"), name, text) for text in names.check_dns1123_subdomain(name)]
    if not key:
        return [*found, required(path.child("key"))]
    return found + [invalid(path.child("key"), key, text) for text in names.check_config_key(key)]


def validate_environment_sources(sources: Any, path: Path) -> list[FieldError]:
    """``envFrom``."""
    found: list[FieldError] = []
    for at, source in enumerate(sources):
        where, prefix = path.index(at), source.get("prefix") or ""
        if prefix:
            found += [invalid(where.child("prefix"), prefix, text) for text in names.check_env_name(prefix)]
        given = [name for name in ("configMapRef", "secretRef") if source.get(name) is not None]
        for kind in given:
            name, inner = source[kind].get("name") or "", where.child(kind, "name")
            found += [invalid(inner, name, text) for text in names.check_dns1123_subdomain(name)]
        if not given:
            found.append(invalid(where, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif len(given) > 1:
            found.append(invalid(where, "", "may not have more than one field specified at a time"))
    return found
