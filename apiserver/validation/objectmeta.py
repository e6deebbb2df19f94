"""Metadata rules that hold for every kind. Source: apimachinery ``api/validation/objectmeta.go``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from apiserver.api import names
from apiserver.api.field_errors import (
    FieldError,
    Path,
    forbidden,
    invalid,
    required,
    too_long,
)

Metadata = Mapping[str, Any]
NameRule = Callable[[str], list[str]]

_ANNOTATIONS_LIMIT: Final = 256 * 1024
_META: Final = Path("metadata")
_LABELS: Final = _META.child("labels")
_ANNOTATIONS: Final = _META.child("annotations")
_OWNER_REFERENCES: Final = _META.child("ownerReferences")
_FINALIZERS: Final = _META.child("finalizers")
_GENERATE_NAME: Final = _META.child("generateName")
_NAME: Final = _META.child("name")
_NAMESPACE: Final = _META.child("namespace")
_IMMUTABLE: Final = (
    ("name", ""),
    ("namespace", ""),
    ("uid", ""),
    ("creationTimestamp", None),
    ("deletionTimestamp", None),
    ("deletionGracePeriodSeconds", None),
)
IMMUTABLE: Final = "field is immutable"


def validate_metadata(metadata: Metadata, namespaced: bool, name_rule: NameRule) -> list[FieldError]:
    return [
        *_names(metadata, namespaced, name_rule),
        *validate_labels(metadata.get("labels") or {}, _LABELS),
        *validate_annotations(metadata.get("annotations") or {}, _ANNOTATIONS),
        *_owners(metadata.get("ownerReferences") or (), _OWNER_REFERENCES),
        *_finalizers(metadata.get("finalizers") or (), _FINALIZERS),
    ]


def _names(metadata: Metadata, namespaced: bool, name_rule: NameRule) -> list[FieldError]:
    found: list[FieldError] = []
    prefix, name = metadata.get("generateName") or "", metadata.get("name") or ""
    if prefix:
        checked = prefix[:-1] + "a" if prefix.endswith("-") else prefix
        found += [invalid(_GENERATE_NAME, prefix, text) for text in name_rule(checked)]
    if not name:
        found.append(required(_NAME, "name or generateName is required"))
    else:
        found += [invalid(_NAME, name, text) for text in name_rule(name)]
    namespace = metadata.get("namespace") or ""
    if namespaced:
        if not namespace:
            found.append(required(_NAMESPACE))
        else:
            texts = names.check_dns1123_label(namespace)
            found += [invalid(_NAMESPACE, namespace, text) for text in texts]
    elif namespace:
        found.append(forbidden(_NAMESPACE, "not allowed on this type"))
    return found


def validate_template_metadata(metadata: Metadata, path: Path) -> list[FieldError]:
    """Of objects that are made from a template: labels and the like, and nothing that the server gives."""
    return [
        *validate_labels(metadata.get("labels") or {}, path.child("labels")),
        *validate_annotations(metadata.get("annotations") or {}, path.child("annotations")),
    ]


def validate_labels(labels: Mapping[str, Any], path: Path) -> list[FieldError]:
    found = []
    for key, value in sorted(labels.items()):
        found += [invalid(path, key, text) for text in names.check_qualified_name(key)]
        found += [invalid(path, value, text) for text in names.check_label_value(value)]
    return found


def validate_annotations(annotations: Mapping[str, Any], path: Path) -> list[FieldError]:
    found, size = [], 0
    for key, value in sorted(annotations.items()):
        found += [invalid(path, key, text) for text in names.check_qualified_name(key.lower())]
        size += len(key.encode()) + len(str(value).encode())
    if size > _ANNOTATIONS_LIMIT:
        found.append(too_long(path, _ANNOTATIONS_LIMIT))
    return found


_EVENTS: Final = (("", "v1"), ("events.k8s.io", "v1"))


def _owners(owners: Any, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    controller = ""
    for owner in owners:
        where = path  # the original names no index here
        group, _, version = (owner.get("apiVersion") or "").rpartition("/")
        if not version:
            found.append(
                invalid(where.child("apiVersion"), owner.get("apiVersion") or "", "version must not be empty")
            )
        for field in ("kind", "name", "uid"):
            if not owner.get(field):
                found.append(invalid(where.child(field), owner.get(field) or "", "must not be empty"))
        if owner.get("kind") == "Event" and (group, version) in _EVENTS:
            text = f"{group}/{version}, Kind=Event is disallowed from being an owner"
            found.append(invalid(path, owner, text))
        if owner.get("controller"):
            named = f"{owner.get('kind', '')}/{owner.get('name', '')}"
            if controller:
                text = (
                    "Only one reference can have Controller set to true. "
                    f'Found "true" in references for {controller} and {named}'
                )
                found.append(invalid(path, list(owners), text))
            controller = named
    return found


def _finalizers(finalizers: Any, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    for at, finalizer in enumerate(finalizers):
        texts = names.check_qualified_name(finalizer)
        found += [invalid(path, finalizer, text) for text in texts]
        if not texts and "/" not in finalizer and finalizer not in ("orphan", "foregroundDeletion"):
            text = "name is neither a standard finalizer name nor is it fully qualified"
            found.append(invalid(path.index(at), finalizer, text))
    if "orphan" in finalizers and "foregroundDeletion" in finalizers:
        text = "finalizer orphan and foregroundDeletion cannot be both set"
        found.append(invalid(path, list(finalizers), text))
    return found


def validate_metadata_update(new: Metadata, old: Metadata) -> list[FieldError]:
    found = []
    for field, absent in _IMMUTABLE:
        mine, theirs = new.get(field, absent), old.get(field, absent)
        if mine != theirs:
            found.append(invalid(_META.child(field), mine, IMMUTABLE))
    if old.get("deletionTimestamp"):
        known = old.get("finalizers") or ()
        added = sorted(set(new.get("finalizers") or ()) - set(known))
        if added:
            dump = "[]string{" + ", ".join(f'"{name}"' for name in added) + "}"
            text = (
                f"no new finalizers can be added if the object is being deleted, found new finalizers {dump}"
            )
            found.append(forbidden(_FINALIZERS, text))
    found += validate_labels(new.get("labels") or {}, _LABELS)
    found += validate_annotations(new.get("annotations") or {}, _ANNOTATIONS)
    return found + _owners(new.get("ownerReferences") or (), _OWNER_REFERENCES)
