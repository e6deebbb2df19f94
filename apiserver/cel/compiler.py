"""(P) From nodes to closures, checking types on the way.

Reports unknown names, missing fields, and functions without a form that fits. Where types are known a call is
bound to the forms that fit; where they are ``dyn`` the values decide. Goes on after an error, so that all of
them are reported; the words are those of cel-go's checker.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from apiserver.cel import evaluator as ev
from apiserver.cel.library.function import Function
from apiserver.cel.syntax import (
    Bind,
    Call,
    Ident,
    Issue,
    ListNode,
    Literal,
    Loop,
    MapNode,
    Node,
    Select,
    StructNode,
)
from apiserver.cel.types import (
    BOOL,
    DYN,
    INT,
    NULL,
    STRING,
    Bindings,
    Resolve,
    Type,
    fits,
    joined,
    list_of,
    map_of,
    optional_of,
    resolved,
)
from apiserver.cel.values import TypeValue, type_name

Typed = tuple[Type, ev.Run]
_TYPE_NAMES: Final = {
    "bool": "bool", "int": "int", "uint": "uint", "double": "double", "string": "string", "bytes": "bytes",
    "list": "list", "map": "map", "null_type": "null_type", "type": "type", "dyn": "dyn",
}  # fmt: skip
_EQUALITY: Final = ("_==_", "_!=_")
_BOOLEAN_LOOPS: Final = frozenset({"all", "exists", "exists_one", "filter"})


def _no_type(name: str) -> Type | None:
    return None


class Compiler:
    def __init__(
        self,
        functions: Mapping[str, Sequence[Function]],
        variables: Mapping[str, Type],
        resolve: Resolve = _no_type,
    ) -> None:
        """``resolve``: the types of which expressions may make values."""
        self._functions = functions
        self._resolve = resolve
        self._scope: dict[str, Type] = dict(variables)
        self.issues: list[Issue] = []
        self.used: set[str] = set()
        self.types: dict[int, Type] = {}
        """By the identity of nodes."""
        self.forms: dict[int, Sequence[Function]] = {}
        """The functions that fit a call, by the identity of its node."""

    def compile(self, node: Node) -> Typed:
        kind, run = _VISITORS[type(node)](self, node)
        self.types[id(node)] = kind
        return kind, run

    def _issue(self, node: Node, message: str) -> Typed:
        self.issues.append(Issue(node.offset, message))
        return DYN, ev.constant(None)

    def literal(self, node: Literal) -> Typed:
        return Type(type_name(node.value)), ev.constant(node.value)

    def ident(self, node: Ident) -> Typed:
        known = self._scope.get(node.name)
        if known is not None:
            self.used.add(node.name)
            return known, ev.variable(node.name)
        if node.name in _TYPE_NAMES:
            return Type("type"), ev.constant(TypeValue(node.name))
        return self._issue(node, f"undeclared reference to '{node.name}' (in container '')")

    def select(self, node: Select) -> Typed:
        kind, target = self.compile(node.target)
        inner, optional = (kind.params[0], True) if kind.name == "optional" else (kind, False)
        found = self._field(node, inner)
        if found is None:
            return DYN, ev.constant(None)
        name, field = found
        if node.test:
            return BOOL, ev.has(target, name)
        if node.optional or optional:
            return optional_of(field), ev.optional_select(target, ev.constant(name))
        return field, ev.select(target, name)

    def _field(self, node: Select, kind: Type) -> tuple[str, Type] | None:
        """(name in the value, type) of the field; None after an issue."""
        if kind.fields is not None:
            found = kind.fields.get(node.name)
            if found is None:
                self._issue(node, f"undefined field '{node.name}'")
            return found
        if kind.name == "map":
            return node.name, kind.params[1]
        if kind == DYN:
            return node.name, DYN
        self._issue(node, f"type '{kind}' does not support field selection")
        return None

    def call(self, node: Call) -> Typed:
        special = _SPECIAL.get(node.name)
        if special is not None and node.target is None:
            return special(self, node)
        if node.target is None:
            return self._apply(node, node.name, self._all(node.args), receiver=False)
        target = node.target
        if isinstance(target, Ident) and target.name not in self._scope:
            qualified = f"{target.name}.{node.name}"
            if qualified in self._functions:
                return self._apply(node, qualified, self._all(node.args), receiver=False)
        if node.name in ("orValue", "or") and len(node.args) == 1:
            return self._or(node, target)
        return self._apply(node, node.name, self._all([target, *node.args]), receiver=True)

    def _or(self, node: Call, target: Node) -> Typed:
        kind, run = self.compile(target)
        other_kind, other = self.compile(node.args[0])
        if kind.name not in ("optional", "dyn"):
            return self._no_overload(node, node.name, [kind, other_kind], receiver=True)
        inner = kind.params[0] if kind.params else DYN
        unwrap = node.name == "orValue"
        result = inner if unwrap else optional_of(inner)
        bound: Bindings = {}
        if not fits(other_kind, result, bound):
            return self._no_overload(node, node.name, [kind, other_kind], receiver=True)
        return (other_kind if result == DYN else result), ev.or_value(run, other, unwrap=unwrap)

    def _all(self, nodes: Sequence[Node]) -> list[Typed]:
        return [self.compile(node) for node in nodes]

    def _apply(self, node: Node, name: str, typed: Sequence[Typed], *, receiver: bool) -> Typed:
        kinds = [kind for kind, _ in typed]
        known = [f for f in self._functions.get(name, ()) if f.signature.receiver == receiver]
        if not known:
            return self._issue(node, f"undeclared reference to '{name}' (in container '')")
        if name in _EQUALITY and NULL in kinds:
            kinds = [DYN, DYN]  # anything may be compared with null
        fitting, result = self._fitting(known, kinds)
        if not fitting:
            return self._no_overload(node, name, kinds, receiver=receiver)
        self.forms[id(node)] = fitting
        return result, ev.call(fitting, [run for _, run in typed])

    def _fitting(self, known: Sequence[Function], kinds: Sequence[Type]) -> tuple[list[Function], Type]:
        found: list[Function] = []
        result: Type | None = None
        for function in known:
            bound: Bindings = {}
            if _accepts(function, kinds, bound):
                found.append(function)
                result = joined(result, resolved(function.signature.result, bound))
        return found, result or DYN

    def _no_overload(self, node: Node, name: str, kinds: Sequence[Type], *, receiver: bool) -> Typed:
        shown = ", ".join(str(kind) for kind in (kinds[1:] if receiver else kinds))
        applied = f"{kinds[0]}.({shown})" if receiver else f"({shown})"
        return self._issue(node, f"found no matching overload for '{name}' applied to '{applied}'")

    def logical(self, node: Call) -> Typed:
        runs = [self._boolean(node, arg) for arg in node.args]
        return BOOL, ev.logical(runs, node.name == "_||_")

    def _boolean(self, node: Call, arg: Node) -> ev.Run:
        kind, run = self.compile(arg)
        if kind not in (BOOL, DYN):
            self._no_overload(node, node.name, [kind, BOOL], receiver=False)
        return run

    def choice(self, node: Call) -> Typed:
        condition, chosen, other = (self.compile(arg) for arg in node.args)
        bound: Bindings = {}
        if condition[0] not in (BOOL, DYN) or not fits(other[0], chosen[0], bound):
            return self._no_overload(node, node.name, [condition[0], chosen[0], other[0]], receiver=False)
        kind = chosen[0] if chosen[0] not in (NULL, DYN) else other[0]
        return (DYN if DYN in (chosen[0], other[0]) else kind), ev.choice(condition[1], chosen[1], other[1])

    def optional_index(self, node: Call) -> Typed:
        return self._optional_index(node, self._all(node.args))

    def _optional_index(self, node: Call, typed: Sequence[Typed]) -> Typed:
        (kind, target), (_, key) = typed
        inner = kind.params[0] if kind.name == "optional" else kind
        item = inner.params[-1] if inner.name in ("list", "map") else DYN
        if inner.name not in ("list", "map", "dyn"):
            return self._no_overload(node, "_[?_]", [kind, DYN], receiver=False)
        return optional_of(item), ev.optional_select(target, key)

    def index(self, node: Call) -> Typed:
        typed = self._all(node.args)
        kind = typed[0][0]
        if kind.name == "optional":
            return self._optional_index(node, typed)
        if kind.fields is not None:
            return self._no_overload(node, "_[_]", [kind, STRING], receiver=False)
        return self._apply(node, "_[_]", typed, receiver=False)

    def made_list(self, node: ListNode) -> Typed:
        item: Type | None = None
        runs = []
        for at, child in enumerate(node.items):
            kind, run = self.compile(child)
            item = joined(item, kind.params[0] if at in node.optional and kind.params else kind)
            runs.append(run)
        return list_of(item or DYN), ev.made_list(runs, node.optional)

    def made_map(self, node: MapNode) -> Typed:
        key: Type | None = None
        value: Type | None = None
        runs = []
        for at, (name, child) in enumerate(node.entries):
            (name_kind, name_run), (kind, run) = self.compile(name), self.compile(child)
            key = joined(key, name_kind)
            value = joined(value, kind.params[0] if at in node.optional and kind.params else kind)
            runs.append((name_run, run))
        return map_of(key or DYN, value or DYN), ev.made_map(runs, node.optional)

    def made_struct(self, node: StructNode) -> Typed:
        kind = self._resolve(node.name)
        if kind is None or kind.fields is None:
            return self._issue(node, f"undeclared reference to '{node.name}' (in container '')")
        runs = []
        for at, (name, child) in enumerate(node.fields):
            given, run = self.compile(child)
            if at in node.optional and given.params:
                given = given.params[0]
            self._check_field(child, kind, name, given)
            runs.append((name, run))
        return kind, ev.made_struct(kind.name, runs, node.optional)

    def _check_field(self, node: Node, kind: Type, name: str, given: Type) -> None:
        assert kind.fields is not None
        known = kind.fields.get(name)
        if known is None:
            self._issue(node, f"undefined field '{name}'")
        elif not fits(given, known[1], {}):
            text = f"expected type of field '{name}' is '{known[1]}' but provided type is '{given}'"
            self._issue(node, text)

    def loop(self, node: Loop) -> Typed:
        kind, source = self.compile(node.range)
        key, item = _iterated(kind)
        if item is None:
            text = f"expression of type '{kind}' cannot be range of a comprehension (must be list, map, or dynamic)"
            return self._issue(node.range, text)
        first = key if node.second or kind.name == "map" else item
        scope = {node.variable: first, **({node.second: item} if node.second else {})}
        (body_kind, body), guard = self._inside(scope, node.body, node.guard)
        if node.kind in _BOOLEAN_LOOPS and body_kind not in (BOOL, DYN):
            shown = {"all": "_&&_", "exists": "_||_"}.get(node.kind, "_?_:_")
            return self._no_overload(node, shown, [BOOL, body_kind], receiver=False)
        run = ev.loop(node.kind, source, (node.variable, node.second), body, guard and guard[1])
        return _result(node.kind, key, first, body_kind), run

    def _inside(
        self, scope: Mapping[str, Type], body: Node, guard: Node | None
    ) -> tuple[Typed, Typed | None]:
        outer, self._scope = self._scope, {**self._scope, **scope}
        used = set(self.used)
        try:
            checked = self.compile(guard) if guard is not None else None
            return self.compile(body), checked
        finally:
            self._scope = outer
            self.used = used | (self.used - set(scope))

    def bind(self, node: Bind) -> Typed:
        kind, value = self.compile(node.value)
        inner = kind
        if node.optional:
            if kind.name not in ("optional", "dyn"):
                return self._no_overload(node, node.optional, [kind, DYN], receiver=True)
            inner = kind.params[0] if kind.params else DYN
        (body_kind, body), _ = self._inside({node.variable: inner}, node.body, None)
        result = optional_of(body_kind) if node.optional == "optMap" else body_kind
        return result, ev.bind(node.variable, value, body, node.optional)


def _accepts(function: Function, kinds: Sequence[Type], bound: Bindings) -> bool:
    params = function.signature.params
    if len(params) != len(kinds):
        return False
    return all(fits(kind, param, bound) for kind, param in zip(kinds, params, strict=True))


def _iterated(kind: Type) -> tuple[Type, Type | None]:
    """(type of the first variable of two, type of an item); no item: it cannot be walked."""
    if kind.name == "list":
        return INT, kind.params[0]
    if kind.name == "map":
        return kind.params[0], kind.params[1]
    return DYN, DYN if kind == DYN else None


def _result(kind: str, key: Type, item: Type, body: Type) -> Type:
    if kind in ("all", "exists", "exists_one"):
        return BOOL
    if kind == "filter":
        return list_of(item)
    if kind == "transformMap":
        return map_of(key, body)
    return body if kind == "transformMapEntry" else list_of(body)


_VISITORS: Final[dict[type[Node], Callable[[Compiler, Any], Typed]]] = {
    Literal: Compiler.literal,
    Ident: Compiler.ident,
    Select: Compiler.select,
    Call: Compiler.call,
    ListNode: Compiler.made_list,
    MapNode: Compiler.made_map,
    StructNode: Compiler.made_struct,
    Loop: Compiler.loop,
    Bind: Compiler.bind,
}
_SPECIAL: Final[dict[str, Callable[[Compiler, Any], Typed]]] = {
    "_||_": Compiler.logical,
    "_&&_": Compiler.logical,
    "_?_:_": Compiler.choice,
    "_[_]": Compiler.index,
    "_[?_]": Compiler.optional_index,
}
