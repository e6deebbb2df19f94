"""A server with ``--authorization-config``, and webhooks that it asks over TLS with a certificate of its own."""

from __future__ import annotations

import asyncio
import base64
import json
import random
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from apiserver.__main__ import config_of
from apiserver.auth.structured.review_client import ReviewClient, ReviewFailed, connection
from apiserver.config import ConfigError
from apiserver.config_files.reading import ConfigFileError
from apiserver.flags import parser
from tests.support.api import Answer, Api, serving
from tests.support.pki import Pair, Pki
from tests.support.virtual_time import run_virtual

Object = dict[str, Any]
ALICE = "aliceToken"
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


class Webhook:
    """``answer``: the status for a spec, or (code, text). Whoever asks must show a certificate of the authority."""

    def __init__(self, directory: Path) -> None:
        self._pki = Pki(directory / "pki")
        self._pair = self._pki.issue("127.0.0.1", server_only=True)
        self._client = self._pki.issue("apiserver")
        self._directory = directory
        self.answer: Callable[[Object], Any] = lambda spec: {"allowed": False}
        self.asked: list[Object] = []
        self.credentials: list[str | None] = []
        self.port = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._pair.cert, self._pair.key)
        context.load_verify_locations(self._pki.ca)
        context.verify_mode = ssl.CERT_REQUIRED
        runner = web.ServerRunner(web.Server(self._answer), shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        self.port = runner.addresses[0][1]
        try:
            yield
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        review = json.loads(await request.read())
        assert request.path_qs == "/authorize?timeout=3s"
        self.asked.append(review["spec"])
        self.credentials.append(request.headers.get("Authorization"))
        answer = self.answer(review["spec"])
        if isinstance(answer, tuple):
            return web.Response(status=answer[0], text=answer[1])
        return web.json_response({**review, "status": answer})

    def kubeconfig(self, pair: Pair | None = None, **user: Any) -> Path:
        """Authority inline, certificate and key beside the file."""
        own = pair or self._client
        cluster = {
            "server": f"https://127.0.0.1:{self.port}/authorize",
            "certificate-authority-data": base64.b64encode(self._pki.ca.read_bytes()).decode(),
        }
        who = {"client-certificate": f"pki/{own.cert.name}", "client-key": f"pki/{own.key.name}", **user}
        path = self._directory / "kubeconfig"
        path.write_text(
            yaml.safe_dump(
                {
                    "clusters": [{"name": "c", "cluster": cluster}],
                    "users": [{"name": "u", "user": who}],
                    "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                    "current-context": "x",
                }
            )
        )
        return path

    def inline(self) -> Object:
        """Certificate and key in the file itself."""
        cert, key = (base64.b64encode(path.read_bytes()).decode() for path in self._client)
        named = {"client-certificate": None, "client-key": None}
        return {**named, "client-certificate-data": cert, "client-key-data": key}

    def authorizer(self, name: str = "w", **changes: Any) -> Object:
        info = {"type": "KubeConfigFile", "kubeConfigFile": str(self.kubeconfig())}
        settings = {"timeout": "3s", "subjectAccessReviewVersion": "v1", "failurePolicy": "NoOpinion"}
        return {"type": "Webhook", "name": name, "webhook": {**settings, "connectionInfo": info, **changes}}


NODE, RBAC = ({"type": name, "name": name.lower()} for name in ("Node", "RBAC"))


def write(path: Path, *authorizers: Object) -> Path:
    header = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthorizationConfiguration"}
    path.write_text(json.dumps({**header, "authorizers": list(authorizers)}))
    return path


async def listing(api: Api, token: str = ALICE, path: str = CONFIG_MAPS) -> Answer:
    return await api.ask("GET", path, token=token)


async def reviewed(api: Api, user: str, verb: str = "list") -> Object:
    attributes = {"namespace": "default", "verb": verb, "resource": "configmaps"}
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": user, "resourceAttributes": attributes},
    }
    status: Object = (await api.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", body))["status"]
    return status


def is_alice(spec: Object) -> Object:
    return {"allowed": spec["user"] == "alice", "reason": "asked elsewhere"}


def test_a_webhook_may_allow_and_its_answer_is_remembered(tmp_path: Path) -> None:
    webhook = Webhook(tmp_path)
    webhook.answer = is_alice

    async def body() -> None:
        async with webhook.running():
            file = write(tmp_path / "authorization", NODE, RBAC, webhook.authorizer())
            async with serving(tmp_path, authorization_config=file) as api:
                assert api.server.config.authorization_mode == ("Node", "RBAC")
                assert [(await listing(api)).code for _ in range(3)] == [200] * 3
                assert len(webhook.asked) == 1
                assert webhook.asked[0]["resourceAttributes"] == {
                    "namespace": "default",
                    "verb": "list",
                    "version": "v1",
                    "resource": "configmaps",
                }
                await listing(api, "admintoken")
                assert len(webhook.asked) == 1, "members of system:masters are asked nothing more"
                assert await reviewed(api, "alice", "get") == {"allowed": True, "reason": "asked elsewhere"}
                assert await reviewed(api, "joe") == {"allowed": False, "reason": "asked elsewhere"}

    asyncio.run(body())


def test_a_webhook_before_the_others_may_deny_for_good(tmp_path: Path) -> None:
    webhook = Webhook(tmp_path)
    webhook.answer = lambda spec: {"denied": True, "reason": "not you"}

    async def body() -> None:
        async with webhook.running():
            condition = {
                "matchConditionSubjectAccessReviewVersion": "v1",
                "matchConditions": [
                    {"expression": "has(request.resourceAttributes)"},
                    {"expression": "request.resourceAttributes.resource == 'configmaps'"},
                ],
            }
            allow = {"type": "AlwaysAllow", "name": "alwaysallow"}
            file = write(tmp_path / "authorization", webhook.authorizer(**condition), allow)
            async with serving(tmp_path, authorization_config=file) as api:
                refused = await listing(api)
                assert (refused.code, refused.body["reason"]) == (403, "Forbidden")
                assert refused.message == (
                    'configmaps is forbidden: User "alice" cannot list resource "configmaps" in API group "" in the '
                    'namespace "default": not you'
                )
                assert (await listing(api, path="/api/v1/namespaces/default/secrets")).code == 200
                assert (await listing(api, path="/version")).code == 200
                assert len(webhook.asked) == 1
                assert await reviewed(api, "alice", "get") == {
                    "allowed": False,
                    "denied": True,
                    "reason": "not you",
                }

    asyncio.run(body())


def test_a_webhook_that_fails(tmp_path: Path) -> None:
    webhook = Webhook(tmp_path)
    webhook.answer = lambda spec: (404, "")

    async def body() -> None:
        async with webhook.running():
            file = write(tmp_path / "authorization", webhook.authorizer(), RBAC)
            async with serving(tmp_path, authorization_config=file) as api:
                [followed] = [file for file in api.server.followed if file.subject == "authorization"]
                fault = "the server could not find the requested resource"
                refused = await listing(api)
                assert (refused.code, refused.body["reason"]) == (500, "InternalError")
                assert refused.message == f'Internal Server Error: "{CONFIG_MAPS}": {fault}'
                assert await reviewed(api, "joe") == {"allowed": False, "evaluationError": fault}
                assert (await listing(api, path="/version")).code == 200, "RBAC lets everybody see that"
                write(file, webhook.authorizer(failurePolicy="Deny"), RBAC)
                await followed.look()
                assert (await listing(api, path="/version")).code == 500
                denied = {"allowed": False, "denied": True, "evaluationError": fault}
                assert await reviewed(api, "joe") == denied

    asyncio.run(body())


def test_the_file_is_read_again_but_the_server_s_own_authorizers_stay(tmp_path: Path) -> None:
    webhook = Webhook(tmp_path)
    webhook.answer = is_alice

    async def body() -> None:
        async with webhook.running():
            file = write(tmp_path / "authorization", RBAC)
            async with serving(tmp_path, authorization_config=file) as api:
                [followed] = [file for file in api.server.followed if file.subject == "authorization"]
                assert (await listing(api)).code == 403
                for authorizers, code in (
                    ([RBAC, webhook.authorizer()], 200),
                    ([webhook.authorizer()], 200),  # RBAC is missing: not taken
                    ([RBAC, NODE], 200),  # Node is new: not taken
                    ([RBAC], 403),
                ):
                    write(file, *authorizers)
                    await followed.look()
                    assert (await listing(api)).code == code
                metrics = (await api.ask("GET", "/metrics")).body.decode()
                name = "apiserver_authorization_config_controller_automatic_reloads_total"
                for status in ("success", "failure"):
                    assert f'{name}{{status="{status}"}} 2.0' in metrics

    asyncio.run(body())


def test_what_a_user_may_do_cannot_be_listed_where_a_webhook_decides(tmp_path: Path) -> None:
    webhook = Webhook(tmp_path)

    async def body() -> None:
        async with webhook.running():
            file = write(tmp_path / "authorization", RBAC, webhook.authorizer())
            async with serving(tmp_path, authorization_config=file) as api:
                review = {
                    "apiVersion": "authorization.k8s.io/v1",
                    "kind": "SelfSubjectRulesReview",
                    "spec": {"namespace": "default"},
                }
                path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
                status = (await api.ask("POST", path, review)).body["status"]
                assert status["incomplete"] is True
                assert status["evaluationError"] == "webhook authorizer does not support user rule resolution"

    asyncio.run(body())


def test_credentials_of_a_kubeconfig(tmp_path: Path) -> None:
    webhook, stranger = Webhook(tmp_path), Pki(tmp_path / "stranger").issue("apiserver")

    async def body() -> None:
        async with webhook.running():
            client = ReviewClient(random.Random(1))
            (tmp_path / "token").write_text("t2\n")
            for user in ({"token": "t1"}, {"tokenFile": "token"}, webhook.inline()):
                await client.sender(connection(webhook.kubeconfig(**user)), 3)({"spec": {}})
            assert webhook.credentials == ["Bearer t1", "Bearer t2", None]
            (tmp_path / "pki/stranger.pem").write_bytes(stranger.cert.read_bytes())
            (tmp_path / "pki/stranger.key").write_bytes(stranger.key.read_bytes())
            foreign = Pair(Path("stranger.pem"), Path("stranger.key"))
            with pytest.raises(ReviewFailed, match=r'^Post "https://127.0.0.1:.*/authorize\?timeout=3s": '):
                await client.sender(connection(webhook.kubeconfig(foreign)), 3)({"spec": {}})
            impostor = Webhook(tmp_path / "impostor")
            async with impostor.running():
                elsewhere = (
                    webhook.kubeconfig().read_text().replace(f":{webhook.port}/", f":{impostor.port}/")
                )
                (tmp_path / "elsewhere").write_text(elsewhere)
                with pytest.raises(ReviewFailed, match="certificate verify failed"):
                    await client.sender(connection(tmp_path / "elsewhere"), 3)({"spec": {}})
            assert impostor.asked == []
            await client.close()

    asyncio.run(body())


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "it is no kubeconfig"),
        ("a: [", "while parsing"),
        ("current-context: x", 'there is no context "x"'),
        ("{current-context: x, contexts: [{name: x, context: {cluster: c}}]}", 'there is no cluster "c"'),
        (
            "{current-context: x, contexts: [{name: x, context: {cluster: c}}], clusters: [{name: c}]}",
            'no server of cluster "c"',
        ),
    ],
)
def test_kubeconfigs_that_cannot_be_used(tmp_path: Path, text: str, fault: str) -> None:
    (tmp_path / "k").write_text(text)
    with pytest.raises(ConfigFileError, match=f"kubeConfigFile {tmp_path / 'k'}: .*{fault}"):
        connection(tmp_path / "k")


