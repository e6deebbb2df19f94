"""Whose certificate a client shows: a user's, or that of a front proxy that speaks for users (``--requestheader-*``).

With both kinds there are two authorities, and TLS accepts certificates of either. A front proxy's is issued by the
request header authority and has one of the allowed names: then the headers say who the user is. In any other request
those headers mean nothing. Authorities sign clients' certificates themselves here: with a front proxy, a certificate
of an intermediate authority is of neither, and refused.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote

from apiserver.api import errors
from apiserver.auth.user import AUTHENTICATED, User
from apiserver.auth.x509 import subject_of

log = logging.getLogger(__name__)


class Headers(Protocol):
    """Names in any case."""

    def get(self, key: str, /) -> str | None: ...
    def getall(self, key: str, default: list[str], /) -> list[str]: ...
    def items(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class FrontProxy:
    """The flags ``--requestheader-*``. No ``allowed_names``: any name that the authority has signed."""

    authority: Path
    allowed_names: Sequence[str] = ()
    username_headers: Sequence[str] = ("X-Remote-User",)
    uid_headers: Sequence[str] = ()
    group_headers: Sequence[str] = ("X-Remote-Group",)
    extra_prefixes: Sequence[str] = ("X-Remote-Extra-",)


class ClientCertificates:
    """Raises ValueError or OSError for authority files that cannot be used."""

    def __init__(self, client_ca: Path | None, proxy: FrontProxy | None, now: Callable[[], datetime]) -> None:
        self._now = now
        self._proxy = proxy
        self._of_proxy = _Issuers(proxy.authority) if proxy else None
        self._of_client = _Issuers(client_ca) if client_ca and proxy else None
        self._has_client_ca = client_ca is not None

    def user(self, certificate: bytes, headers: Headers) -> User | None:
        """None: the certificate says nothing about who it is. Raises 401."""
        subject = subject_of(certificate)
        if subject.ends < self._now():
            raise errors.unauthorized()
        if self._proxy is not None and self._of_proxy is not None and self._of_proxy.issued(certificate):
            speaks = not self._proxy.allowed_names or subject.name in self._proxy.allowed_names
            named = _named(self._proxy, headers) if speaks else None
            if named is not None:
                return named
        if not self._has_client_ca or not subject.name:
            return None
        if self._of_client is not None and not self._of_client.issued(certificate):
            raise errors.unauthorized()
        return subject.user()


class _Issuers:
    """The authorities of one file, read again when it changes; a file that cannot be read changes nothing.

    Raises OSError, ValueError when made.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = self._stamp_now()
        self._issued = self._read()

    def issued(self, certificate: bytes) -> bool:
        """Whether one of them has signed it."""
        try:
            stamp = self._stamp_now()
            if stamp != self._stamp:
                self._issued, self._stamp = self._read(), stamp
        except (OSError, ValueError) as error:
            log.debug("%s: the authorities in use stay: %s", self._path, error)
        return self._issued(certificate)

    def _stamp_now(self) -> tuple[int, int]:
        found = self._path.stat()
        return found.st_ino, found.st_mtime_ns

    def _read(self) -> Callable[[bytes], bool]:
        from cryptography import x509

        authorities = x509.load_pem_x509_certificates(self._path.read_bytes())

        @lru_cache(maxsize=1024)
        def issued(certificate: bytes) -> bool:
            leaf = x509.load_der_x509_certificate(certificate)
            return any(_directly(leaf, authority) for authority in authorities)

        return issued


def _directly(leaf: Any, authority: Any) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        leaf.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _named(proxy: FrontProxy, headers: Headers) -> User | None:
    """The user in the proxy's headers; None if they name none."""
    name = _first(headers, proxy.username_headers)
    if not name:
        return None
    groups = [group for header in proxy.group_headers for group in headers.getall(header, [])]
    extra: dict[str, list[str]] = {}
    for header, value in headers.items():
        for prefix in proxy.extra_prefixes:
            if header.lower().startswith(prefix.lower()):
                extra.setdefault(unquote(header[len(prefix) :].lower()), []).append(value)
    user = User(name, tuple(groups), _first(headers, proxy.uid_headers), extra)
    return user.with_group(AUTHENTICATED)


def _first(headers: Headers, names: Sequence[str]) -> str:
    return next((value for name in names if (value := headers.get(name))), "")
