"""(P) Optional values."""

from __future__ import annotations

from typing import Any, Final

from apiserver.cel.library.function import Function, function
from apiserver.cel.syntax import EvaluationError
from apiserver.cel.values import NONE, Optional


def _of_non_zero(value: Any) -> Optional:
    """Zero values of every type are none."""
    return NONE if value is None or (not value and not isinstance(value, Optional)) else Optional(True, value)


def _value(optional: Optional) -> Any:
    if not optional.given:
        raise EvaluationError("optional.none() dereference")
    return optional.value


FUNCTIONS: Final[tuple[Function, ...]] = (
    function("optional::of(A) -> optional(A)", lambda value: Optional(True, value)),
    function("optional::none() -> optional(A)", lambda: NONE),
    function("optional::ofNonZeroValue(A) -> optional(A)", _of_non_zero),
    function("optional(A).hasValue() -> bool", lambda optional: optional.given),
    function("optional(A).value() -> A", _value),
)
"""``or`` and ``orValue`` evaluate their argument only if they need it: see the evaluator."""