def test_what_may_have_been_bad_luck_is_tried_again() -> None:
    class Unlucky(ReviewClient):
        asked = 0

        async def _post(self, *_: Any) -> Object:
            self.asked += 1
            raise ConnectionResetError("reset")

    async def body() -> None:
        client = Unlucky(random.Random(1))
        started = asyncio.get_running_loop().time()
        with pytest.raises(ReviewFailed, match=r'Post "https://w\?timeout=3s": reset'):
            await client.sender(connection_to("https://w"), 3)({})
        assert client.asked == 5
        assert 4 < asyncio.get_running_loop().time() - started < 6

    run_virtual(body())


def connection_to(url: str) -> Any:
    from apiserver.auth.structured.review_client import Connection

    return Connection(url, ssl.create_default_context())


def test_flags_and_files_that_do_not_go_together(tmp_path: Path) -> None:
    file = write(tmp_path / "authorization", RBAC)
    flags = ["--authorization-config", str(file), "--authorization-mode", "RBAC"]
    with pytest.raises(
        ConfigError, match="--authorization-config can not be specified when --authorization-mode"
    ):
        config_of(parser().parse_args(flags))
    assert config_of(parser().parse_args(flags[:2])).authorization_config == file

    async def body() -> None:
        async with serving(tmp_path, authorization_config=file):
            pass

    info = {"connectionInfo": {"type": "InClusterConfig"}}
    for authorizers, text in (
        ([], "authorizers: Required value: at least one authorization mode must be defined"),
        ([Webhook(tmp_path / "w").authorizer(**info)], "InClusterConfig is not supported here"),
    ):
        write(file, *authorizers)
        with pytest.raises(ConfigError, match=f"^--authorization-config .*{text}"):
            asyncio.run(body())
