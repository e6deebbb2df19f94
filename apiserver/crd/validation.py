"""(P) Definitions as a whole: names, scope, versions, conversion, columns, and what an update may change.

Called by the strategy of CustomResourceDefinition (``registry/kinds/apiextensions``) after defaulting. A
schema that all versions share is reported once, as ``spec.validation``, because the original moves it there.
Source: apiextensions ``pkg/apis/apiextensions/validation/validation.go``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final

from apiserver.api import names
from apiserver.api.conditions import has_condition
from apiserver.api.field_errors import (
    FieldError,
    Path,
    forbidden,
    go_struct,
    invalid,
    not_supported,
    required,
)
from apiserver.crd.approval import validate_approval
from apiserver.crd.conversion_rules import validate_conversion
from apiserver.crd.default_rules import validate_defaults
from apiserver.crd.rule_checks import RuleChecks
from apiserver.crd.rule_costs import Spent
from apiserver.crd.schema_rules import CheckRules, validate_schema
from apiserver.crd.structural import MAX_DEPTH, Schema, compiled, depth_of
from apiserver.crd.structural_rules import structural_violations, validate_structural
from apiserver.crd.version_rules import validate_columns, validate_selectable_fields, validate_subresources
from apiserver.validation.common import immutable
from apiserver.validation.objectmeta import validate_metadata, validate_metadata_update

Object = dict[str, Any]
SPEC: Final = Path("spec")
_STATUS: Final = Path("status")
_SCOPES: Final = ("Cluster", "Namespaced")


def validate_definition(obj: Object) -> list[FieldError]:
    spec = obj["spec"]

    def name_rule(name: str) -> list[str]:
        wanted = f"{(spec.get('names') or {}).get('plural') or ''}.{spec.get('group') or ''}"
        texts = names.check_dns1123_subdomain(name)
        return texts if name == wanted else [*texts, 'must be spec.names.plural+"."+spec.group']

    found = validate_metadata(obj["metadata"], False, name_rule)
    return found + _spec(spec, None, established=False) + _status(obj) + _common(obj, None)


def validate_definition_update(new: Object, old: Object) -> list[FieldError]:
    spec, before = new["spec"], old["spec"]
    found = validate_metadata_update(new["metadata"], old["metadata"])
    established = has_condition(old, "Established")
    found += _spec(spec, before, established=established)
    if established:
        found += immutable(spec.get("scope"), before.get("scope"), SPEC.child("scope"))
        kinds = (spec["names"].get("kind"), before["names"].get("kind"))
        found += immutable(*kinds, SPEC.child("names", "kind"))
    found += immutable(spec.get("group"), before.get("group"), SPEC.child("group"))
    plurals = (spec["names"].get("plural"), before["names"].get("plural"))
    found += immutable(*plurals, SPEC.child("names", "plural"))
    return found + _status(new) + _common(new, old)


def validate_definition_status(new: Object, old: Object) -> list[FieldError]:
    return validate_metadata_update(new["metadata"], old["metadata"]) + _status(new)


def _status(obj: Object) -> list[FieldError]:
    accepted = (obj.get("status") or {}).get("acceptedNames") or {}
    return _names(accepted, _STATUS.child("acceptedNames"))


def _common(new: Object, old: Object | None) -> list[FieldError]:
    found = _stored_versions(new)
    found += validate_approval(new, old)
    keeps = new["spec"].get("preserveUnknownFields")
    if keeps and not (old is not None and old["spec"].get("preserveUnknownFields")):
        text = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
        found.append(invalid(SPEC.child("preserveUnknownFields"), True, text))
    return found


def _stored_versions(obj: Object) -> list[FieldError]:
    stored = (obj.get("status") or {}).get("storedVersions")
    path = _STATUS.child("storedVersions")
    if not stored:
        return [invalid(path, None, "must have at least one stored version")]
    versions = {version.get("name"): version for version in obj["spec"].get("versions") or ()}
    found = [
        invalid(path, stored, f"must have the storage version {name}")
        for name, version in versions.items()
        if version.get("storage") and name not in stored
    ]
    for at, name in enumerate(stored):
        if name not in versions:
            text = (
                f"missing from spec.versions; {name} was previously a storage version, and must remain in "
                f"spec.versions until a storage migration ensures no data remains persisted in {name} "
                f"and removes {name} from status.storedVersions"
            )
            found.append(invalid(path.index(at), name, text))
    return found


def _spec(spec: Object, old: Object | None, *, established: bool) -> list[FieldError]:
    found = _group(spec.get("group") or "")
    scope = spec.get("scope") or ""
    if not scope:
        found.append(required(SPEC.child("scope")))
    elif scope not in _SCOPES:
        found.append(not_supported(SPEC.child("scope"), scope, _SCOPES))
    versions = spec.get("versions") or []
    found += _schemas_given(versions)
    found += _versions(versions)
    found += _required_names(spec.get("names") or {})
    found += _names(spec.get("names") or {}, SPEC.child("names"))
    found += _parts(spec, old)
    return found + validate_conversion(spec.get("conversion"), (old or {}).get("conversion"), established)


def _group(group: str) -> list[FieldError]:
    path = SPEC.child("group")
    if not group:
        return [required(path)]
    texts = names.check_dns1123_subdomain(group)
    if texts:
        return [invalid(path, group, ",".join(texts))]
    return [] if "." in group else [invalid(path, group, "should be a domain with at least one dot")]


def schema_of(version: Mapping[str, Any]) -> Schema | None:
    schema = (version.get("schema") or {}).get("openAPIV3Schema")
    return schema if isinstance(schema, Mapping) else None


def _schemas_given(versions: list[Object]) -> list[FieldError]:
    return [
        required(SPEC.child("versions").index(at).child("schema").child("openAPIV3Schema"))
        for at, version in enumerate(versions)
        if schema_of(version) is None
    ]


def _versions(versions: list[Object]) -> list[FieldError]:
    path = SPEC.child("versions")
    found: list[FieldError] = []
    for at, version in enumerate(versions):
        name = version.get("name") or ""
        texts = names.check_dns1035_label(name)
        if texts:
            found.append(invalid(path.index(at).child("name"), name, ",".join(texts)))
        found += _deprecation(version, path.index(at).child("deprecationWarning"))
    given = [version.get("name") for version in versions]
    if len(set(given)) < len(given):
        found.append(invalid(path, go_struct(versions), "must contain unique version names"))
    if sum(1 for version in versions if version.get("storage")) != 1:
        text = "must have exactly one version marked as storage version"
        found.append(invalid(path, go_struct(versions), text))
    return found


def _deprecation(version: Object, path: Path) -> list[FieldError]:
    text = version.get("deprecationWarning")
    if text is None:
        return []
    if not version.get("deprecated"):
        return [invalid(path, text, "can only be set for deprecated versions")]
    found = []
    if len(text.encode()) > 256:
        found.append("must be <= 256 characters long")
    if not text:
        found.append("must not be an empty string")
    bad = next((at for at, char in enumerate(text) if not char.isprintable()), None)
    if bad is not None:
        at = len(text[:bad].encode())
        found.append(
            f"must only contain printable UTF-8 characters; non-printable character found at index {at}"
        )
    return [invalid(path, text, reason) for reason in found]


def _required_names(given: Mapping[str, Any]) -> list[FieldError]:
    path = SPEC.child("names")
    return [
        required(path.child(key)) for key in ("plural", "singular", "kind", "listKind") if not given.get(key)
    ]


def _names(given: Mapping[str, Any], path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    for key in ("plural", "singular"):
        found += _label(given.get(key) or "", path.child(key))
    mixed = "may have mixed case, but should otherwise match: "
    kind, list_kind = given.get("kind") or "", given.get("listKind") or ""
    for key, value in (("kind", kind), ("listKind", list_kind)):
        texts = names.check_dns1035_label(value.lower()) if value else []
        if texts:
            found.append(invalid(path.child(key), value, mixed + ",".join(texts)))
    for at, short in enumerate(given.get("shortNames") or ()):
        found += _label(short, path.child("shortNames").index(at), always=True)
    if kind and kind == list_kind:
        found.append(invalid(path.child("listKind"), list_kind, "kind and listKind may not be the same"))
    for at, category in enumerate(given.get("categories") or ()):
        found += _label(category, path.child("categories").index(at), always=True)
    return found


def _label(value: str, path: Path, *, always: bool = False) -> list[FieldError]:
    texts = names.check_dns1035_label(value) if value or always else []
    return [invalid(path, value, ",".join(texts))] if texts else []


def _shared(versions: list[Object], key: str) -> bool:
    """Whether all versions say the same, and something."""
    values = [version.get(key) for version in versions]
    return bool(values) and bool(values[0]) and all(value == values[0] for value in values)


def _places(versions: list[Object], key: str, top: str) -> Iterator[tuple[Object, Path]]:
    """(version, path of ``key``) for each version, or for the first where all say the same."""
    if _shared(versions, key):
        yield versions[0], SPEC.child(top)
        return
    for at, version in enumerate(versions):
        if version.get(key):
            yield version, SPEC.child("versions").index(at).child(key)


def _parts(spec: Object, old: Object | None) -> list[FieldError]:
    """Schemas, subresources, columns and selectable fields of each version."""
    versions = spec.get("versions") or []
    found: list[FieldError] = []
    tolerant = old is not None and bool(structural_violations(old))
    checks = RuleChecks.of(old)
    for version, path in _places(versions, "schema", "validation"):
        schema = schema_of(version)
        if schema is not None:
            where = path.child("openAPIV3Schema")
            status = bool((version.get("subresources") or {}).get("status") is not None)
            unchanged = schema_of(_version(old, version.get("name"))) == schema
            spent = Spent(tolerant=unchanged)
            found += _schema(schema, where, status, tolerant, partial(checks.check, spent))
            found += spent.errors(where)
    for version, path in _places(versions, "subresources", "subresources"):
        found += validate_subresources(version["subresources"], path)
    for version, path in _places(versions, "additionalPrinterColumns", "additionalPrinterColumns"):
        found += validate_columns(version["additionalPrinterColumns"], path)
    for version, path in _places(versions, "selectableFields", "selectableFields"):
        schema = schema_of(version)
        if schema is not None and depth_of(schema) <= MAX_DEPTH:
            before = _version(old, version.get("name")).get("selectableFields")
            found += validate_selectable_fields(version["selectableFields"], compiled(schema), path, before)
    return found


def _version(spec: Object | None, name: Any) -> Object:
    versions = (spec or {}).get("versions") or ()
    return next((version for version in versions if version.get("name") == name), {})


_AT_ROOT: Final = frozenset(
    {
        *(
            "description",
            "type",
            "format",
            "title",
            "required",
            "items",
            "properties",
            "externalDocs",
            "example",
        ),
        *("maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "multipleOf", "pattern"),
        *("maxLength", "minLength", "maxItems", "minItems", "uniqueItems"),
        *("x-kubernetes-preserve-unknown-fields", "x-kubernetes-validations"),
    }
)
_AT_ROOT_TEXT: Final = (
    "only [Description Type Format Title Maximum ExclusiveMaximum Minimum ExclusiveMinimum MaxLength MinLength Pattern "
    "MaxItems MinItems UniqueItems MultipleOf Required Items Properties ExternalDocs Example XPreserveUnknownFields "
    "XValidations] fields are allowed at the root of the schema if the status subresource is enabled"
)


def _schema(
    schema: Schema, path: Path, status: bool, tolerant: bool, check_rules: CheckRules
) -> list[FieldError]:
    """``tolerant``: the old definition was not structural, so the new one need not be."""
    if depth_of(schema) > MAX_DEPTH:
        return [forbidden(path, f"schemas may not be nested more than {MAX_DEPTH} levels deep")]
    found = _root(schema, path) if status else []
    if schema.get("nullable"):
        found.append(forbidden(Path(f"{path}.nullable"), "nullable cannot be true at the root"))
    structural = [] if tolerant else validate_structural(schema, path)
    if not structural and not tolerant:
        structural = validate_defaults(compiled(schema), path)
    found += structural
    usable = None if structural or tolerant else check_rules
    return found + validate_schema(schema, path, usable)


def _root(schema: Schema, path: Path) -> list[FieldError]:
    kind = schema.get("type")
    if kind and kind != "object":
        text = 'only "object" is allowed as the type at the root of the schema if the status subresource is enabled'
        return [invalid(Path(f"{path}.type"), kind, text)]
    for name, value in schema.items():
        if name not in _AT_ROOT and value not in (None, False, "", {}, []):
            return [invalid(path, go_struct(schema), _AT_ROOT_TEXT)]
    return []
