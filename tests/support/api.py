"""A real API server over a store in memory, for tests that ask it over HTTPS with credentials of all kinds."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import msgspec

from apiserver.api.journal import Journal
from apiserver.http.extension import Extension
from apiserver.server import ApiServer
from apiserver.storage.memory import MemoryStorage
from tests.conformance.server import configuration
from tests.support.pki import Pair

ADMIN = "admintoken"
SECONDS = 20


class Answer(NamedTuple):
    code: int
    body: Any

    @property
    def message(self) -> str:
        return str(self.body.get("message", ""))


class Api:
    """A running server, asked over connections of their own."""

    def __init__(self, server: ApiServer) -> None:
        self.server = server

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = ADMIN,
        headers: Mapping[str, str] | None = None,
        pair: Pair | None = None,
    ) -> Answer:
        """Raises aiohttp.ClientError where TLS refuses the certificate."""
        context = ssl.create_default_context()
        # The server's certificate is its own.
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if pair is not None:
            context.load_cert_chain(pair.cert, pair.key)
        sent = dict(headers or {})
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        timeout = aiohttp.ClientTimeout(total=SECONDS)
        data = None if body is None else msgspec.json.encode(body)
        sent.setdefault("Content-Type", "application/json")
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.request(method, self.server.url + path, data=data, headers=sent, ssl=context) as answer,
        ):
            raw = await answer.read()
            return Answer(answer.status, msgspec.json.decode(raw) if raw[:1] == b"{" else raw)

    async def create(self, path: str, body: Any) -> Any:
        answer = await self.ask("POST", path, body)
        assert answer.code == 201, answer
        return answer.body

    async def whoami(self, **how: Any) -> Answer:
        """The user info of whoever asks, or the refusal."""
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        answer = await self.ask("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", review, **how)
        return Answer(answer.code, answer.body["status"]["userInfo"]) if answer.code == 201 else answer


@asynccontextmanager
async def serving(
    folder: Path, *, extensions: Sequence[Extension] = (), journal: Journal | None = None, **flags: Any
) -> AsyncIterator[Api]:
    """With the users admin and alice, RBAC, and a key for service account tokens."""
    tokens = folder / "tokens.csv"
    users = ('admintoken,admin,admin,"system:masters"', "aliceToken,alice,alice-uid,dev")
    tokens.write_text("\n".join(users) + "\n")
    config = configuration(folder, token_auth_file=tokens, cert_dir=folder / "certs", **flags)
    server = ApiServer(config, MemoryStorage(), extensions, journal)
    await server.start()
    try:
        yield Api(server)
    finally:
        await server.stop()
