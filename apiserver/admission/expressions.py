"""(P) CEL in admission: the variables that expressions may use, match conditions, and what a failure says.

Used by policies and by the match conditions of webhooks. ``object``, ``oldObject`` and ``params`` have no
type; ``request`` and ``namespaceObject`` have theirs, so that a field that does not exist is found when the
expression is compiled; ``authorizer`` is that of ``authorizing``. Source: apiserver
``pkg/admission/plugin/cel`` and ``plugin/webhook/matchconditions``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from apiserver.admission.authorizing import AUTHORIZER, FUNCTIONS
from apiserver.cel.environment import CALL_LIMIT, Environment, Program
from apiserver.cel.evaluator import Check
from apiserver.cel.library.function import Function
from apiserver.cel.library.times import parse_timestamp
from apiserver.cel.syntax import CompileError, CostExceeded, EvaluationError
from apiserver.cel.types import (
    BOOL,
    DYN,
    INT,
    NULL,
    STRING,
    TIMESTAMP,
    Resolve,
    Type,
    fits,
    list_of,
    map_of,
    object_of,
)

Object = Mapping[str, Any]
BUDGET: Final = 10_000_000
"""The most that all validations of one policy may cost on one object (``RuntimeCELCostBudget``)."""
CONDITIONS_BUDGET: Final = 2_500_000
"""The same of match conditions (``RuntimeCELCostBudgetMatchConditions``)."""
OUT_OF_BUDGET: Final = (
    "validation failed due to running out of cost budget, no further validation rules will be run"
)


def _typed(name_of_type: str, /, **fields: Type) -> Type:
    return object_of(name_of_type, {field: (field, kind) for field, kind in fields.items()})


_STRINGS: Final = map_of(STRING, STRING)
_GVK: Final = _typed("kubernetes.GroupVersionKind", group=STRING, version=STRING, kind=STRING)
_GVR: Final = _typed("kubernetes.GroupVersionResource", group=STRING, version=STRING, resource=STRING)
_USER: Final = _typed(
    "kubernetes.UserInfo",
    username=STRING,
    uid=STRING,
    groups=list_of(STRING),
    extra=map_of(STRING, list_of(STRING)),
)
REQUEST: Final = _typed(
    "kubernetes.AdmissionRequest",
    kind=_GVK,
    resource=_GVR,
    subResource=STRING,
    requestKind=_GVK,
    requestResource=_GVR,
    requestSubResource=STRING,
    name=STRING,
    namespace=STRING,
    operation=STRING,
    userInfo=_USER,
    dryRun=BOOL,
    options=DYN,
)
_CONDITION: Final = _typed(
    "kubernetes.NamespaceCondition", type=STRING, status=STRING, message=STRING, reason=STRING,
    lastTransitionTime=TIMESTAMP,
)  # fmt: skip
NAMESPACE: Final = _typed(
    "kubernetes.Namespace",
    metadata=_typed(
        "kubernetes.NamespaceMetadata",
        name=STRING,
        generateName=STRING,
        namespace=STRING,
        labels=_STRINGS,
        annotations=_STRINGS,
        UID=STRING,
        creationTimestamp=TIMESTAMP,
        deletionGracePeriodSeconds=INT,
        deletionTimestamp=TIMESTAMP,
        generation=INT,
        resourceVersion=STRING,
        finalizers=list_of(STRING),
    ),
    spec=_typed("kubernetes.NamespaceSpec", finalizers=list_of(STRING)),
    status=_typed("kubernetes.NamespaceStatus", phase=STRING, conditions=list_of(_CONDITION)),
)
_ROUNDS: Final = 20
VALUE_TYPES: Final = (STRING, NULL)


class TooLong(Exception):
    """The evaluation is too long to be done between other requests."""


def patience() -> Check:
    """A check that raises TooLong when an expression has cost some 20,000: some ten milliseconds."""
    rounds = iter(range(_ROUNDS))

    def check() -> None:
        if next(rounds, None) is None:
            raise TooLong

    return check


class ExpressionFailed(Exception):
    """The text is what the original says of it."""


class BudgetSpent(ExpressionFailed):
    def __init__(self) -> None:
        super().__init__(OUT_OF_BUDGET)


@dataclass(slots=True)
class Budget:
    """What is left to be spent by the expressions that share it. ``check``: see :meth:`Program.evaluate`."""

    left: int
    check: Check | None = None

    def spend(self, cost: int) -> None:
        """Raises BudgetSpent."""
        self.left -= cost
        if self.left < 0:
            raise BudgetSpent


def namespace_value(namespace: Object | None) -> Object | None:
    """A Namespace as ``namespaceObject`` is declared: times are times."""
    if namespace is None:
        return None
    metadata = dict(namespace["metadata"])
    for name in ("creationTimestamp", "deletionTimestamp"):
        if metadata.get(name):
            metadata[name] = parse_timestamp(metadata[name])
    if "uid" in metadata:
        metadata["UID"] = metadata["uid"]
    conditions = [
        {**condition, "lastTransitionTime": parse_timestamp(condition["lastTransitionTime"])}
        if condition.get("lastTransitionTime")
        else condition
        for condition in (namespace.get("status") or {}).get("conditions") or ()
    ]
    status = {**(namespace.get("status") or {}), **({"conditions": conditions} if conditions else {})}
    return {"metadata": metadata, "spec": namespace.get("spec") or {}, "status": status}


def declared(
    *, params: bool, variables: Mapping[str, Type] | None = None, authorizer: bool = True
) -> dict[str, Type]:
    """``params``: whether there is a paramKind. ``variables``: those of a policy, by name."""
    known: dict[str, Type] = {
        "object": DYN,
        "oldObject": DYN,
        "request": REQUEST,
        "namespaceObject": NAMESPACE,
    }
    if params:
        known["params"] = DYN
    if authorizer:
        known["authorizer"] = AUTHORIZER
    if variables is not None:
        fields = {name: (name, kind) for name, kind in variables.items()}
        known["variables"] = object_of("kubernetes.variables", fields)
    return known


class Expression:
    """One text, compiled. One that does not compile fails whenever it is run. ``wanted``: what it may result in."""

    def __init__(
        self,
        text: str,
        known: Mapping[str, Type],
        wanted: Sequence[Type] = (),
        functions: Sequence[Function] = FUNCTIONS,
        resolve: Resolve | None = None,
    ) -> None:
        """``functions``, ``resolve``: see :class:`Environment`."""
        self.text = text
        self._program: Program | None = None
        self.failure = ""
        try:
            program = Environment(known, functions, resolve).compile(text)
        except CompileError as exc:
            self.failure = f"compilation failed: {exc}"
            return
        if wanted and not any(fits(program.result, kind, {}) for kind in wanted):
            self.failure = _unwanted(wanted)
            return
        self._program = program

    @property
    def result(self) -> Type:
        return DYN if self._program is None else self._program.result

    def run(self, values: Mapping[str, Any], budget: Budget) -> Any:
        """Raises ExpressionFailed."""
        if self._program is None:
            raise ExpressionFailed(f"compilation error: {self.failure}")
        try:
            value, cost = self._program.evaluate(values, min(CALL_LIMIT, budget.left + 1), budget.check)
        except CostExceeded:
            if budget.left < CALL_LIMIT:
                raise BudgetSpent from None
            raise ExpressionFailed(self._error("operation cancelled: actual cost limit exceeded")) from None
        except EvaluationError as exc:
            raise ExpressionFailed(self._error(str(exc))) from exc
        budget.spend(cost)
        return value

    def _error(self, reason: str) -> str:
        return f"expression '{self.text}' resulted in error: {reason}"


def _unwanted(wanted: Sequence[Type]) -> str:
    if len(wanted) == 1:
        return f"must evaluate to {wanted[0]}"
    return f"must evaluate to one of [{' '.join(map(str, wanted))}]"


class LazyVariables(dict[str, Any]):
    """``variables``: each is worked out when it is first used, and then known."""

    def __init__(self, expressions: Mapping[str, Expression], run: Callable[[Expression], Any]) -> None:
        super().__init__()
        self._expressions = expressions
        self._run = run

    def __contains__(self, name: object) -> bool:
        return name in self._expressions

    def __missing__(self, name: str) -> Any:
        try:
            value = self[name] = self._run(self._expressions[name])
        except ExpressionFailed as exc:
            raise EvaluationError(f'composited variable "{name}" fails to evaluate: {exc}') from exc
        return value


class Conditions:
    """``matchConditions``: whether a write that the rules match is really meant."""

    def __init__(self, conditions: Sequence[Object], known: Mapping[str, Type], *, fail: bool) -> None:
        """``fail``: the failurePolicy."""
        self._all = [
            Expression(condition.get("expression") or "", known, (BOOL,)) for condition in conditions
        ]
        self._fail = fail

    def __bool__(self) -> bool:
        return bool(self._all)

    def hold(self, values: Mapping[str, Any], check: Check | None = None) -> bool:
        """One that is false decides, whatever else fails. Raises ExpressionFailed where failures count."""
        budget, failures = Budget(CONDITIONS_BUDGET, check), list[str]()
        for condition in self._all:
            try:
                if condition.run(values, budget) is False:
                    return False
            except BudgetSpent as exc:
                failures.append(str(exc))
                break
            except ExpressionFailed as exc:
                failures.append(str(exc))
        if not failures:
            return True
        if self._fail:
            raise ExpressionFailed(failures[0] if len(failures) == 1 else f"[{', '.join(failures)}]")
        return False
