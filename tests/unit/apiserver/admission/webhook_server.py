"""A webhook over TLS, and what it was asked. Its answers are functions of the request."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.support.pki import Pki

Object = dict[str, Any]
Answer = Callable[[Object], Object]


class WebhookServer:
    """``answers`` by path: of the fields of an AdmissionReview's response; ``raw``: whole answers (code, text)."""

    def __init__(self, directory: Path) -> None:
        self._pki = Pki(directory / "pki")
        self._pair = self._pki.issue("127.0.0.1", server_only=True)
        self.answers: dict[str, Answer] = {}
        self.raw: dict[str, tuple[int, str]] = {}
        self.asked: list[tuple[str, Object]] = []
        self.port = 0
        self._runner: web.ServerRunner | None = None

    async def start(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._pair.cert, self._pair.key)
        self._runner = web.ServerRunner(web.Server(self._answer), shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=context).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    def client_config(self, path: str) -> Object:
        bundle = base64.b64encode(self._pki.ca.read_bytes()).decode()
        return {"url": f"https://127.0.0.1:{self.port}{path}", "caBundle": bundle}

    def asked_of(self, path: str) -> list[Object]:
        return [request for asked, request in self.asked if asked == path]

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        review = json.loads(await request.read())
        self.asked.append((request.path, review["request"]))
        if request.path in self.raw:
            code, text = self.raw[request.path]
            return web.Response(status=code, text=text)
        response = {"uid": review["request"]["uid"], **self.answers[request.path](review["request"])}
        return web.json_response(
            {"kind": review["kind"], "apiVersion": review["apiVersion"], "response": response}
        )


def patch(*operations: Object) -> Object:
    data = base64.b64encode(json.dumps(operations).encode()).decode()
    return {"allowed": True, "patchType": "JSONPatch", "patch": data}
