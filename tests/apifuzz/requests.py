"""(P) Requests of a client that means no good: paths, parameters, headers and bodies, each mostly right.

All choices are those of the `random.Random` given.
"""

from __future__ import annotations

from functools import cache
from random import Random
from typing import Any, Final
from urllib.parse import quote

import cbor2
import yaml

from apiserver.registry.table import Resource
from apiserver.schema.schemas import Schemas
from tests.apifuzz import documents, pools, seeds
from tests.apifuzz.wire import Request

TOKEN: Final = ("Authorization", "Bearer admintoken")
_NOT_ASKED: Final = frozenset({"proxy", "exec", "attach", "portforward"})


@cache
def _schemas() -> Schemas:
    return Schemas.load()


def request(rng: Random) -> Request:
    """One of the three kinds of requests below."""
    return rng.choice(
        (_like_a_seed, _like_a_seed, _of_a_resource, _of_a_resource, _of_a_resource, _anywhere)
    )(rng)


def _like_a_seed(rng: Random) -> Request:
    """A request that a real server was sent, with changes."""
    seed = rng.choice(seeds.seeds())
    headers = dict([TOKEN]) | {"Content-Type": pools.JSON} | seed.headers
    if isinstance(seed.body, str):
        body = seed.body.encode()
    elif seed.body is None:
        body = b""
    else:
        body = documents.raw(rng, documents.mutated(rng, seed.body) if rng.random() < 0.8 else seed.body)
    target = seed.path + (f"?{seed.query}" if seed.query else "")
    return _finished(rng, seed.method, target, headers, body)


def _of_a_resource(rng: Random) -> Request:
    """Any verb on any kind, with a body after its schema."""
    resource = rng.choice(seeds.resources())
    method = rng.choice(("GET", "POST", "POST", "PUT", "PATCH", "PATCH", "DELETE"))
    path, kind = _path(rng, resource, method)
    headers = dict([TOKEN])
    body = b""
    if method in ("POST", "PUT", "PATCH") or rng.random() < 0.1:
        media_type = rng.choice(pools.PATCHES if method == "PATCH" else pools.BODIES)
        headers["Content-Type"] = media_type
        body = _body(rng, kind, media_type)
    return _finished(rng, method, path, headers, body)


def _path(rng: Random, resource: Resource, method: str) -> tuple[str, Any]:
    """(path, kind of the body)"""
    path = seeds.collection(resource, "default" if rng.random() < 0.95 else rng.choice(("fuzz", "")))
    if rng.random() < {"POST": 0.9, "GET": 0.5, "DELETE": 0.1}.get(method, 0.0):
        return path, resource.gvk
    path += "/" + _name(rng)
    parts = [name for name in resource.subresources if name not in _NOT_ASKED]
    if parts and rng.random() < 0.3:
        part = rng.choice(parts)
        return f"{path}/{part}", resource.subresources[part].gvk
    return path, resource.gvk


def _name(rng: Random) -> str:
    return pools.NAMES[0] if rng.random() < 0.8 else rng.choice(pools.NAMES)


def _body(rng: Random, kind: Any, media_type: str) -> bytes:
    known = seeds.bodies().get(kind.kind)
    if known and rng.random() < 0.5:
        value = documents.mutated(rng, rng.choice(known))
    else:
        value = documents.document(rng, _schemas().type_of(kind))
    if isinstance(value, dict) and rng.random() < 0.9:
        metadata = value.get("metadata")
        named = {**(metadata if isinstance(metadata, dict) else {}), "name": _name(rng)}
        value = {**value, "kind": kind.kind, "apiVersion": kind.group_version, "metadata": named}
    if media_type == "application/json-patch+json":
        return documents.raw(rng, [_operation(rng, value) for _ in range(rng.randint(0, 4))])
    if media_type == "application/strategic-merge-patch+json":
        return documents.raw(rng, _directed(rng, value))
    return _ENCODE.get(media_type, documents.raw)(rng, value)


def _yaml(rng: Random, value: Any) -> bytes:
    match rng.randint(0, 9):
        case 0:
            return rng.choice(pools.YAMLS)
        case 1:
            return documents.raw(rng, value)
    return yaml.safe_dump(value, allow_unicode=rng.random() < 0.5).encode("utf-8", "replace")


def _cbor(rng: Random, value: Any) -> bytes:
    match rng.randint(0, 4):
        case 0:
            return rng.choice(pools.CBORS)
        case 1:
            data = cbor2.dumps(value)
            at = rng.randint(0, len(data))
            return data[:at] + bytes([rng.randint(0, 255)]) + data[at + 1 :]
    return cbor2.dumps(value)


