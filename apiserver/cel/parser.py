"""(P) From tokens to nodes, by precedence; macros become loops here.

Depth is bounded: an expression nested deeper than `MAX_DEPTH` is refused, so that nothing after this can run
out of stack. Source: the CEL language definition, "Syntax" and "Macros".
"""

from __future__ import annotations

from typing import Final

from apiserver.cel.lexer import RESERVED, Token, tokens
from apiserver.cel.syntax import (
    Bind,
    Call,
    CompileError,
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

MAX_DEPTH: Final = 100
MAX_LENGTH: Final = 100_000
_BINARY: Final = (
    ("||",),
    ("&&",),
    ("<", "<=", ">=", ">", "==", "!=", "in"),
    ("+", "-"),
    ("*", "/", "%"),
)
_LITERALS: Final = {"true": True, "false": False, "null": None}
_LOOPS: Final = {
    # (macro, arguments): (kind, variables)
    ("all", 2): ("all", 1),
    ("exists", 2): ("exists", 1),
    ("exists_one", 2): ("exists_one", 1),
    ("existsOne", 2): ("exists_one", 1),
    ("map", 2): ("map", 1),
    ("map", 3): ("map", 1),
    ("filter", 2): ("filter", 1),
    ("all", 3): ("all", 2),
    ("exists", 3): ("exists", 2),
    ("exists_one", 3): ("exists_one", 2),
    ("existsOne", 3): ("exists_one", 2),
    ("transformList", 3): ("transformList", 2),
    ("transformList", 4): ("transformList", 2),
    ("transformMap", 3): ("transformMap", 2),
    ("transformMap", 4): ("transformMap", 2),
    ("transformMapEntry", 3): ("transformMapEntry", 2),
    ("transformMapEntry", 4): ("transformMapEntry", 2),
}


def parse(text: str) -> Node:
    """Raises CompileError."""
    if len(text) > MAX_LENGTH:
        raise CompileError(
            text[:50], [Issue(0, f"expression code point size exceeds limit: size: {len(text)}")]
        )
    parser = _Parser(text)
    node = parser.expression()
    parser.expect_end()
    return node


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokens(text)
        self._at = 0
        self._depth = 0

    @property
    def _now(self) -> Token:
        return self._tokens[self._at]

    def _take(self) -> Token:
        token = self._now
        self._at += 1
        return token

    def _is(self, *symbols: str) -> bool:
        token = self._now
        return token.text in symbols and (token.kind == "symbol" or token.text == "in")

    def _accept(self, symbol: str) -> Token | None:
        return self._take() if self._is(symbol) else None

    def _expect(self, symbol: str) -> Token:
        if not self._is(symbol):
            raise self._unexpected(f"expecting '{symbol}'")
        return self._take()

    def _unexpected(self, wanted: str = "") -> CompileError:
        token = self._now
        words = f"mismatched input '{token.text}' {wanted}" if wanted else f"unexpected '{token.text}'"
        return CompileError(self._text, [Issue(token.offset, f"Syntax error: {words}")])

    def _error(self, offset: int, message: str) -> CompileError:
        return CompileError(self._text, [Issue(offset, message)])

    def expect_end(self) -> None:
        if self._now.kind != "end":
            raise self._unexpected("expecting <EOF>")

    def expression(self) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._error(self._now.offset, f"expression recursion limit exceeded: {MAX_DEPTH}")
        condition = self._binary(0)
        question = self._accept("?")
        if question is not None:
            chosen = self._binary(0)
            self._expect(":")
            condition = Call(question.offset, "_?_:_", [condition, chosen, self.expression()])
        self._depth -= 1
        return condition

    def _binary(self, lowest: int) -> Node:
        """Operators that bind at least as tightly as `lowest`, by precedence climbing."""
        left = self._unary()
        while (level := self._level()) >= lowest:
            operator = self._take()
            name = "@in" if operator.text == "in" else f"_{operator.text}_"
            right = self._binary(level + 1)
            if name in ("_||_", "_&&_") and isinstance(left, Call) and left.name == name:
                left.args.append(right)
            else:
                left = Call(operator.offset, name, [left, right])
                self._bound(left)
        return left

    def _level(self) -> int:
        """How tightly the operator here binds, -1 if there is none."""
        if self._now.kind == "literal":
            return -1
        return next((level for level, group in enumerate(_BINARY) if self._is(*group)), -1)

    def _bound(self, node: Node) -> None:
        """Chains of operators nest to the left."""
        depth = 0
        while isinstance(node, Call) and node.args and node.target is None:
            node, depth = node.args[0], depth + 1
        if depth > 2 * MAX_DEPTH:
            raise self._error(node.offset, f"expression recursion limit exceeded: {2 * MAX_DEPTH}")

    def _unary(self) -> Node:
        start, signs = self._now.offset, 0
        operator = self._now.text if self._is("!", "-") else ""
        while operator and self._is(operator):
            self._take()
            signs += 1
        node = self._member(negative=operator == "-" and signs % 2 == 1)
        if not signs % 2 or (operator == "-" and isinstance(node, Literal) and self._negated(node)):
            return node
        return Call(start, "!_" if operator == "!" else "-_", [node])

    def _negated(self, node: Literal) -> bool:
        """The sign of a number belongs to it."""
        if isinstance(node.value, int | float) and not isinstance(node.value, bool):
            node.value = -node.value
            return True
        return False

    def _member(self, *, negative: bool) -> Node:
        node, steps = self._primary(negative=negative), 0
        while self._is(".", ".?", "[", "[?", "{"):
            name = _qualified(node) if self._is("{") else None
            if self._is("{") and name is None:
                break
            steps += 1
            if steps > 2 * MAX_DEPTH:
                raise self._error(self._now.offset, f"expression recursion limit exceeded: {2 * MAX_DEPTH}")
            symbol = self._take()
            if name is not None:
                node = self._struct(node.offset, name)
            elif symbol.text in ("[", "[?"):
                index = self.expression()
                self._expect("]")
                node = Call(symbol.offset, "_[_]" if symbol.text == "[" else "_[?_]", [node, index])
            else:
                node = self._selected(node, symbol)
        return node

    def _selected(self, target: Node, symbol: Token) -> Node:
        if self._now.kind != "ident":
            raise self._unexpected("expecting IDENTIFIER")
        name = self._take()
        if symbol.text == ".?":
            return Select(symbol.offset, target, name.text.strip("`"), optional=True)
        if self._is("("):
            opened = self._take()
            return self._method(target, name, opened, self._arguments(")"))
        return Select(symbol.offset, target, name.text.strip("`"))

    def _arguments(self, closing: str) -> list[Node]:
        found: list[Node] = []
        while not self._is(closing):
            found.append(self.expression())
            if not self._accept(","):
                break
        self._expect(closing)
        return found

    def _primary(self, *, negative: bool) -> Node:
        token = self._now
        if token.kind == "literal":
            if token.value == 2**63 and type(token.value) is int and not negative:
                raise self._error(token.offset, "invalid int literal")
            return Literal(self._take().offset, token.value)
        if self._accept("("):
            node = self.expression()
            self._expect(")")
            return node
        if self._is("[", "[?"):
            return self._list(self._take())
        if self._accept("{"):
            return self._map(token.offset)
        leading = self._accept(".")
        if self._now.kind != "ident" or self._now.text == "in":
            raise self._unexpected()
        return self._identifier(leading is not None)

    def _identifier(self, rooted: bool) -> Node:
        name = self._take()
        if name.text in _LITERALS and not rooted:
            return Literal(name.offset, _LITERALS[name.text])
        if name.text in RESERVED:
            raise self._error(name.offset, f"Syntax error: reserved identifier: {name.text}")
        if self._is("("):
            self._take()
            return self._function(name, self._arguments(")"))
        return Ident(name.offset, name.text)

    def _list(self, opened: Token) -> Node:
        items: list[Node] = []
        optional: set[int] = {0} if opened.text == "[?" else set()
        while not self._is("]"):
            if self._accept("?"):
                optional.add(len(items))
            items.append(self.expression())
            if not self._accept(","):
                break
        self._expect("]")
        return ListNode(opened.offset, items, frozenset(optional))

    def _map(self, offset: int) -> Node:
        entries: list[tuple[Node, Node]] = []
        optional: set[int] = set()
        while not self._is("}"):
            if self._accept("?"):
                optional.add(len(entries))
            key = self.expression()
            self._expect(":")
            entries.append((key, self.expression()))
            if not self._accept(","):
                break
        self._expect("}")
        return MapNode(offset, entries, frozenset(optional))

    def _struct(self, offset: int, type_name: str) -> Node:
        fields: list[tuple[str, Node]] = []
        optional: set[int] = set()
        while not self._is("}"):
            if self._accept("?"):
                optional.add(len(fields))
            if self._now.kind != "ident":
                raise self._unexpected("expecting IDENTIFIER")
            name = self._take().text.strip("`")
            self._expect(":")
            fields.append((name, self.expression()))
            if not self._accept(","):
                break
        self._expect("}")
        return StructNode(offset, type_name, fields, frozenset(optional))

    def _function(self, name: Token, args: list[Node]) -> Node:
        if name.text != "has":
            return Call(name.offset, name.text, args)
        if len(args) != 1 or not isinstance(args[0], Select) or args[0].optional:
            raise self._error(name.offset, "invalid argument to has() macro")
        args[0].test = True
        return args[0]

    def _method(self, target: Node, name: Token, opened: Token, args: list[Node]) -> Node:
        loop = _LOOPS.get((name.text, len(args)))
        if loop is not None:
            return self._loop(target, *loop, args, opened.offset)
        if name.text in ("optMap", "optFlatMap") and len(args) == 2:
            variable = self._variable(args[0])
            return Bind(opened.offset, variable, target, args[1], optional=name.text)
        if isinstance(target, Ident) and (target.name, name.text, len(args)) == ("cel", "bind", 3):
            return Bind(opened.offset, self._variable(args[0]), args[1], args[2])
        return Call(opened.offset, name.text, args, target)

    def _variable(self, node: Node) -> str:
        if not isinstance(node, Ident):
            raise self._error(node.offset, "argument must be a simple name")
        return node.name

    def _loop(self, target: Node, kind: str, variables: int, args: list[Node], offset: int) -> Node:
        names = [self._variable(arg) for arg in args[:variables]]
        rest = args[variables:]
        guard = rest[0] if len(rest) == 2 else None
        second = names[1] if variables == 2 else ""
        return Loop(offset, kind, target, names[0], rest[-1], second, guard)


def _qualified(node: Node) -> str | None:
    """``a.b.c`` of a name with dots; None for any other expression."""
    parts: list[str] = []
    while isinstance(node, Select) and not (node.test or node.optional):
        parts.append(node.name)
        node = node.target
    return ".".join([node.name, *reversed(parts)]) if isinstance(node, Ident) else None
