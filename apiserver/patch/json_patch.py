"""JSON Patch (RFC 6902), as the original's library applies it: removing what is not there is an error."""

from __future__ import annotations

from typing import Any, Final

from apiserver.patch.errors import BadPatch, CannotApply

MAX_OPERATIONS: Final = 10_000


def apply(target: Any, patch: Any) -> Any:
    """``target`` is not changed. Raises BadPatch, CannotApply."""
    import jsonpatch
    import jsonpointer

    if not isinstance(patch, list):
        found = {dict: "object", str: "string", bool: "bool"}.get(type(patch), "number")
        raise BadPatch(
            f"error decoding patch: json: cannot unmarshal {found} into Go value of type []handlers.jsonPatchOp"
        )
    if len(patch) > MAX_OPERATIONS:
        raise CannotApply(
            f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(patch)}"
        )
    try:
        return jsonpatch.JsonPatch(patch).apply(target)
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException, TypeError, KeyError) as exc:
        raise CannotApply(str(exc)) from exc
