"""(P) Where expressions are compiled: the variables they may use and the functions there are.

The door to this package: ``Environment(variables).compile(text)`` gives a :class:`Program`, which is run as
often as wanted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from apiserver.cel.compiler import Compiler
from apiserver.cel.cost import Checked, estimated
from apiserver.cel.evaluator import Check, Frame, Run
from apiserver.cel.library import ALL
from apiserver.cel.library.function import Function
from apiserver.cel.parser import parse
from apiserver.cel.sizes import Declared
from apiserver.cel.syntax import CompileError, EvaluationError
from apiserver.cel.types import Resolve, Type

CALL_LIMIT: Final = 1_000_000
"""The most that one expression may cost, as in Kubernetes (``PerCallLimit``)."""
OBJECT_LIMIT: Final = 10_000_000
"""The most that all expressions on one object may cost (``RuntimeCELCostBudget``)."""


class Program:
    """``result`` is the static type, ``variables`` those that the expression uses."""

    def __init__(self, text: str, run: Run, result: Type, variables: frozenset[str]) -> None:
        self.text = text
        self.result = result
        self.variables = variables
        self._run = run

    def evaluate(
        self, variables: Mapping[str, Any], limit: int = CALL_LIMIT, check: Check | None = None
    ) -> tuple[Any, int]:
        """(value, cost). ``check`` is called now and then and may raise, to end an evaluation that takes too long.

        Raises EvaluationError.
        """
        frame = Frame(dict(variables), limit, check)
        try:
            return self._run(frame), frame.cost
        except (TypeError, RecursionError, OverflowError) as exc:
            raise EvaluationError(f"no such overload ({exc})") from exc


def _by_name(functions: Iterable[Function]) -> Mapping[str, Sequence[Function]]:
    found: dict[str, list[Function]] = {}
    for function in functions:
        found.setdefault(function.signature.name, []).append(function)
    return found


_STANDARD: Final = _by_name(ALL)


class Environment:
    def __init__(
        self,
        variables: Mapping[str, Type],
        functions: Iterable[Function] = (),
        resolve: Resolve | None = None,
    ) -> None:
        """``functions``: more than every environment has. ``resolve``: the types that values may be made of."""
        self._variables = variables
        self._resolve = resolve
        more = _by_name(functions)
        self._functions = {**_STANDARD, **more} if more else _STANDARD

    def compile(self, text: str) -> Program:
        """Raises CompileError."""
        return self._compile(text)[0]

    def measure(self, text: str, root: Declared) -> tuple[Program, int]:
        """The most that it can cost, too, with variables of which ``root`` is declared. Raises CompileError."""
        program, checked = self._compile(text)
        return program, estimated(checked, root)

    def _compile(self, text: str) -> tuple[Program, Checked]:
        node = parse(text)
        compiler = (
            Compiler(self._functions, self._variables)
            if self._resolve is None
            else Compiler(self._functions, self._variables, self._resolve)
        )
        kind, run = compiler.compile(node)
        if compiler.issues:
            raise CompileError(text, sorted(compiler.issues, key=lambda issue: issue.offset))
        checked = Checked(node, compiler.types, compiler.forms)
        return Program(text, run, kind, frozenset(compiler.used)), checked
