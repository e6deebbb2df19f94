"""The door of `kuberaft dashboard`: a secret in, a service account's token out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp

from components.client.kubeconfig import ClientConfig
from components.client.transport import ApiClient
from components.dashboard.access import NAME, TOKEN_SECONDS, Access
from components.dashboard.extension import Pages
from components.dashboard.proxy import Proxy
from tests.support.api import ADMIN, Api, serving

REVIEW = json.dumps({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"})
WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
JSON = {"Content-Type": "application/json"}


class Door:
    """A proxy before a real API server, and how to knock."""

    def __init__(self, proxy: Proxy, session: aiohttp.ClientSession, api: Api) -> None:
        self.proxy, self.session, self.api = proxy, session, api
        self.base, _, fragment = proxy.url.partition("/ui/#token=")
        self.secret = {"Authorization": f"Bearer {fragment}"}


def play(folder: Path, scene: Callable[[Door], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(30), serving(folder, extensions=[Pages()]) as api:
            admin = ClientConfig(api.server.url, token=ADMIN, insecure_skip_tls_verify=True)
            async with ApiClient(admin, user_agent="test") as client, aiohttp.ClientSession() as session:
                access = Access(client)
                await access.prepare()
                await access.prepare()
                plain = ClientConfig(api.server.url, insecure_skip_tls_verify=True)
                proxy = Proxy(plain, access.token, TOKEN_SECONDS)
                await proxy.start()
                try:
                    await scene(Door(proxy, session, api))
                finally:
                    await proxy.stop()

    asyncio.run(main())


def test_who_knows_the_secret_is_the_service_account(tmp_path: Path) -> None:
    async def scene(door: Door) -> None:
        async with door.session.post(door.base + WHO, data=REVIEW, headers={**door.secret, **JSON}) as answer:
            user = (await answer.json())["status"]["userInfo"]["username"]
            assert user == f"system:serviceaccount:kube-system:{NAME}"
        for path, code in (
            ("/api/v1/pods", 200),
            ("/api/v1/secrets", 403),
            ("/apis/apps/v1/deployments", 200),
        ):
            async with door.session.get(door.base + path, headers=door.secret) as answer:
                assert (path, answer.status) == (path, code)

    play(tmp_path, scene)


def test_without_the_secret_there_are_only_the_pages(tmp_path: Path) -> None:
    async def scene(door: Door) -> None:
        async with door.session.get(f"{door.base}/ui/") as answer:
            assert (answer.status, "<title>kuberaft" in await answer.text()) == (200, True)
        for headers in ({}, {"Authorization": "Bearer guess"}, {"Authorization": f"Bearer {ADMIN}"}):
            async with door.session.get(f"{door.base}/api/v1/pods", headers=headers) as answer:
                assert answer.status == 401

    play(tmp_path, scene)


def test_another_name_that_leads_here_is_refused(tmp_path: Path) -> None:
    async def scene(door: Door) -> None:
        headers = {**door.secret, "Host": "evil.example"}
        async with door.session.get(f"{door.base}/api/v1/pods", headers=headers) as answer:
            assert answer.status == 421

    play(tmp_path, scene)


def test_the_address_for_a_command_line_is_good_once(tmp_path: Path) -> None:
    async def scene(door: Door) -> None:
        async with door.session.get(door.proxy.once_url, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, door.proxy.url)
        async with door.session.get(door.proxy.once_url, allow_redirects=False) as answer:
            assert answer.status == 403

    play(tmp_path, scene)


def test_a_stream_comes_through_as_it_is_written(tmp_path: Path) -> None:
    async def scene(door: Door) -> None:
        url = f"{door.base}/api/v1/namespaces/default/configmaps?watch=true&resourceVersion=0"
        async with door.session.get(url, headers=door.secret) as answer:
            assert answer.status == 200
            await door.api.create("/api/v1/namespaces/default/configmaps", {"metadata": {"name": "seen"}})
            names = set()
            while "seen" not in names:
                names.add(json.loads(await answer.content.readline())["object"]["metadata"]["name"])

    play(tmp_path, scene)
