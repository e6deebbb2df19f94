"""Where the attacks happen: one API server with users of little power, watched while it answers.

Its event loop is watched by the processor time it takes between two of its steps, so a busy machine is no stall, and
what lived before it is set aside, as in a master: the garbage of the other tests is not its own. All it logs, at every
level, is kept, so that nothing secret can hide there.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from components.collector import Collector
from tests.conformance.server import write_signing_key
from tests.support.served import Server, running

ADMIN, ALICE = "admin-token-f1c2", "alice-token-9b3e"
NS = "/api/v1/namespaces"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
CANARY = "canary-3a1f77c05e"
BEAT = 0.02
STALL = 1.0
"""Seconds of the loop's own processor time without a pause: 0.04 is usual; a bomb that goes off takes minutes."""


class Answer(NamedTuple):
    code: int
    body: Any
    text: str

    @property
    def message(self) -> str:
        return str(self.body.get("message", "")) if isinstance(self.body, dict) else ""


class Stage:
    """`longest`: the longest that the loop worked without a pause, over all requests so far."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.longest = 0.0

    def ask(
        self, method: str, path: str, body: Any = None, token: str | None = ADMIN, **headers: str
    ) -> Answer:
        named = {"Content-Type": "application/json"}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            named["Authorization"] = f"Bearer {token}"
        found: list[Answer] = []

        async def work() -> None:
            watch = asyncio.create_task(self._watch())
            try:
                async with asyncio.timeout(30):
                    found.append(await self._ask(method, path, data, named))
            finally:
                watch.cancel()
                with suppress(asyncio.CancelledError):
                    await watch

        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        self.server.run(work())
        return found[0]

    async def _ask(self, method: str, path: str, data: bytes | None, headers: dict[str, str]) -> Answer:
        from yarl import URL

        url = URL(f"https://127.0.0.1:{self.server.server.port}{path}", encoded=True)
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                method, url, data=data and BytesIO(data), headers=headers, ssl=False, allow_redirects=False
            ) as answer,
        ):
            text = (await answer.read()).decode(errors="replace")
            try:
                return Answer(answer.status, json.loads(text), text)
            except ValueError:
                return Answer(answer.status, None, text)

    async def _watch(self) -> None:
        while True:
            used = time.thread_time()
            await asyncio.sleep(BEAT)
            self.longest = max(self.longest, time.thread_time() - used)

    def create(self, path: str, body: Any) -> Any:
        answer = self.ask("POST", path, body)
        assert answer.code == 201, answer
        return answer.body

    def whoami(self, token: str | None) -> Answer:
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        return self.ask("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", review, token)

    def allow(self, name: str, namespace: str, rules: list[Any]) -> None:
        """Alice may do this in that namespace."""
        self.create(f"{RBAC}/namespaces/{namespace}/roles", {"metadata": {"name": name}, "rules": rules})
        subject = {"kind": "User", "name": "alice", "apiGroup": "rbac.authorization.k8s.io"}
        ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
        binding = {"metadata": {"name": name}, "subjects": [subject], "roleRef": ref}
        self.create(f"{RBAC}/namespaces/{namespace}/rolebindings", binding)


class Everything(logging.Handler):
    """All that is logged, tracebacks included."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.setFormatter(logging.Formatter("%(name)s %(message)s"))
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(self.format(record))


@contextmanager
def staged(folder: Path, **flags: Any) -> Iterator[Stage]:
    """With the users admin (system:masters) and alice, who may nothing until a test lets her."""
    users = (f'{ADMIN},admin,admin-uid,"system:masters"', f"{ALICE},alice,alice-uid,")
    (folder / "tokens.csv").write_text("\n".join(users) + "\n")
    key = write_signing_key(folder / "sa.key")
    collector = Collector()
    collector.install()
    try:
        with running(
            folder,
            authorization_mode=("Node", "RBAC"),
            token_auth_file=folder / "tokens.csv",
            service_account_key_file=(key,),
            service_account_signing_key_file=key,
            **flags,
        ) as server:
            yield Stage(server)
    finally:
        collector.uninstall()
