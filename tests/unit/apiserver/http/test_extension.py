"""What a composition root serves beside the API: who may ask, what reaches it, how its streams end."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest
from aiohttp import web

from apiserver.api import errors
from apiserver.auth.user import User
from apiserver.http import extension
from tests.support.api import Api, serving


class Echo:
    """Answers with who asked; ``/fail`` raises, ``?watch=true`` goes on until it is ended."""

    def __init__(self, prefix: str, *, public: bool = False) -> None:
        self.prefix, self.public = prefix, public
        self.ended = asyncio.Event()

    async def handle(self, request: web.BaseRequest, user: User) -> web.StreamResponse:
        if request.path.endswith("/fail"):
            raise errors.bad_request("not so")
        if request.query.get("watch"):
            return await self._stream(request)
        return web.json_response({"user": user.name, "path": request.path})

    async def _stream(self, request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"begun\n")
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.set()
        return response


@pytest.mark.parametrize(
    ("path", "prefix"),
    [
        ("/ui", "/ui"),
        ("/ui/app.js", "/ui"),
        ("/ui/v1/x", "/ui/v1"),
        ("/ui/v10", "/ui"),
        ("/uix", None),
        ("/", None),
    ],
)
def test_the_longest_prefix_of_whole_segments_is_found(path: str, prefix: str | None) -> None:
    found = extension.find((Echo("/ui"), Echo("/ui/v1")), path)
    assert (found.prefix if found else None) == prefix


def test_a_path_of_an_extension_passes_the_chain(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path, extensions=[Echo("/mine"), Echo("/ui", public=True)]) as api:
            assert (await api.ask("GET", "/mine/x")).body == {"user": "admin", "path": "/mine/x"}
            refused = await api.ask("GET", "/mine/x", token="aliceToken")
            assert refused.code == 403
            assert 'User "alice" cannot get path "/mine/x"' in refused.message
            assert (await api.ask("GET", "/mine/x", token="nobody")).code == 401
            assert (await api.ask("GET", "/mine/fail")).message == "not so"
            assert (await api.ask("GET", "/minesweeper")).code == 404
            await _public(api)

    asyncio.run(main())


async def _public(api: Api) -> None:
    for token in (None, "nobody", "aliceToken"):
        answer = await api.ask("GET", "/ui/x", token=token)
        assert answer.body == {"user": "system:anonymous", "path": "/ui/x"}


def test_a_stream_ends_with_the_server(tmp_path: Path) -> None:
    async def main() -> None:
        echo = Echo("/ui", public=True)
        async with serving(tmp_path, extensions=[echo], request_timeout=0.001) as api:
            reader, writer = await asyncio.open_connection("127.0.0.1", api.server.port, ssl=_any())
            writer.write(b"GET /ui?watch=true HTTP/1.1\r\nHost: x\r\n\r\n")
            await reader.readuntil(b"begun\n")
            await asyncio.sleep(0.01)  # longer than a request may take
            assert not echo.ended.is_set()
        await asyncio.wait_for(echo.ended.wait(), 5)
        writer.close()

    asyncio.run(main())


def _any() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
