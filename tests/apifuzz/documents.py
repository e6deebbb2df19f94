"""(P) JSON documents that are nearly right: built after a type of the schemas, or mutated from one that was sent.

All choices are those of the `random.Random` given: Hypothesis's, which shrinks, or a seeded one.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from random import Random
from typing import Any, Final

from apiserver.schema.types import ApiType, Kind
from tests.apifuzz import seeds

DEEPEST: Final = 7
TEXTS: Final = (
    *(
        "",
        "a",
        "web",
        "default",
        "x/y",
        "a/b/c",
        "UPPER",
        "-",
        ".",
        "..",
        "a.b",
        "0",
        "1",
        "-1",
        "80",
        "1Gi",
        "100m",
    ),
    *(
        "50%",
        "1e400",
        "9" * 30,
        "127.0.0.1",
        "::1",
        "10.96.0.300",
        "fd00::/8",
        "2020-01-01T00:00:00Z",
        "0000-00-00",
    ),
    *(
        "9999-12-31T23:59:59Z",
        "* * * * *",
        "TZ=x * * * * *",
        "é",
        "\u0000",
        "\ud7ff",
        "😀",
        "a" * 64,
        "a" * 300,
    ),
    *("$(X)", "%s%d", "{}", "[]", "null", "true", "\n", "a\tb", "/etc/../x", "C:\\", "YQ==", "YQ=", "!"),
)
NUMBERS: Final = (
    *(
        0,
        1,
        -1,
        2,
        3,
        80,
        65535,
        65536,
        2**31 - 1,
        2**31,
        -(2**31) - 1,
        2**53,
        2**63 - 1,
        2**63,
        -(2**63),
        10**30,
    ),
    *(0.5, -0.0, 1e300, 1.5, 1e18),
)
ODD: Final = (
    None,
    True,
    False,
    {},
    [],
    [[]],
    [None],
    {"": None},
    [{}],
    {"a": {"b": {"c": []}}},
    *NUMBERS,
    *TEXTS,
)


def scalar(rng: Random) -> Any:
    return deepcopy(rng.choice(ODD))


def document(rng: Random, api_type: ApiType | None, name: str = "", depth: int = 0) -> Any:
    """After the type; one value in a few is of another one."""
    if api_type is None or rng.random() < 0.03:
        return scalar(rng)
    known = seeds.values().get(name)
    if known and rng.random() < 0.4:
        return deepcopy(rng.choice(known))
    return _MAKE[api_type.kind](rng, api_type, depth)


def _struct(rng: Random, api_type: ApiType, depth: int) -> Any:
    names = list(api_type.fields)
    if not names or depth > DEEPEST:
        return {}
    chosen = rng.sample(names, rng.randint(0, min(4, len(names))))
    wanted = [name for name in names if name in api_type.required and rng.random() < 0.9]
    return {
        name: document(rng, api_type.fields[name].type, name, depth + 1)
        for name in dict.fromkeys([*wanted, *chosen])
    }


def _list(rng: Random, api_type: ApiType, depth: int) -> Any:
    return [
        document(rng, api_type.item, "", depth + 1)
        for _ in range(rng.randint(0, 3 if depth < DEEPEST else 0))
    ]


def _map(rng: Random, api_type: ApiType, depth: int) -> Any:
    return {rng.choice(TEXTS): document(rng, api_type.item, "", depth + 1) for _ in range(rng.randint(0, 2))}


def _text(rng: Random, api_type: ApiType, depth: int) -> Any:
    return rng.choice(TEXTS)


def _number(rng: Random, api_type: ApiType, depth: int) -> Any:
    return rng.choice(NUMBERS)


def _boolean(rng: Random, api_type: ApiType, depth: int) -> Any:
    return rng.random() < 0.5


def _any(rng: Random, api_type: ApiType, depth: int) -> Any:
    return scalar(rng)


_MAKE: Final[dict[Kind, Callable[[Random, ApiType, int], Any]]] = {
    Kind.STRUCT: _struct,
    Kind.LIST: _list,
    Kind.MAP: _map,
    Kind.INTEGER: _number,
    Kind.NUMBER: _number,
    Kind.BOOLEAN: _boolean,
    Kind.INT_OR_STRING: _any,
    Kind.ANY: _any,
    Kind.STRING: _text,
    Kind.BYTES: _text,
    Kind.TIME: _text,
    Kind.MICRO_TIME: _text,
    Kind.QUANTITY: _any,
}


def mutated(rng: Random, value: Any) -> Any:
    """A copy with one to three changes somewhere inside."""
    root = [deepcopy(value)]
    for _ in range(rng.randint(1, 3)):
        _change(rng, *rng.choice(_places(root)))
    return root[0]


def inflated(rng: Random, value: Any) -> Any:
    """A copy in which one value is very large."""
    root = [deepcopy(value)]
    container, key = rng.choice(_places(root))
    inner, times = container[key], rng.choice((100, 3000, 30_000))
    if isinstance(inner, list):
        container[key] = inner * times if inner else [scalar(rng)] * times
    elif isinstance(inner, dict):
        inner |= {f"k{n}": rng.choice(list(inner.values()) or [None]) for n in range(times)}
    else:
        container[key] = str(inner) * times
    return root[0]


def _places(root: Any) -> list[tuple[Any, Any]]:
    """(container, key or index) of every value in it."""
    found: list[tuple[Any, Any]] = []
    waiting = [root]
    while waiting:
        inner = waiting.pop()
        keys = list(inner) if isinstance(inner, dict) else list(range(len(inner)))
        found += [(inner, key) for key in keys]
        waiting += [inner[key] for key in keys if isinstance(inner[key], dict | list)]
    return found


def _change(rng: Random, container: Any, key: Any) -> None:
    known = seeds.values().get(key) if isinstance(key, str) else None
    match rng.randint(0, 5):
        case 0 if known:
            container[key] = deepcopy(rng.choice(known))
        case 1 if isinstance(container, dict):
            del container[key]
        case 2 if isinstance(container, list):
            container.append(deepcopy(container[key]))
        case 3 if isinstance(container[key], list):
            container[key].append(scalar(rng))
        case 4 if isinstance(container[key], dict):
            name = rng.choice(list(seeds.values()))
            container[key][name] = deepcopy(rng.choice(seeds.values()[name]))
        case _:
            container[key] = scalar(rng)


def raw(rng: Random, value: Any) -> bytes:
    """As JSON bytes, now and then such as no encoder writes."""
    if rng.random() < 0.01:
        value = inflated(rng, value)
    data = json.dumps(value, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")
    match rng.randint(0, 19):
        case 0:
            at = rng.randint(0, len(data))
            return data[:at] + rng.choice(DAMAGE) + data[at:]
        case 1:
            return data[: rng.randint(0, len(data))]
        case 2:
            return rng.choice(WHOLE)
    return data


DAMAGE: Final = (
    *(
        b"\xff",
        b"\xc3",
        b"\x00",
        b"\xed\xa0\x80",
        b"\\ud800",
        b"NaN",
        b"-Infinity",
        b"1e999",
        b"9" * 5000,
        b"," * 2,
    ),
    *(
        b'"a":1,"a":2,',
        b"{" * 50,
        b"[" * 2000,
        b'"' + b"x" * 5000 + b'"',
        b"\xef\xbb\xbf",
        b"-0",
        b"01",
        b"1.0",
    ),
)
WHOLE: Final = (
    *(
        b"",
        b"null",
        b"[]",
        b"{}",
        b"1",
        b'"x"',
        b"NaN",
        b"\xef\xbb\xbf{}",
        b"\xff\xfe{\x00}\x00",
        b" ",
        b"\x00",
    ),
    *(b"[" * 100_000, b'{"a":' * 50_000, b"[" * 400 + b"]" * 400, b"1" * 10_000, b"-" + b"9" * 5000),
    *(
        b'{"metadata":{"name":"a","name":"b"}}',
        b'{"kind":1,"apiVersion":[]}',
        b'{"metadata":[]}',
        b'{"spec":null}',
    ),
    *(b'{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"n"},"data":{"a":%b}}' % (b"9" * 4400),),
    *(
        b'{"metadata":{"name":"a","resourceVersion":"%b"}}' % (b"9" * 4400),
        b'{"metadata":{"labels":{"a":null}}}',
    ),
)
