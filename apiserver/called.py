"""What a server that this one calls has answered: webhooks (`webhook_client`), reviews (`auth.structured`)."""

from __future__ import annotations

from typing import Any

import aiohttp

from apiserver.api import codec, errors
from apiserver.api.field_errors import quote

_QUOTED = 2048


async def body(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """All of it, at most ``limit`` bytes: ``read(n)`` of the stream would give what has come so far. Raises
    ValueError."""
    data = bytearray()
    async for chunk in response.content.iter_any():
        data += chunk
        if len(data) > limit:
            raise ValueError(f"the answer is longer than {limit} bytes")
    return bytes(data)


def refusal(status: int, data: bytes) -> str:
    """An answer that is none, as client-go words it."""
    if status >= 500:
        text = data[:_QUOTED].decode("utf-8", "replace").strip()
        return f"an error on the server ({quote(text)}) has prevented the request from succeeding"
    return errors.generic(status).message


def review(data: bytes) -> dict[str, Any]:
    """Raises ValueError."""
    answer = codec.decode(data)
    if not isinstance(answer, dict):
        raise ValueError("the answer is not an object")
    return answer
