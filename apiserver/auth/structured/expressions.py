"""(P) The environments of CEL in these files: ``claims`` of a token, ``user``, and ``request`` of an access review.

Sources: ``pkg/authentication/cel`` and ``pkg/authorization/cel``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import Any, Final

from apiserver.admission.expressions import TooLong, patience
from apiserver.api.field_errors import FieldError, Path, invalid
from apiserver.cel.environment import Environment, Program
from apiserver.cel.evaluator import Check
from apiserver.cel.parser import parse
from apiserver.cel.syntax import CompileError, EvaluationError, Ident, Node, Select
from apiserver.cel.types import BOOL, DYN, STRING, Type, list_of, map_of, object_of

__all__ = ("Check", "ExpressionFault", "TooLong", "compiled", "fault_of", "patience", "run", "selects")


def _typed(name: str, /, **known: Type) -> Type:
    return object_of(name, {field: (field, kind) for field, kind in known.items()})


_STRINGS: Final = list_of(STRING)
_EXTRA: Final = map_of(STRING, _STRINGS)
_SELECTOR: Final = {
    "rawSelector": STRING,
    "requirements": list_of(
        _typed("kubernetes.SelectorRequirement", key=STRING, operator=STRING, values=_STRINGS)
    ),
}
_NAMES: Final = ("namespace", "verb", "group", "version", "resource", "subresource", "name")
_RESOURCE: Final = _typed(
    "kubernetes.ResourceAttributes",
    **dict.fromkeys(_NAMES, STRING),
    fieldSelector=_typed("kubernetes.FieldSelectorAttributes", **_SELECTOR),
    labelSelector=_typed("kubernetes.LabelSelectorAttributes", **_SELECTOR),
)
_VARIABLES: Final[Mapping[str, Mapping[str, Type]]] = {
    "claims": {"claims": map_of(STRING, DYN)},
    "user": {
        "user": _typed("kubernetes.UserInfo", username=STRING, uid=STRING, groups=_STRINGS, extra=_EXTRA)
    },
    "request": {
        "request": _typed(
            "kubernetes.SubjectAccessReviewSpec",
            resourceAttributes=_RESOURCE,
            nonResourceAttributes=_typed("kubernetes.NonResourceAttributes", path=STRING, verb=STRING),
            user=STRING,
            groups=_STRINGS,
            extra=_EXTRA,
            uid=STRING,
        )
    },
}


class ExpressionFault(Exception):
    """An expression could not be evaluated; the text says which and why."""


@lru_cache(maxsize=1024)
def compiled(text: str, variable: str) -> Program:
    """Raises CompileError."""
    return Environment(_VARIABLES[variable]).compile(text)


def fault_of(
    text: str, variable: str, path: Path, *, boolean: bool = False, shown: bool = False
) -> FieldError | None:
    """What validation says of an expression. ``boolean``: it must be one; ``shown``: what it is instead is told."""
    try:
        result = compiled(text, variable).result
    except CompileError as exc:
        return invalid(path, text, f"compilation failed: {exc}")
    if boolean and result != BOOL:
        return invalid(path, text, f"must evaluate to bool{f' but got {result}' if shown else ''}")
    return None


def run(text: str, variable: str, value: Any, check: Check | None) -> Any:
    """Raises ExpressionFault, and whatever ``check`` raises."""
    try:
        return compiled(text, variable).evaluate({variable: value}, check=check)[0]
    except EvaluationError as exc:
        raise ExpressionFault(f"expression '{text}' resulted in error: {exc}") from exc


def selects(text: str, variable: str, field: str) -> bool:
    """Whether ``variable.field`` or ``variable.?field`` is somewhere in an expression that compiles."""
    return any(
        isinstance(node, Select)
        and node.name == field
        and isinstance(node.target, Ident)
        and node.target.name == variable
        for node in _nodes(parse(text))
    )


def _nodes(value: Any) -> Iterator[Node]:
    if isinstance(value, list | tuple):
        for item in value:
            yield from _nodes(item)
    elif isinstance(value, Node) and is_dataclass(value):
        yield value
        for field in fields(value):
            yield from _nodes(getattr(value, field.name))