def _protobuf(rng: Random, value: Any) -> bytes:
    tail = bytes(rng.randint(0, 255) for _ in range(rng.randint(0, 40)))
    if rng.random() < 0.3:
        return b"k8s\x00" + tail
    kind = str(value.get("kind", "")) if isinstance(value, dict) else "Pod"
    version = str(value.get("apiVersion", "")) if isinstance(value, dict) else "v1"
    meta = _field(1, version.encode()) + _field(2, kind.encode())
    inner = _field(1, _field(1, rng.choice(pools.NAMES).encode())) + rng.choice(
        (b"", _field(2, tail), _field(3, tail), tail)
    )
    return b"k8s\x00" + _field(1, meta) + _field(2, inner)


def _field(number: int, data: bytes) -> bytes:
    length = len(data)
    size = bytes([length]) if length < 128 else bytes([length & 0x7F | 0x80, length >> 7])
    return bytes([number << 3 | 2]) + size + data


_ENCODE: Final = {pools.YAML: _yaml, pools.CBOR: _cbor, pools.PROTOBUF: _protobuf, pools.PATCHES[3]: _yaml}


def _operation(rng: Random, value: Any) -> Any:
    """Of a JSON patch."""
    if rng.random() < 0.05:
        return documents.scalar(rng)
    step: dict[str, Any] = {
        "op": rng.choice(("add", "remove", "replace", "move", "copy", "test", "x")),
        "path": rng.choice(pools.POINTERS),
        "from": rng.choice(pools.POINTERS),
        "value": rng.choice((value, documents.scalar(rng))),
    }
    if rng.random() < 0.2:
        step[rng.choice(list(step))] = documents.scalar(rng)
    if rng.random() < 0.1:
        del step[rng.choice(list(step))]
    return step


def _directed(rng: Random, value: Any) -> Any:
    """With directives of a strategic merge patch strewn in."""
    if isinstance(value, list):
        return [_directed(rng, item) for item in value]
    if not isinstance(value, dict):
        return value
    result = {key: _directed(rng, item) for key, item in value.items() if rng.random() < 0.9}
    if rng.random() < 0.25:
        directive = rng.choice(pools.DIRECTIVES)
        name = rng.choice(list(value) or ["x"]) if directive.endswith("/") else ""
        known = ("delete", "replace", "merge", list(value), [{"name": "a"}, {"name": "b"}], value.get(name))
        result[directive + str(name)] = rng.choice((*known, documents.scalar(rng)))
    return result


def _anywhere(rng: Random) -> Request:
    """Any method on a place that need not be one."""
    resource = rng.choice(seeds.resources())
    path = rng.choice(
        (rng.choice(pools.PLACES), seeds.collection(resource), seeds.collection(resource) + "/fuzz")
    )
    parts = path.split("/")
    for _ in range(rng.randint(0, 2)):
        parts.insert(rng.randint(1, len(parts)), rng.choice(pools.SEGMENTS))
    path = "/".join(parts)
    body = rng.choice(documents.WHOLE) if rng.random() < 0.2 else b""
    return _finished(rng, rng.choice(pools.METHODS), path, dict([TOKEN]), body)


def _finished(rng: Random, method: str, target: str, headers: dict[str, str], body: bytes) -> Request:
    """With parameters and headers that may be odd."""
    if rng.random() < 0.3:
        names = rng.sample(list(pools.QUERY), rng.randint(1, 3))
        pairs = "&".join(f"{name}={quote(rng.choice(pools.QUERY[name]))}" for name in names)
        target += ("&" if "?" in target else "?") + pairs
    if rng.random() < 0.05:
        target += rng.choice(
            ("?", "?a", "?&&", "?%ff=%fe", "?a=%zz", "?a=b;c=d", "?" + "a=b&" * 500, "#x", "?limit=1&limit=x")
        )
    if rng.random() < 0.2:
        headers["Accept"] = rng.choice(pools.ACCEPT)
    if rng.random() < 0.03:
        headers["Content-Type"] = rng.choice(pools.CONTENT_TYPES)
    if rng.random() < 0.05:
        headers["Authorization"] = rng.choice(pools.AUTHORIZATION)
    if rng.random() < 0.1:
        headers[rng.choice(("Accept-Encoding", "Content-Encoding"))] = rng.choice(pools.ENCODINGS)
    if rng.random() < 0.05:
        headers[rng.choice(("If-None-Match", "Upgrade", "Expect", "Impersonate-User", "Range"))] = rng.choice(
            documents.TEXTS
        )
    encoded = tuple((name.encode(), _clean(value)) for name, value in headers.items())
    return Request(method, _clean(target).replace(b" ", b"%20"), encoded, body)


def _clean(text: str) -> bytes:
    """Nothing that would end the line: smuggling whole requests is the HTTP library's matter."""
    return text.encode("utf-8", "surrogatepass").replace(b"\r", b"").replace(b"\n", b"").replace(b"\x00", b"")
