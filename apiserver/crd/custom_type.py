"""(P) What a body of a custom resource is decoded into: metadata as of every object, the rest pruned by its schema.

Registered with :class:`apiserver.schema.schemas.Schemas` under the kind's name, so that handlers decode,
patch and apply custom resources as they do built-in kinds.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from apiserver.api.field_errors import Path
from apiserver.api.gvk import GroupVersionKind
from apiserver.crd.api_type import api_type
from apiserver.crd.objectmeta import embedded, has_embedded
from apiserver.crd.pruning import prune
from apiserver.crd.structural import Structural
from apiserver.schema.types import ApiType

Object = dict[str, Any]
CheckMetadata = Callable[[GroupVersionKind, Object], tuple[Object, list[str]]]


class CustomType:
    """``schema`` is called when it is first needed."""

    def __init__(
        self, gvk: GroupVersionKind, schema: Callable[[], Structural], check: CheckMetadata, metadata: ApiType
    ) -> None:
        self.gvk = gvk
        self._load = schema
        self._check_metadata = check
        self._metadata = metadata

    @cached_property
    def schema(self) -> Structural:
        return self._load()

    @cached_property
    def api_type(self) -> ApiType:
        return api_type(self.schema, self._metadata, self.gvk.kind)

    @cached_property
    def _embeds(self) -> bool:
        return has_embedded(self.schema)

    def decode(self, obj: Object) -> tuple[Object, list[str]]:
        """(pruned object, paths of unknown fields); changes ``obj``. Raises StatusError (400) for bad metadata."""
        unknown = prune(obj, self.schema)
        unknown += self._metadata_of(obj, "")
        if self._embeds:
            for resource, path in embedded(obj, self.schema, Path()):
                if resource is not obj:
                    unknown += self._metadata_of(resource, f"{path}.")
        return obj, sorted(unknown)

    def _metadata_of(self, resource: Object, prefix: str) -> list[str]:
        metadata = resource.get("metadata")
        if metadata is None:
            resource.pop("metadata", None)
            return []
        resource["metadata"], unknown = self._check_metadata(self.gvk, metadata)
        return [f"{prefix}metadata.{name}" for name in unknown]
