"""(P) What can be called: paths, with the services' methods behind them, from the descriptors of .proto files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from google.protobuf.descriptor import FileDescriptor, MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

from kvstore.rpc.grpc.codes import Code, Status


class Method(NamedTuple):
    """`function(request, call)` answers with a message, or is an iterator of messages or of lists of their bytes.

    With `client_stream` it is given an iterator of requests.
    """

    parse: Callable[[bytes], Any]
    function: Callable[[Any, Any], Any]
    client_stream: bool
    server_stream: bool
    labels: tuple[str, str, str] = ("unary", "", "")
    """Type, service and method, as metrics name them."""


class Methods:
    """`/package.Service/Method` -> `Method`."""

    def __init__(self, files: Iterable[FileDescriptor], services: Mapping[str, object]) -> None:
        self._services = set(services)
        self._methods: dict[str, Method] = {}
        for file in files:
            for service in file.services_by_name.values():
                for method in service.methods if service.full_name in services else ():
                    path = f"/{service.full_name}/{method.name}"
                    self._methods[path] = _method(method, services[service.full_name])

    def find(self, path: str) -> Method | Status:
        """The method, or why there is none, in the words of etcd's server."""
        method = self._methods.get(path)
        if method is not None:
            return method
        service, _, name = path.removeprefix("/").rpartition("/")
        if service in self._services:
            return Status(Code.UNIMPLEMENTED, f"unknown method {name} for service {service}")
        return Status(Code.UNIMPLEMENTED, f"unknown service {service}")


def _method(method: MethodDescriptor, service: object) -> Method:
    """A service that offers `frames` encodes a stream's responses better itself."""
    function = getattr(service, method.name)
    if method.client_streaming:
        function = getattr(service, "frames", function)
    parse = GetMessageClass(method.input_type).FromString
    kind = _KINDS[method.client_streaming, method.server_streaming]
    labels = (kind, method.containing_service.full_name, method.name)
    return Method(parse, function, method.client_streaming, method.server_streaming, labels)


_KINDS = {
    (False, False): "unary",
    (True, False): "client_stream",
    (False, True): "server_stream",
    (True, True): "bidi_stream",
}
