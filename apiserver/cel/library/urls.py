"""(P) URLs, as Kubernetes' library: absolute URIs and absolute paths, as Go's ``url.ParseRequestURI`` reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs, quote, urlsplit

from apiserver.cel.library.function import Function, function, traversal
from apiserver.cel.syntax import EvaluationError
from apiserver.cel.values import Opaque

_PATH_CHARS: Final = "/:@!$&'()*+,;=~-._%"


@dataclass(frozen=True, slots=True)
class Url(Opaque):
    type_name = "kubernetes.URL"

    text: str

    @property
    def parts(self) -> Any:
        return urlsplit(self.text)


def parse_url(text: str) -> Url:
    """Raises EvaluationError."""
    bad = any(ord(char) <= 32 or ord(char) == 127 for char in text)
    try:
        parts = urlsplit(text)
        _ = parts.port
        if bad or not text or (not parts.scheme and not text.startswith("/")):
            raise ValueError("invalid URI for request")
    except ValueError as exc:
        raise EvaluationError(
            f'URL parse error during conversion from string: parse "{text}": {exc}'
        ) from None
    return Url(text)


def _is_url(text: str) -> bool:
    try:
        parse_url(text)
    except EvaluationError:
        return False
    return True


def _hostname(url: Url) -> str:
    """Without the brackets of an IPv6 address, in the case it is written in."""
    host = url.parts.netloc.rpartition("@")[2]
    if host.startswith("["):
        return str(host[1 : host.find("]")])
    return str(host.partition(":")[0])


def _port(url: Url) -> str:
    port = url.parts.netloc.rpartition("]")[2].rpartition(":")[2] if ":" in url.parts.netloc else ""
    return port if port.isdigit() else ""


FUNCTIONS: Final[tuple[Function, ...]] = (
    function("url(string) -> kubernetes_url", parse_url, traversal),
    function("isURL(string) -> bool", _is_url, traversal),
    function("kubernetes_url.getScheme() -> string", lambda url: url.parts.scheme),
    function("kubernetes_url.getHost() -> string", lambda url: url.parts.netloc.rpartition("@")[2]),
    function("kubernetes_url.getHostname() -> string", _hostname),
    function("kubernetes_url.getPort() -> string", _port),
    function(
        "kubernetes_url.getEscapedPath() -> string", lambda url: quote(url.parts.path, safe=_PATH_CHARS)
    ),
    function(
        "kubernetes_url.getQuery() -> map(string, list(string))",
        lambda url: parse_qs(url.parts.query, keep_blank_values=True),
        traversal,
    ),
)
