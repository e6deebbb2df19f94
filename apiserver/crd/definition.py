"""(P) A stored definition as the server uses it: a small summary, and schemas read when first needed.

Thousands of definitions cost only their stored bytes: parsing and compiling wait for the first request of a
version.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from apiserver.api import codec, meta
from apiserver.api.conditions import has_condition
from apiserver.crd.structural import Structural, compiled

Object = dict[str, Any]
FINALIZER: Final = "customresourcecleanup.apiextensions.k8s.io"
_VERSION: Final = re.compile(r"v(\d+)(?:(alpha|beta)(\d+))?")
_STAGES: Final = {None: 2, "beta": 1, "alpha": 0}


@dataclass(frozen=True, slots=True)
class Version:
    """What discovery says of a version, and what its objects need."""

    name: str
    served: bool
    subresources: Mapping[str, Any]
    columns: tuple[Mapping[str, Any], ...]
    selectable: tuple[str, ...]
    warning: str


class Definition:
    """``read``: the stored object as JSON, now and whenever it is needed again. ``settled``: it has all the names that
    it asks for.
    """

    def __init__(self, read: Callable[[], bytes], revision: int) -> None:
        self.revision = revision
        obj: Object = codec.decode(read())
        spec = obj["spec"]
        self._read = read
        self.name = meta.name(obj)
        self.uid = meta.uid(obj)
        self.generation = meta.generation(obj)
        self.group: str = spec["group"]
        self.namespaced = spec.get("scope") == "Namespaced"
        self.conversion: Mapping[str, Any] = spec.get("conversion") or {"strategy": "None"}
        self.keeps_unknown = bool(spec.get("preserveUnknownFields"))
        self.accepted: Mapping[str, Any] = (obj.get("status") or {}).get("acceptedNames") or {}
        self.established = has_condition(obj, "Established")
        wanted = {key: value for key, value in spec["names"].items() if value}
        self.settled = self.established and wanted == self.accepted
        self.terminating = meta.is_deleting(obj)
        self.cleaned = FINALIZER not in meta.finalizers(obj)
        self.plural: str = spec["names"]["plural"]
        versions = sorted(spec["versions"], key=lambda version: rank(version["name"]))
        self.versions = tuple(_version(version, self.group, spec["names"]["kind"]) for version in versions)
        self.storage_version = next(version["name"] for version in versions if version.get("storage"))

    @property
    def identity(self) -> tuple[str, int, bool]:
        """Changes with everything that its resources depend on."""
        return self.uid, self.generation, self.terminating

    @property
    def storage_prefix(self) -> str:
        return f"/registry/{self.group}/{self.plural}"

    @cached_property
    def schemas(self) -> Mapping[str, Structural]:
        """By version. A version without a schema keeps everything."""
        spec = codec.decode(self._read())["spec"]
        return {version["name"]: self._schema(version) for version in spec["versions"]}

    def schema_documents(self) -> Mapping[str, Mapping[str, Any]]:
        """By version, as written; not kept."""
        spec = codec.decode(self._read())["spec"]
        return {v["name"]: (v.get("schema") or {}).get("openAPIV3Schema") or {} for v in spec["versions"]}

    def _schema(self, version: Mapping[str, Any]) -> Structural:
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        result = compiled(schema or {})
        result.preserve = result.preserve or schema is None or self.keeps_unknown
        return result


def rank(name: str) -> tuple[int, int, int, int, str]:
    """Order of versions: v2, v1, v1beta2, v1beta1, v1alpha1, then other names by the alphabet."""
    found = _VERSION.fullmatch(name)
    if found is None:
        return (1, 0, 0, 0, name)
    major, stage, minor = found.groups()
    return (0, -_STAGES[stage], -int(major), -int(minor or 0), name)


def _version(version: Mapping[str, Any], group: str, kind: str) -> Version:
    name = version["name"]
    warning = ""
    if version.get("deprecated"):
        warning = version.get("deprecationWarning") or f"{group}/{name} {kind} is deprecated"
    return Version(
        name=name,
        served=bool(version.get("served")),
        subresources=version.get("subresources") or {},
        columns=tuple(version.get("additionalPrinterColumns") or ()),
        selectable=tuple(field["jsonPath"] for field in version.get("selectableFields") or ()),
        warning=warning,
    )
