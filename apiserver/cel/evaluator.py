"""(P) Running a compiled expression: closures over one :class:`Frame`, each step counted against a budget.

``||``, ``&&``, ``?:`` and the loops all and exists decide with what they know: an error on one side is
forgotten if the other side decides. Costs are those of Kubernetes' estimator in kind; the numbers are close,
not equal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from apiserver.cel.library.function import Function
from apiserver.cel.syntax import CostExceeded, EvaluationError
from apiserver.cel.types import Type
from apiserver.cel.values import NONE, Duration, Made, Opaque, Optional, TypeValue, UInt, type_name

Check = Callable[[], None]
_EVERY: Final = 1024


class Frame:
    """Variables and what the evaluation has cost. ``check`` is called every now and then, and may raise."""

    __slots__ = ("_check", "_next", "cost", "limit", "variables")

    def __init__(self, variables: dict[str, Any], limit: int, check: Check | None = None) -> None:
        self.variables = variables
        self.limit = limit
        self.cost = 0
        self._check = check
        self._next = _EVERY

    def spend(self, cost: int) -> None:
        """Raises CostExceeded."""
        self.cost += cost
        if self.cost > self.limit:
            raise CostExceeded
        if self.cost >= self._next and self._check is not None:
            self._next = self.cost + _EVERY
            self._check()


Run = Callable[[Frame], Any]


def constant(value: Any) -> Run:
    return lambda frame: value


def variable(name: str) -> Run:
    def run(frame: Frame) -> Any:
        frame.spend(1)
        try:
            return frame.variables[name]
        except KeyError:
            raise EvaluationError(f"no such attribute(s): {name}") from None

    return run


def select(target: Run, name: str) -> Run:
    def run(frame: Frame) -> Any:
        value = target(frame)
        frame.spend(1)
        if isinstance(value, Optional):
            return _optional_key(value, name)
        if not isinstance(value, dict):
            raise EvaluationError(
                f"no such overload: {type_name(value)}.{name}"
                if value is not None
                else f"no such key: {name}"
            )
        if name not in value:
            raise EvaluationError(f"no such key: {name}")
        return value[name]

    return run


def _optional_key(value: Any, key: Any) -> Optional:
    """``.?`` and ``[?]``: of a value or of an optional one."""
    if isinstance(value, Optional):
        if not value.given:
            return NONE
        value = value.value
    if isinstance(value, dict):
        return Optional(True, value[key]) if not isinstance(key, list | dict) and key in value else NONE
    if isinstance(value, list):
        return Optional(True, value[int(key)]) if 0 <= key < len(value) else NONE
    raise EvaluationError("no such overload")


def optional_select(target: Run, key: Run) -> Run:
    def run(frame: Frame) -> Any:
        value = target(frame)
        frame.spend(1)
        return _optional_key(value, key(frame))

    return run


def has(target: Run, name: str) -> Run:
    def run(frame: Frame) -> bool:
        value = target(frame)
        frame.spend(1)
        if isinstance(value, Optional):
            return _optional_key(value, name).given
        if not isinstance(value, dict):
            raise EvaluationError("no such overload")
        return name in value

    return run


def logical(parts: Sequence[Run], decides: bool) -> Run:
    """``||`` (decided by true) and ``&&`` (decided by false), of any number of sides."""

    return lambda frame: _decide(frame, parts, decides)


def _decide(frame: Frame, parts: Iterable[Run], decides: bool) -> bool:
    """The first part that decides; a failure counts only if none does."""
    failure: EvaluationError | None = None
    for part in parts:
        try:
            value = part(frame)
        except CostExceeded:
            raise
        except EvaluationError as exc:
            failure = failure or exc
            continue
        if not isinstance(value, bool):
            failure = failure or EvaluationError("no such overload")
        elif value is decides:
            return decides
    if failure is not None:
        raise failure
    return not decides


def choice(condition: Run, chosen: Run, other: Run) -> Run:
    def run(frame: Frame) -> Any:
        value = condition(frame)
        if not isinstance(value, bool):
            raise EvaluationError("no such overload")
        return chosen(frame) if value else other(frame)

    return run


def made_list(items: Sequence[Run], optional: frozenset[int]) -> Run:
    def run(frame: Frame) -> list[Any]:
        frame.spend(10)
        found = []
        for at, item in enumerate(items):
            value = item(frame)
            if at not in optional:
                found.append(value)
            elif value.given:
                found.append(value.value)
        return found

    return run


def made_map(entries: Sequence[tuple[Run, Run]], optional: frozenset[int]) -> Run:
    def run(frame: Frame) -> dict[Any, Any]:
        frame.spend(30)
        found: dict[Any, Any] = {}
        for at, (key, item) in enumerate(entries):
            name, value = key(frame), item(frame)
            if isinstance(name, list | dict | float) or name is None:
                raise EvaluationError("unsupported key type")
            if name in found:
                raise EvaluationError(f"Failed with repeated key: {name}")
            if at not in optional:
                found[name] = value
            elif value.given:
                found[name] = value.value
        return found

    return run


def made_struct(type_name: str, fields: Sequence[tuple[str, Run]], optional: frozenset[int]) -> Run:
    def run(frame: Frame) -> Made:
        frame.spend(40)
        found: dict[str, Any] = {}
        for at, (name, item) in enumerate(fields):
            value = item(frame)
            if at not in optional:
                found[name] = value
            elif value.given:
                found[name] = value.value
        return Made(type_name, found)

    return run


def call(functions: Sequence[Function], args: Sequence[Run]) -> Run:
    """The one function that the values fit, of those that the types allow."""
    if len(functions) == 1:
        return _direct(functions[0], args)
    checks = [tuple(map(matcher, function.signature.params)) for function in functions]

    def run(frame: Frame) -> Any:
        values = [arg(frame) for arg in args]
        for function, wanted in zip(functions, checks, strict=True):
            if all(check(value) for check, value in zip(wanted, values, strict=True)):
                frame.spend(function.cost(values))
                return function.run(*values)
        raise EvaluationError("no such overload")

    return run


def _direct(function: Function, args: Sequence[Run]) -> Run:
    execute, cost = function.run, function.cost
    wanted = tuple(map(matcher, function.signature.params))

    def run(frame: Frame) -> Any:
        values = [arg(frame) for arg in args]
        for check, value in zip(wanted, values, strict=True):
            if not check(value):
                raise EvaluationError("no such overload")
        frame.spend(cost(values))
        return execute(*values)

    return run


def or_value(target: Run, other: Run, *, unwrap: bool) -> Run:
    """``orValue`` and ``or``: the other side only if it is needed."""

    def run(frame: Frame) -> Any:
        value = target(frame)
        if not isinstance(value, Optional):
            raise EvaluationError("no such overload")
        if value.given:
            return value.value if unwrap else value
        return other(frame)

    return run


def bind(name: str, value: Run, body: Run, optional: str) -> Run:
    def run(frame: Frame) -> Any:
        bound = value(frame)
        if optional:
            if not isinstance(bound, Optional):
                raise EvaluationError("no such overload")
            if not bound.given:
                return NONE
            bound = bound.value
        result = _with(frame, {name: bound}, body)
        return Optional(True, result) if optional == "optMap" else result

    return run


def _with(frame: Frame, variables: dict[str, Any], body: Run) -> Any:
    outer = frame.variables
    frame.variables = {**outer, **variables}
    try:
        return body(frame)
    finally:
        frame.variables = outer


def loop(kind: str, source: Run, names: tuple[str, str], body: Run, guard: Run | None) -> Run:
    """``names``: one or two variables; the second is empty where there is one."""
    finish = _FINISH[kind]

    def run(frame: Frame) -> Any:
        value = source(frame)
        outer = frame.variables
        inner = frame.variables = dict(outer)
        try:
            return finish(frame, _rounds(frame, value, names, inner), body, guard)
        finally:
            frame.variables = outer

    return run


def _rounds(frame: Frame, value: Any, names: tuple[str, str], variables: dict[str, Any]) -> Iterable[Any]:
    """Binds the variables for each round; yields what a map of one variable collects under, or the item."""
    if not isinstance(value, list | dict):
        raise EvaluationError("no such overload")
    first, second = names
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in pairs:
        frame.spend(2)
        if second:
            variables[first], variables[second] = key, item
        else:
            variables[first] = key if isinstance(value, dict) else item
        yield key if second and isinstance(value, dict) else variables[first]


def _quantified(decides: bool) -> Callable[[Frame, Iterable[Any], Run, Run | None], bool]:
    def finish(frame: Frame, rounds: Iterable[Any], body: Run, guard: Run | None) -> bool:
        return _decide(frame, (body for _ in rounds), decides)

    return finish


def _truth(frame: Frame, run: Run | None) -> bool:
    if run is None:
        return True
    value = run(frame)
    if not isinstance(value, bool):
        raise EvaluationError("no such overload")
    return value


def _exists_one(frame: Frame, rounds: Iterable[Any], body: Run, guard: Run | None) -> bool:
    return sum(1 for _ in rounds if _truth(frame, body)) == 1


def _map(frame: Frame, rounds: Iterable[Any], body: Run, guard: Run | None) -> list[Any]:
    return [body(frame) for _ in rounds if _truth(frame, guard)]


def _filter(frame: Frame, rounds: Iterable[Any], body: Run, guard: Run | None) -> list[Any]:
    return [item for item in rounds if _truth(frame, body)]


def _transform_map(frame: Frame, rounds: Iterable[Any], body: Run, guard: Run | None) -> dict[Any, Any]:
    return {key: body(frame) for key in rounds if _truth(frame, guard)}


def _transform_entry(frame: Frame, rounds: Iterable[Any], body: Run, guard: Run | None) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for _ in rounds:
        if _truth(frame, guard):
            for key, value in body(frame).items():
                if key in found:
                    raise EvaluationError(f"insert failed: key {key} already exists")
                found[key] = value
    return found


_FINISH: Final[dict[str, Callable[[Frame, Iterable[Any], Run, Run | None], Any]]] = {
    "all": _quantified(False),
    "exists": _quantified(True),
    "exists_one": _exists_one,
    "map": _map,
    "filter": _filter,
    "transformList": _map,
    "transformMap": _transform_map,
    "transformMapEntry": _transform_entry,
}


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool | UInt)


_MATCHERS: Final[dict[str, Callable[[Any], bool]]] = {
    "bool": lambda value: isinstance(value, bool),
    "int": _is_int,
    "uint": lambda value: isinstance(value, UInt),
    "double": lambda value: isinstance(value, float),
    "string": lambda value: isinstance(value, str),
    "bytes": lambda value: isinstance(value, bytes),
    "null_type": lambda value: value is None,
    "list": lambda value: isinstance(value, list),
    "map": lambda value: isinstance(value, dict),
    "duration": lambda value: isinstance(value, Duration),
    "timestamp": lambda value: type_name(value) == "google.protobuf.Timestamp",
    "optional": lambda value: isinstance(value, Optional),
    "type": lambda value: isinstance(value, TypeValue),
}
_OPAQUE: Final = {
    "kubernetes_url": "kubernetes.URL",
    "kubernetes_quantity": "kubernetes.Quantity",
    "kubernetes_format": "kubernetes.NamedFormat",
    "kubernetes_semver": "kubernetes.Semver",
    "net_ip": "net.IP",
    "net_cidr": "net.CIDR",
}


def matcher(kind: Type) -> Callable[[Any], bool]:
    """Whether a value is of a type, as far as its outermost level tells; of a list also by its first item."""
    if kind.name == "list" and kind.params and kind.params[0].name in _MATCHERS:
        item = _MATCHERS[kind.params[0].name]
        return lambda value: isinstance(value, list) and (not value or item(value[0]))
    known = _MATCHERS.get(kind.name)
    if known is not None:
        return known
    opaque = _OPAQUE.get(kind.name)
    if opaque is not None:
        return lambda value: isinstance(value, Opaque) and value.type_name == opaque
    return lambda value: True
