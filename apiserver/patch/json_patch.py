"""JSON Patch (RFC 6902), as the original's library applies it: removing what is not there is an error."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Final

from apiserver.api import codec, go_json
from apiserver.patch.errors import BadPatch, CannotApply, TooLong


class OperationTestFailed(CannotApply):
    """A ``test`` operation found something else."""


MAX_OPERATIONS: Final = 10_000
_FIELDS: Final = frozenset({"op", "path", "from", "value"})
MAX_COPIED_BYTES: Final = 3 << 20


def apply(target: Any, patch: Any) -> Any:
    """``target`` is not changed. Raises BadPatch, CannotApply (OperationTestFailed), TooLong."""
    import jsonpatch
    import jsonpointer

    if not isinstance(patch, list):
        raise _not_a(patch, "[]handlers.jsonPatchOp")
    for step in patch:
        if step is not None and not isinstance(step, dict):
            raise _not_a(step, "handlers.jsonPatchOp")
    if len(patch) > MAX_OPERATIONS:
        raise TooLong(f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(patch)}")
    try:
        _limit_copies(target, patch)
        return _applied(target, patch)
    except jsonpatch.JsonPatchTestFailed as exc:
        raise OperationTestFailed(str(exc)) from exc
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException) as exc:
        raise CannotApply(str(exc)) from exc
    except (
        TypeError,
        LookupError,
        ValueError,
        AttributeError,
    ) as exc:  # operations of another shape, huge indices
        raise CannotApply(str(exc)) from exc


def _not_a(value: Any, go_type: str) -> BadPatch:
    return BadPatch(
        f"error decoding patch: json: cannot unmarshal {go_json.kind(value)} into Go value of type {go_type}"
    )


def unknown_fields(patch: list[Any]) -> list[str]:
    """``unknown field "[0].foo"`` for what no operation has."""
    return [
        f'unknown field "[{at}].{name}"'
        for at, step in enumerate(patch)
        if isinstance(step, dict)
        for name in step
        if name not in _FIELDS
    ]


def _applied(target: Any, patch: list[Any]) -> Any:
    """To the original's library, replacing a member that an object does not have is adding it."""
    import jsonpatch

    try:
        return jsonpatch.JsonPatch(patch).apply(target)
    except jsonpatch.JsonPatchConflict:
        if not any(isinstance(step, dict) and step.get("op") == "replace" for step in patch):
            raise
    document = deepcopy(target)
    for step in patch:
        op = "add" if step["op"] == "replace" and _is_new_member(document, step["path"]) else step["op"]
        document = jsonpatch.JsonPatch([{**step, "op": op}]).apply(document, in_place=True)
    return document


def _is_new_member(document: Any, path: str) -> bool:
    import jsonpointer

    parent, name = jsonpointer.JsonPointer(path).to_last(document)
    return isinstance(parent, dict) and name is not None and name not in parent


def _limit_copies(target: Any, patch: list[Any]) -> None:
    """A few `copy` operations can double a document until memory is full: apply them one by one, counting."""
    import jsonpatch
    import jsonpointer

    if not any(isinstance(step, dict) and step.get("op") == "copy" for step in patch):
        return
    document, copied = deepcopy(target), 0
    for step in patch:
        if step.get("op") == "copy":
            copied += len(codec.dumps(jsonpointer.resolve_pointer(document, step["from"])))
            if copied > MAX_COPIED_BYTES:
                raise CannotApply(
                    "Unable to complete the copy, the accumulated size increase of copy is "
                    f"{copied}, exceeding the limit {MAX_COPIED_BYTES}"
                )
        document = jsonpatch.JsonPatch([step]).apply(document, in_place=True)
