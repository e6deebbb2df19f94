"""Compiled API types: what a JSON value must look like to be decoded into a Go struct.

Built lazily by :mod:`apiserver.schema.schemas` from OpenAPI definitions; walked by
:mod:`apiserver.schema.check`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any


class Kind(Enum):
    STRUCT = auto()
    MAP = auto()
    LIST = auto()
    STRING = auto()
    INTEGER = auto()
    NUMBER = auto()
    BOOLEAN = auto()
    BYTES = auto()
    TIME = auto()
    MICRO_TIME = auto()
    QUANTITY = auto()
    INT_OR_STRING = auto()
    ANY = auto()
    SCHEMA_OR = auto()
    """A JSON schema (``item``), or a boolean or a list that may stand in its place."""


@dataclass(slots=True)
class Field:
    """One JSON field of a struct, with what the OpenAPI definition says beside its type."""

    type: ApiType
    patch_strategy: str = ""
    patch_merge_key: str = ""
    list_type: str = ""
    list_map_keys: tuple[str, ...] = ()
    map_type: str = ""
    default: Any = None


@dataclass(slots=True)
class ApiType:
    """``name`` is the Go type name; ``fields`` belongs to structs, ``item`` to lists and maps.

    ``preserves_unknown``: a struct of a custom resource that keeps fields beyond those it names. ``list_type``,
    ``list_map_keys`` and ``map_type`` are what the type says of itself; a field that refers to it may say otherwise.
    ``atom`` and ``blank`` are kept here for :mod:`apiserver.patch.apply.atoms` and
    :mod:`apiserver.http.rest.ownership`."""

    kind: Kind
    name: str = ""
    fields: dict[str, Field] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    item: ApiType | None = None
    preserves_unknown: bool = False
    list_type: str = ""
    list_map_keys: tuple[str, ...] = ()
    map_type: str = ""
    atom: Any = field(default=None, repr=False, compare=False)
    blank: dict[str, Any] | None = field(default=None, repr=False, compare=False)

    def go_name(self) -> str:
        """As Go's decoder names the type in its errors."""
        match self.kind:
            case Kind.LIST:
                return "[]" + (self.item.go_name() if self.item else "interface {}")
            case Kind.MAP:
                return "map[string]" + (self.item.go_name() if self.item else "interface {}")
            case Kind.STRUCT:
                return "v1." + self.name
        return self.name


@dataclass(frozen=True, slots=True)
class MergeInfo:
    """How strategic merge patch and apply treat one field; empty strings mean the default (replace)."""

    patch_strategy: str = ""
    patch_merge_key: str = ""
    list_type: str = ""
    list_map_keys: tuple[str, ...] = ()
    map_type: str = ""


Definition = dict[str, Any]
