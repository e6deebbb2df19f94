"""(P) Nodes of an expression, and what is wrong with a text.

CelError
├── CompileError    issues with their places in the text
└── EvaluationError the expression ran into something it cannot do
    └── CostExceeded
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


class CelError(Exception):
    pass


@dataclass(frozen=True, slots=True)
class Issue:
    """``offset`` counts characters of the text."""

    offset: int
    message: str


class CompileError(CelError):
    """``str()`` is what cel-go prints of its issues."""

    def __init__(self, text: str, issues: Sequence[Issue]) -> None:
        self.issues = list(issues)
        super().__init__("\n".join(_shown(text, issue) for issue in self.issues))


def _shown(text: str, issue: Issue) -> str:
    before = text[: issue.offset]
    line, column = before.count("\n"), len(before) - (before.rfind("\n") + 1)
    source = text.split("\n")[line] if text else ""
    return f"ERROR: <input>:{line + 1}:{column + 1}: {issue.message}\n | {source}\n | {'.' * column}^"


class EvaluationError(CelError):
    pass


class CostExceeded(EvaluationError):
    def __init__(self) -> None:
        super().__init__("operation cancelled: actual cost limit exceeded")


@dataclass(slots=True)
class Node:
    offset: int


@dataclass(slots=True)
class Literal(Node):
    value: Any


@dataclass(slots=True)
class Ident(Node):
    name: str


@dataclass(slots=True)
class Select(Node):
    """``test``: the operand of ``has``. ``optional``: written ``.?``."""

    target: Node
    name: str
    test: bool = False
    optional: bool = False


@dataclass(slots=True)
class Call(Node):
    """Operators are calls too, under names such as ``_+_``. ``target``: of a call in receiver style."""

    name: str
    args: list[Node]
    target: Node | None = None


@dataclass(slots=True)
class ListNode(Node):
    """``optional``: positions written with ``?``."""

    items: list[Node]
    optional: frozenset[int] = frozenset()


@dataclass(slots=True)
class MapNode(Node):
    entries: list[tuple[Node, Node]]
    optional: frozenset[int] = frozenset()


@dataclass(slots=True)
class StructNode(Node):
    """``Name{field: value}``. ``name`` may have dots; ``optional``: positions of fields written with ``?``."""

    name: str
    fields: list[tuple[str, Node]]
    optional: frozenset[int] = frozenset()


@dataclass(slots=True)
class Loop(Node):
    """A macro over the items of a list or the keys of a map.

    ``kind``: all, exists, exists_one, map, filter, transformList, transformMap, transformMapEntry. ``second``:
    the other variable of the forms with two. ``guard``: the filter of a map with three arguments."""

    kind: str
    range: Node
    variable: str
    body: Node
    second: str = ""
    guard: Node | None = None


@dataclass(slots=True)
class Bind(Node):
    """``cel.bind`` and the optional maps: ``body`` with ``variable`` bound. ``optional``: optMap or optFlatMap."""

    variable: str
    value: Node
    body: Node
    optional: str = ""
    extra: list[Node] = field(default_factory=list)
