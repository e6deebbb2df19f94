"""YAML as Go's ``sigs.k8s.io/yaml`` writes it: keys in its order, texts quoted where it quotes them. Pure.

Both emitters descend from libyaml, so lines break alike; what differs is which texts are quoted and how: double
quotes for what a reader might take for another type, a literal block for several lines, plain otherwise.
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import cache
from typing import Any, Final

_WORDS: Final = frozenset(
    word
    for base in (
        "y",
        "yes",
        "true",
        "on",
        "n",
        "no",
        "false",
        "off",
        "null",
        ".nan",
        ".inf",
        "+.inf",
        "-.inf",
    )
    for word in (base, base.capitalize(), base.upper())
) | {"", "~", "<<", ".NaN", ".Inf", "+.Inf", "-.Inf"}
_NUMBERS: Final = (
    re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"),  # after underscores are taken out
    re.compile(r"[-+]?0[xX][0-9a-fA-F]+"),
    re.compile(r"[-+]?0[oO]?[0-7]+"),
    re.compile(r"[-+]?0[bB][01]+"),
)
_BASE_60: Final = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?")
_DATE: Final = r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}"
_CLOCK: Final = r"[0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2}(\.[0-9]+)?"
_TIMES: Final = re.compile(rf"{_DATE}([Tt]{_CLOCK}(Z|[-+][0-9]{{2}}:[0-9]{{2}})| {_CLOCK})?")


def dump(value: Any) -> bytes:
    """A decoded JSON value as a YAML document."""
    import yaml

    text: str = yaml.dump(
        value, Dumper=_dumper(), allow_unicode=True, sort_keys=False, default_flow_style=False
    )
    return text.encode()


def ambiguous(text: str) -> bool:
    """Whether a reader of the plain text would take it for something else than text."""
    if text in _WORDS:
        return True
    if text[0] not in "+-.0123456789":
        return False
    bare = text.replace("_", "")
    return (
        any(number.fullmatch(bare) for number in _NUMBERS)
        or _TIMES.fullmatch(text) is not None
        or _BASE_60.fullmatch(text) is not None
    )


def key_order(text: str) -> list[tuple[int, int, int, str]]:
    """Sort key of a field name: digits count as numbers and come before letters, other signs before both."""
    order: list[tuple[int, int, int, str]] = []
    at = 0
    while at < len(text):
        char = text[at]
        if _is_digit(char):
            end = at
            while end < len(text) and _is_digit(text[end]):
                end += 1
            order.append((0, _number(text[at:end]), end - at, char))
            at = end
            continue
        order.append((1 if char.isalpha() else 0, 0, 0, char))
        at += 1
    return order


def _is_digit(char: str) -> bool:
    return "0" <= char <= "9"


def _number(digits: str) -> int:
    """As Go's int64 has it after an overflow."""
    value = 0
    for digit in digits:
        value = value * 10 + int(digit) & 0xFFFF_FFFF_FFFF_FFFF
    return value - (1 << 64) if value >> 63 else value


@cache
def _dumper() -> Any:
    """The class, made on first use: importing yaml costs more than everything else here."""
    import yaml

    base: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

    class Dumper(base):  # type: ignore[misc]  # its base is chosen at run time
        yaml_implicit_resolvers: dict[str, Any] = {}  # every plain scalar is text to the emitter

        def ignore_aliases(self, data: Any) -> bool:
            return True

    def scalar(dumper: Any, text: str, style: str | None = None) -> Any:
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    def of_text(dumper: Any, text: str) -> Any:
        style = "|" if "\n" in text else '"' if ambiguous(text) else None
        return scalar(dumper, text, style)

    def of_map(dumper: Any, value: dict[str, Any]) -> Any:
        items = sorted(value.items(), key=lambda item: key_order(item[0]))
        return dumper.represent_mapping("tag:yaml.org,2002:map", items)

    Dumper.add_representer(str, of_text)
    Dumper.add_representer(dict, of_map)
    Dumper.add_representer(bool, lambda dumper, value: scalar(dumper, "true" if value else "false"))
    Dumper.add_representer(int, lambda dumper, value: scalar(dumper, str(value)))
    Dumper.add_representer(float, lambda dumper, value: scalar(dumper, _float(value)))
    Dumper.add_representer(type(None), lambda dumper, _: scalar(dumper, "null"))
    return Dumper


def _float(value: float) -> str:
    """As Go's ``strconv.FormatFloat(value, 'g', -1, 64)``."""
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(exponent, int)  # JSON has neither infinities nor NaN
    power = len(digits) + exponent - 1
    shown = "".join(map(str, digits))
    if -4 <= power < max(6, 21 if len(digits) > power else 6):
        return format(Decimal((sign, digits, exponent)), "f")
    mantissa = shown[0] + ("." + shown[1:] if len(shown) > 1 else "")
    return f"{'-' if sign else ''}{mantissa}e{'-' if power < 0 else '+'}{abs(power):02d}"
