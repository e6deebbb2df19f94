"""Where an authorization webhook is, as a kubeconfig file says, and the requests to it.

The server's URL of the file's current context is asked as it stands. Connections of all webhooks are kept in one
client, which the server closes at its end. Leaves out what is asked and what the answer means: that is ``webhook``.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import random
import ssl
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import yaml

from apiserver import called
from apiserver.api import codec
from apiserver.api.field_errors import quote
from apiserver.config_files.reading import ConfigFileError

Object = dict[str, Any]
Send = Callable[[Object], Awaitable[Object]]
"""SubjectAccessReview → the answer. Raises ReviewFailed."""
_LIMIT: Final = 4 << 20
_ATTEMPTS: Final = 5
_PAUSE: Final = 0.5
_GROWTH: Final = 1.5
_JITTER: Final = 0.2
_AGAIN: Final = frozenset({429, 500, 504})
_CLOSING_SECONDS: Final = 1.0


class ReviewFailed(Exception):
    """There is no answer; the text says why."""


class _TryAgain(ReviewFailed):
    pass


@dataclass(frozen=True)
class Connection:
    url: str
    context: ssl.SSLContext
    token: str = ""


def connection(path: Path) -> Connection:
    """Raises ConfigFileError."""
    try:
        document = yaml.safe_load(path.read_bytes())
        if not isinstance(document, dict):
            raise ValueError("it is no kubeconfig")
        chosen = _named(document, "contexts", "context", document.get("current-context") or "")
        cluster = _named(document, "clusters", "cluster", chosen.get("cluster") or "")
        user = _named(document, "users", "user", chosen["user"]) if chosen.get("user") else {}
        if not cluster.get("server"):
            raise ValueError(f"no server of cluster {quote(chosen.get('cluster') or '')}")
        return Connection(cluster["server"], _context(path, cluster, user), _token(path, user))
    except (OSError, ValueError, AttributeError, TypeError, yaml.YAMLError, ssl.SSLError) as exc:
        raise ConfigFileError(f"kubeConfigFile {path}: {exc}") from exc


def _named(document: Object, section: str, key: str, name: str) -> Object:
    for entry in document.get(section) or ():
        if entry.get("name") == name:
            found: Object = entry.get(key) or {}
            return found
    raise ValueError(f"there is no {key} {quote(name)}")


def _bytes(path: Path, source: Object, name: str) -> bytes:
    """Inline, or of a file whose path may be relative to the kubeconfig's; empty if neither is given."""
    if source.get(f"{name}-data"):
        try:
            return base64.b64decode(source[f"{name}-data"], validate=True)
        except binascii.Error as exc:
            raise ValueError(f"{name}-data is not base64") from exc
    return (path.parent / source[name]).read_bytes() if source.get(name) else b""


def _context(path: Path, cluster: Object, user: Object) -> ssl.SSLContext:
    for unsupported in ("exec", "auth-provider", "username"):
        if unsupported in user:
            raise ValueError(f"{unsupported} is not supported for users")
    authority = _bytes(path, cluster, "certificate-authority")
    context = ssl.create_default_context(cadata=authority.decode("ascii") or None)
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if user.get("client-certificate") and user.get("client-key"):
        context.load_cert_chain(path.parent / user["client-certificate"], path.parent / user["client-key"])
        return context
    certificate, key = _bytes(path, user, "client-certificate"), _bytes(path, user, "client-key")
    if certificate and key:
        _load_inline(context, certificate, key)
    return context


def _load_inline(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Python takes them from files only."""
    with tempfile.NamedTemporaryFile() as both:  # readable by its owner alone
        both.write(certificate + b"\n" + key)
        both.flush()
        context.load_cert_chain(both.name)


def _token(path: Path, user: Object) -> str:
    if user.get("token"):
        return str(user["token"])
    return (path.parent / user["tokenFile"]).read_text().strip() if user.get("tokenFile") else ""


class ReviewClient:
    """Asks again what may only have been bad luck, as the original: five times in some six seconds."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._session: aiohttp.ClientSession | None = None

    def sender(self, to: Connection, seconds: float) -> Send:
        """``seconds``: for each attempt."""

        async def send(review: Object) -> Object:
            pause = _PAUSE
            for _ in range(_ATTEMPTS - 1):
                try:
                    return await self._ask(to, review, seconds)
                except _TryAgain:
                    await asyncio.sleep(pause * (1 + _JITTER * self._rng.random()))
                    pause *= _GROWTH
            return await self._ask(to, review, seconds)

        return send

    async def close(self) -> None:
        if self._session is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSING_SECONDS):
                    await self._session.close()

    async def _ask(self, to: Connection, review: Object, seconds: float) -> Object:
        """Raises ReviewFailed."""
        failed = f'Post "{to.url}?timeout={seconds:g}s"'
        try:
            async with asyncio.timeout(seconds):
                return await self._post(to, review, seconds)
        except TimeoutError:
            raise ReviewFailed(f"{failed}: context deadline exceeded") from None
        except ConnectionResetError as exc:
            raise _TryAgain(f"{failed}: {exc}") from exc
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            raise ReviewFailed(f"{failed}: {exc}") from exc

    async def _post(self, to: Connection, review: Object, seconds: float) -> Object:
        if self._session is None:
            self._session = aiohttp.ClientSession(trust_env=False)
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if to.token:
            headers["Authorization"] = f"Bearer {to.token}"
        async with self._session.post(
            to.url,
            params={"timeout": f"{seconds:g}s"},
            data=codec.dumps(review),
            headers=headers,
            ssl=to.context,
            allow_redirects=False,
        ) as response:
            data = await called.body(response, _LIMIT)
            if response.status not in (200, 201):
                kind = _TryAgain if response.status in _AGAIN else ReviewFailed
                raise kind(called.refusal(response.status, data))
            return called.review(data)
