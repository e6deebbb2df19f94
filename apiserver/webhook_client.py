"""Requests to webhooks: to a URL, or to a service of the cluster, over TLS with the CA bundle of the configuration.

Used for the conversion of custom resources and for admission. Services are reached at their cluster IP; the
certificate must be for ``<name>.<namespace>.svc``, as everywhere in Kubernetes. Leaves out what is asked and
how the answer is judged.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import ssl
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final

import aiohttp

from apiserver import called
from apiserver.api import codec

Object = dict[str, Any]
FindService = Callable[[str, str], Awaitable[Object | None]]
"""(namespace, name) → the Service."""
SECONDS: Final = 30
"""How long a webhook may take, unless its configuration says otherwise."""
_CLOSING_SECONDS: Final = 1.0
_LIMIT: Final = 32 * 1024 * 1024


class WebhookUnreachable(Exception):
    """The text is the reason."""


class _Refused(Exception):
    """An answer with a code of failure."""


class WebhookClient:
    def __init__(self, find_service: FindService) -> None:
        self._find_service = find_service
        self._session: aiohttp.ClientSession | None = None

    async def send(self, config: Mapping[str, Any], review: Object, seconds: int = SECONDS) -> Object:
        """Raises WebhookUnreachable."""
        failed = f'Post "{_shown(config)}?timeout={seconds}s"'
        try:
            url, host = await self._address(config)
            return await self._post(url, host, _context(config.get("caBundle") or ""), review, seconds)
        except TimeoutError:
            raise WebhookUnreachable(f"{failed}: context deadline exceeded") from None
        except _Refused as exc:
            raise WebhookUnreachable(str(exc)) from exc
        except (aiohttp.ClientError, OSError, ValueError, codec.DecodeError) as exc:
            raise WebhookUnreachable(f"{failed}: {exc}") from exc

    async def close(self) -> None:
        if self._session is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSING_SECONDS):
                    await self._session.close()

    async def _address(self, config: Mapping[str, Any]) -> tuple[str, str]:
        """(URL to connect to, name to expect there if it is another). Raises ValueError."""
        if config.get("url"):
            return config["url"], ""
        wanted = config.get("service") or {}
        namespace, name = wanted.get("namespace") or "", wanted.get("name") or ""
        service = await self._find_service(namespace, name)
        if service is None:
            raise ValueError(f'service "{name}" not found')
        address = (service.get("spec") or {}).get("clusterIP") or ""
        if not address or address == "None":
            raise ValueError(f'no cluster IP of service "{name}" in namespace "{namespace}"')
        port = wanted.get("port") or 443
        host = f"[{address}]" if ":" in address else address
        return f"https://{host}:{port}{wanted.get('path') or '/'}", f"{name}.{namespace}.svc:{port}"

    async def _post(
        self, url: str, host: str, context: ssl.SSLContext, review: Object, seconds: int
    ) -> Object:
        if self._session is None:
            self._session = aiohttp.ClientSession(trust_env=False)
        headers = {"Content-Type": "application/json", **({"Host": host} if host else {})}
        name = host.rpartition(":")[0] or None
        async with (
            asyncio.timeout(seconds),
            self._session.post(
                url,
                params={"timeout": f"{seconds}s"},
                data=codec.dumps(review),
                headers=headers,
                ssl=context,
                server_hostname=name,
                allow_redirects=False,
            ) as response,
        ):
            data = await called.body(response, _LIMIT)
            if response.status != 200:
                raise _Refused(called.refusal(response.status, data))
            return called.review(data)


def _shown(config: Mapping[str, Any]) -> str:
    """The address as people know it."""
    if config.get("url"):
        return str(config["url"])
    wanted = config.get("service") or {}
    host = f"{wanted.get('name')}.{wanted.get('namespace')}.svc:{wanted.get('port') or 443}"
    return f"https://{host}{wanted.get('path') or '/'}"


@lru_cache(maxsize=256)
def _context(bundle: str) -> ssl.SSLContext:
    """Raises ValueError for a bundle that cannot be read."""
    context = ssl.create_default_context()
    if bundle:
        try:
            context = ssl.create_default_context(cadata=base64.b64decode(bundle).decode("ascii"))
        except (binascii.Error, UnicodeDecodeError, ssl.SSLError) as exc:
            raise ValueError(f"unable to load root certificates: {exc}") from exc
    return context
