"""(P) JSON Patch, RFC 6902, by the `jsonpatch` library; limits and texts as in handlers/patch.go."""

from __future__ import annotations

from typing import Any

import jsonpatch
from jsonpointer import JsonPointerException

from apiserver.api.meta import Object
from apiserver.patch.errors import UNPROCESSABLE, PatchError

MAX_OPERATIONS = 10_000
_GO_KINDS = {dict: "object", str: "string", bool: "bool", int: "number", float: "number"}


def apply(document: Object, operations: Any) -> Object:
    """The patched document. `PatchError`: 400 not a list, 413 too many operations, 422 does not fit."""
    if operations is None:
        return document
    if not isinstance(operations, list):
        kind = _GO_KINDS.get(type(operations), "value")
        raise PatchError(
            f"error decoding patch: json: cannot unmarshal {kind} into Go value of type "
            "[]handlers.jsonPatchOp",
            400,
        )
    if len(operations) > MAX_OPERATIONS:
        raise PatchError(
            f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(operations)}", 413
        )
    try:
        patched = jsonpatch.JsonPatch(operations).apply(document)
    except (jsonpatch.JsonPatchException, JsonPointerException, TypeError, KeyError) as error:
        raise PatchError(UNPROCESSABLE, 422) from error
    if not isinstance(patched, dict):
        raise PatchError(UNPROCESSABLE, 422)
    return patched
