"""Types for the tests: one with every way of being owned, and objects of it."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from apiserver.patch.apply.atoms import Atom, atom_of
from apiserver.schema.types import ApiType, Field, Kind

STRING = ApiType(Kind.STRING, "string")
INTEGER = ApiType(Kind.INTEGER, "int32")
STRINGS = ApiType(Kind.MAP, item=STRING)


def struct(go_name: str, /, **fields: Field) -> ApiType:
    return ApiType(Kind.STRUCT, go_name, fields=fields)


def listed(item: ApiType, list_type: str = "", *keys: str) -> Field:
    return Field(ApiType(Kind.LIST, item=item), list_type=list_type, list_map_keys=keys)


PORT = struct("Port", port=Field(INTEGER), protocol=Field(STRING, default="TCP"), name=Field(STRING))
PART = struct("Part", name=Field(STRING), image=Field(STRING), env=Field(STRINGS))
SPEC = struct(
    "Spec",
    replicas=Field(INTEGER),
    parts=listed(PART, "map", "name"),
    ports=listed(PORT, "map", "port", "protocol"),
    tags=listed(STRING, "set"),
    args=listed(STRING),
    selector=Field(STRINGS, map_type="atomic"),
    anything=Field(ApiType(Kind.ANY)),
)
METADATA = struct("ObjectMeta", name=Field(STRING), uid=Field(STRING), labels=Field(STRINGS))
THING = struct(
    "Thing",
    apiVersion=Field(STRING),
    kind=Field(STRING),
    metadata=Field(METADATA),
    spec=Field(SPEC),
    status=Field(SPEC),
)
ATOM: Atom = atom_of(THING)


class OneVersion:
    """All versions are the same."""

    def atom(self, _: str) -> Atom:
        return ATOM

    def serves(self, version: str) -> bool:
        return version == "v1"

    def convert(self, obj: dict[str, Any], _: str) -> dict[str, Any]:
        return obj


def thing(**spec: Any) -> dict[str, Any]:
    """Without `spec` if nothing is in it: an empty one would say something."""
    given = {"spec": spec} if spec else {}
    return {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "t"}, **given}


_NAMES = st.sampled_from("abc")
_VALUES = st.sampled_from("xyz")


def _specs(fewest: int) -> st.SearchStrategy[dict[str, Any]]:
    env = st.dictionaries(_NAMES, _VALUES, min_size=fewest, max_size=2)
    part = st.fixed_dictionaries({"name": _NAMES}, optional={"image": _VALUES, "env": env})
    parts = st.lists(part, min_size=fewest, max_size=3, unique_by=lambda part: part["name"])
    optional = {
        "replicas": st.integers(1, 3),
        "parts": parts,
        "tags": st.lists(_VALUES, min_size=fewest, max_size=3, unique=True),
        "args": st.lists(_VALUES, max_size=3),
        "selector": st.dictionaries(_NAMES, _VALUES, max_size=2),
    }
    return st.fixed_dictionaries({}, optional=optional)


SPECS = _specs(0)
"""Contents of `spec` of a Thing."""
CONFIGS = _specs(1)
"""The same without what is empty and could be filled: an applier that mentions such a list does not own it."""
