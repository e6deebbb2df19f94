"""(P) What a function is: its signature, what it does with values, and what that costs.

Costs follow Kubernetes' and cel-go's estimators: one for a call, a tenth for each character or item that is
walked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from apiserver.cel.types import Signature, signature

Cost = Callable[[Sequence[Any]], int]
Run = Callable[..., Any]


def constant(_: Sequence[Any]) -> int:
    return 1


def size_of(value: Any) -> int:
    return len(value) if isinstance(value, str | bytes | list | dict) else 1


def traversal(args: Sequence[Any]) -> int:
    """Of functions that walk their arguments."""
    return 1 + sum(map(size_of, args)) // 10


def search(args: Sequence[Any]) -> int:
    """Of regular expressions: the text times the pattern."""
    return 1 + (1 + size_of(args[0]) // 10) * (1 + size_of(args[1]) // 4)


def product(args: Sequence[Any]) -> int:
    """Of functions that look for each item of one list in another."""
    result = 1
    for arg in args:
        result *= max(1, size_of(arg))
    return result


@dataclass(frozen=True, slots=True)
class Function:
    signature: Signature
    run: Run
    cost: Cost


def function(text: str, run: Run, cost: Cost = constant) -> Function:
    return Function(signature(text), run, cost)


INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**63 - 1
