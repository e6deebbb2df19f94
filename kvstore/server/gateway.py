"""The JSON gateway: POST /v3/... becomes a call of the same object that gRPC calls.

Paths and what they call are in `gateway.json`, as in etcd's .proto annotations; `web` adds the routes. Streaming
responses are lines of `{"result": ...}`. Errors become the HTTP status grpc-gateway gives their code. A caller is
known by its `Authorization` header only: as in etcd, a certificate's name does not count here.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from aiohttp import web
from aiohttp.http import HttpProcessingError
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from kvstore.errors import InvalidArgument, RequestTooLarge, StoreError
from kvstore.rpc.proto import rpc_pb2, v3election_pb2, v3lock_pb2
from kvstore.server import jsonpb

log = logging.getLogger(__name__)

BODY_SECONDS = 30.0
"""A unary request's body must be there in this time."""
BROKEN_BODY = (HttpProcessingError, web.RequestPayloadError, OSError)
"""What reading a body raises when its chunks or its compression are not what the headers say."""
PREFIXES = ("/v3/", "/v3beta/")
GRPC_CODES = {
    "CANCELLED": (1, 499),
    "UNKNOWN": (2, 500),
    "INVALID_ARGUMENT": (3, 400),
    "DEADLINE_EXCEEDED": (4, 504),
    "NOT_FOUND": (5, 404),
    "ALREADY_EXISTS": (6, 409),
    "PERMISSION_DENIED": (7, 403),
    "RESOURCE_EXHAUSTED": (8, 429),
    "FAILED_PRECONDITION": (9, 400),
    "ABORTED": (10, 409),
    "OUT_OF_RANGE": (11, 400),
    "UNIMPLEMENTED": (12, 501),
    "INTERNAL": (13, 500),
    "UNAVAILABLE": (14, 503),
    "DATA_LOSS": (15, 500),
    "UNAUTHENTICATED": (16, 401),
}
"""Name -> (number, HTTP status)."""


@dataclass(frozen=True)
class HttpCall:
    """The caller, as `kvstore.rpc` services see one."""

    token: str | None = None
    common_name: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    peer: str = "http"


class Unreadable(InvalidArgument):
    """The body is not the JSON of the request."""


@dataclass(frozen=True)
class Route:
    """`call` is a service's method: `(request, call)`, or `(requests, call)` for a stream of them."""

    request: type[Message]
    call: Callable[..., Any]
    client_stream: bool
    server_stream: bool
    ends_with_body: bool
    """False for watches: they go on when the client has said all it wants to."""


def routes(services: Mapping[str, object]) -> dict[str, Route]:
    """Path -> route, of the services that are there."""
    paths: dict[str, str] = json.loads(
        resources.files("kvstore.server").joinpath("gateway.json").read_bytes()
    )
    found = {}
    for path, target in paths.items():
        service, _, method = target.partition("/")
        function = getattr(services.get(service), method, None)
        if function is not None:
            descriptor = _descriptor(service, method)
            for prefix in PREFIXES:
                found[prefix + path.removeprefix("/v3/")] = Route(
                    GetMessageClass(descriptor.input_type),
                    function,
                    descriptor.client_streaming,
                    descriptor.server_streaming,
                    service != "etcdserverpb.Watch",
                )
    return found


def _descriptor(service: str, method: str) -> MethodDescriptor:
    for file in (rpc_pb2, v3lock_pb2, v3election_pb2):
        found = file.DESCRIPTOR.services_by_name.get(service.rpartition(".")[2])
        if found is not None and found.full_name == service:
            descriptor: MethodDescriptor = found.methods_by_name[method]
            return descriptor
    raise LookupError(f"{service} is in no .proto file")


def handler(route: Route, max_body: int) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        call = HttpCall(request.headers.get("Authorization"), metadata=_metadata(request))
        try:
            if route.server_stream:
                return await _stream(route, request, call, max_body)
            message = route.request()
            _fill(message, await _read(request, max_body))
            return json_response(jsonpb.to_json(await route.call(message, call)))
        except StoreError as error:
            return failure(error)

    return handle


def _metadata(request: web.Request) -> dict[str, str]:
    """What grpc-gateway passes on: headers that say they are gRPC's metadata."""
    prefix = "grpc-metadata-"
    found = ((key.lower(), value) for key, value in request.headers.items())
    return {key.removeprefix(prefix): value for key, value in found if key.startswith(prefix)}


def failure(error: StoreError) -> web.Response:
    number, status = GRPC_CODES.get(error.code, GRPC_CODES["UNKNOWN"])
    text = str(error)
    return json_response({"error": text, "code": number, "message": text}, status)


def json_response(document: object, status: int = 200) -> web.Response:
    """`document`: JSON text, or what becomes it. The content type has no charset, as etcd's."""
    if not isinstance(document, str):
        document = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    return web.Response(body=document.encode(), status=status, headers={"Content-Type": "application/json"})


async def _read(request: web.Request, max_body: int) -> bytes:
    """The whole body. Raises `RequestTooLarge`, `Unreadable`."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > max_body:
                    raise RequestTooLarge
    except TimeoutError as error:
        raise Unreadable(f"the request's body did not arrive within {BODY_SECONDS:.0f} s") from error
    except BROKEN_BODY as error:
        raise Unreadable("the request's body is broken") from error
    return bytes(body)


def _fill(message: Message, body: bytes) -> None:
    try:
        jsonpb.parse(jsonpb.first(body), message)
    except (ValueError, RecursionError) as error:
        raise Unreadable(str(error)) from error


async def _requests(route: Route, request: web.Request, max_body: int) -> AsyncIterator[Message]:
    documents, size = jsonpb.Documents(), 0
    try:
        async for chunk in request.content.iter_any():
            size += len(chunk)
            if size > max_body:
                raise RequestTooLarge
            for document in documents.feed(chunk):
                yield jsonpb.parse(document, route.request())
        for document in documents.feed(b"", end=True):
            yield jsonpb.parse(document, route.request())
    except BROKEN_BODY as error:
        raise Unreadable("the request's body is broken") from error
    except (ValueError, RecursionError) as error:
        raise Unreadable(str(error)) from error
    if not route.ends_with_body:
        await asyncio.Event().wait()


async def _stream(route: Route, request: web.Request, call: HttpCall, max_body: int) -> web.StreamResponse:
    """Answers until the call ends, or the client leaves (which cancels the handler)."""
    if route.client_stream:
        given: Any = _requests(route, request, max_body)
    else:
        given = route.request()
        _fill(given, await _read(request, max_body))
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    try:
        async for message in route.call(given, call):
            if not response.prepared:
                await response.prepare(request)
            await response.write(f'{{"result":{jsonpb.to_json(message)}}}\n'.encode())
    except StoreError as error:
        document = {"error": _status(error)}
        if not response.prepared:
            return json_response(document, document["error"]["http_code"])
        await response.write(json.dumps(document, separators=(",", ":")).encode() + b"\n")
    if not response.prepared:
        await response.prepare(request)
    await response.write_eof()
    return response


def _status(error: StoreError) -> dict[str, Any]:
    number, status = GRPC_CODES.get(error.code, GRPC_CODES["UNKNOWN"])
    return {"grpc_code": number, "http_code": status, "code": number, "message": str(error)}
