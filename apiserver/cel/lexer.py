"""(P) Tokens of an expression. Source: the CEL language definition, "Syntax"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from apiserver.cel.syntax import CompileError, Issue
from apiserver.cel.values import UInt

_SPACE: Final = re.compile(r"(?:[ \t\r\n\f]+|//[^\n]*)*")
_NUMBER: Final = re.compile(
    r"(?P<float>(?:\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?))|(?P<int>0x[0-9a-fA-F]+|\d+)(?P<u>[uU]?)"
)
_IDENT: Final = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*|`[a-zA-Z0-9_.\-/ ]+`")
_STRING: Final = re.compile(r"(?P<prefix>[rRbB]{0,2})(?P<quote>\"\"\"|'''|\"|')")
_SYMBOL: Final = re.compile(r"&&|\|\||==|!=|<=|>=|\[\?|\.\?|[-+*/%!?:.,()\[\]{}<>]")
_SIMPLE: Final = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
    "\\": "\\", "'": "'", '"': '"', "`": "`", "?": "?",
}  # fmt: skip
_ESCAPE: Final = re.compile(
    r"\\(?:(?P<simple>[abfnrtv\\'\"`?])|[xX](?P<hex>[0-9a-fA-F]{2})|u(?P<u4>[0-9a-fA-F]{4})|U(?P<u8>[0-9a-fA-F]{8})"
    r"|(?P<oct>[0-3][0-7]{2}))",
)
RESERVED: Final = frozenset(
    {
        *("as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop"),
        *("package", "namespace", "return", "var", "void", "while"),
    }
)


@dataclass(frozen=True, slots=True)
class Token:
    """``kind``: symbol, ident, literal, end."""

    kind: str
    text: str
    offset: int
    value: Any = None


def tokens(text: str) -> list[Token]:
    """Raises CompileError."""
    found, at = [], _skip(text, 0)
    while at < len(text):
        token, at = _next(text, at)
        found.append(token)
        at = _skip(text, at)
    found.append(Token("end", "<EOF>", len(text)))
    return found


def _skip(text: str, at: int) -> int:
    matched = _SPACE.match(text, at)
    return matched.end() if matched else at


def _next(text: str, at: int) -> tuple[Token, int]:
    string = _STRING.match(text, at)
    if string is not None:
        return _string(text, at, string)
    number = _NUMBER.match(text, at)
    if number is not None:
        return Token("literal", number[0], at, _number(text, number)), number.end()
    ident = _IDENT.match(text, at)
    if ident is not None:
        return Token("ident", ident[0], at), ident.end()
    symbol = _SYMBOL.match(text, at)
    if symbol is None:
        raise _syntax(text, at, f"token recognition error at: '{text[at]}'")
    return Token("symbol", symbol[0], at), symbol.end()


def _syntax(text: str, at: int, message: str) -> CompileError:
    return CompileError(text, [Issue(at, f"Syntax error: {message}")])


def _number(text: str, found: re.Match[str]) -> Any:
    if found["float"] is not None:
        return float(found["float"])
    value = int(found["int"], 16 if found["int"].startswith("0x") else 10)
    if found["u"]:
        if value >= 2**64:
            raise CompileError(text, [Issue(found.start(), "invalid uint literal")])
        return UInt(value)
    if value > 2**63:  # the sign of the lowest integer comes later
        raise CompileError(text, [Issue(found.start(), "invalid int literal")])
    return value


def _string(text: str, at: int, start: re.Match[str]) -> tuple[Token, int]:
    quote, raw = start["quote"], "r" in start["prefix"].lower()
    end = _end(text, start.end(), quote, raw)
    if end < 0 or (len(quote) == 1 and "\n" in text[start.end() : end]):
        raise _syntax(text, at, f"token recognition error at: '{text[at:]}'")
    body = text[start.end() : end]
    binary = "b" in start["prefix"].lower()
    plain = body if raw else _unescaped(text, body, at, binary)
    value: Any = plain.encode("utf-8", "surrogateescape") if binary else plain
    return Token("literal", text[at : end + len(quote)], at, value), end + len(quote)


def _end(text: str, at: int, quote: str, raw: bool) -> int:
    while at < len(text):
        if text.startswith(quote, at):
            return at
        at += 2 if text[at] == "\\" and not raw else 1
    return -1


def _unescaped(text: str, body: str, at: int, binary: bool) -> str:
    parts, position = [], 0
    while (slash := body.find("\\", position)) >= 0:
        found = _ESCAPE.match(body, slash)
        if found is None:
            raise _syntax(text, at, f"token recognition error at: '{body[slash : slash + 2]}'")
        parts += [body[position:slash], _escape(found, binary)]
        position = found.end()
    return "".join(parts) + body[position:]


def _escape(found: re.Match[str], binary: bool) -> str:
    if found["simple"] is not None:
        return _SIMPLE[found["simple"]]
    code = next(
        int(found[name], base)
        for name, base in (("hex", 16), ("u4", 16), ("u8", 16), ("oct", 8))
        if found[name] is not None
    )
    if binary and (found["hex"] or found["oct"]):
        return bytes([code]).decode("utf-8", "surrogateescape")
    return chr(min(code, 0x10FFFF))
