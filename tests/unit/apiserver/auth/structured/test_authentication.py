"""A server with ``--authentication-config``, and an issuer of tokens that it asks over TLS."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from apiserver.config import ApiServerConfig, ConfigError
from tests.support.api import Api, serving
from tests.support.pki import Pki

Object = dict[str, Any]
KEY = ec.generate_private_key(ec.SECP256R1())


class TokenIssuer:
    """``place``: where its document is, below its address."""

    def __init__(self, directory: Path) -> None:
        self._pki = Pki(directory)
        self._pair = self._pki.issue("127.0.0.1", server_only=True)
        self.url = ""
        self.place = "/.well-known/openid-configuration"
        self.asked: list[str] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._pair.cert, self._pair.key)
        runner = web.ServerRunner(web.Server(self._answer), shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        self.url = f"https://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        self.asked.append(request.path)
        if request.path == self.place:
            return web.json_response({"issuer": self.url, "jwks_uri": f"{self.url}/keys"})
        key = {**ECAlgorithm.to_jwk(KEY.public_key(), as_dict=True), "kid": "k", "alg": "ES256"}
        return web.json_response({"keys": [key]})

    def token(self, **claims: Any) -> str:
        known = {"iss": self.url, "aud": "kube", "sub": "jane", "exp": int(time.time()) + 600}
        return jwt.encode({**known, **claims}, KEY, algorithm="ES256", headers={"kid": "k"})

    def authenticator(self, **more: Any) -> Object:
        said = {"url": self.url, "audiences": ["kube"], "certificateAuthority": self._pki.ca.read_text()}
        issuer = {**said, **more.pop("issuer", {})}
        mappings = {
            "username": {"expression": "'oidc:' + claims.sub"},
            "groups": {"claim": "g", "prefix": "oidc:"},
        }
        return {"issuer": issuer, "claimMappings": mappings, **more}


def write(path: Path, *authenticators: Object, **more: Any) -> None:
    header = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration"}
    path.write_text(json.dumps({**header, "jwt": list(authenticators), **more}))


async def review(api: Api, token: str) -> Object:
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
    status: Object = (await api.create("/apis/authentication.k8s.io/v1/tokenreviews", body))["status"]
    return status


def test_tokens_of_a_file_s_issuer_until_the_file_changes(tmp_path: Path) -> None:
    issuer, file = TokenIssuer(tmp_path / "issuer"), tmp_path / "authentication"

    async def body() -> None:
        async with issuer.running():
            rule = {"expression": "claims.g.size() < 3", "message": "too many groups"}
            write(file, issuer.authenticator(claimValidationRules=[rule]))
            async with serving(tmp_path, authentication_config=file) as api:
                [followed] = [file for file in api.server.followed if file.subject == "authentication"]
                token = issuer.token(g=["a", "b"])
                jane = {"username": "oidc:jane", "groups": ["oidc:a", "oidc:b", "system:authenticated"]}
                assert (await api.whoami(token=token)).body == jane
                assert (await api.whoami(token=issuer.token(g=["a"] * 3))).code == 401
                found = await review(api, issuer.token(g=["a"] * 3))
                assert found["error"] == (
                    "[invalid bearer token, oidc: error evaluating claim validation expression: "
                    "validation expression "
                    "'claims.g.size() < 3' failed: too many groups]"
                )
                other = await review(api, issuer.token(aud=["x", "y"]))
                assert (
                    'oidc: verify token: oidc: expected audience in ["kube"] got ["x" "y"]' in other["error"]
                )
                write(
                    file,
                    issuer.authenticator(
                        userValidationRules=[{"expression": "user.username != 'oidc:jane'"}]
                    ),
                )
                await followed.look()
                assert (await api.whoami(token=token)).code == 401, "what was verified before is asked again"
                assert (await api.whoami(token=issuer.token(sub="joe"))).body["username"] == "oidc:joe"
                file.write_text("kind: nonsense")
                await followed.look()
                assert (await api.whoami(token=issuer.token(sub="ann"))).body["username"] == "oidc:ann"
                write(file)
                await followed.look()
                assert (await api.whoami(token=issuer.token(sub="ann"))).code == 401
                assert (await api.whoami(token="aliceToken")).body["username"] == "alice"

    asyncio.run(body())


def test_an_issuer_whose_document_is_elsewhere(tmp_path: Path) -> None:
    issuer, file = TokenIssuer(tmp_path / "issuer"), tmp_path / "authentication"

    async def body() -> None:
        async with issuer.running():
            issuer.place = "/elsewhere"
            write(file, issuer.authenticator(issuer={"discoveryURL": f"{issuer.url}/elsewhere"}))
            async with serving(tmp_path, authentication_config=file) as api:
                assert (await api.whoami(token=issuer.token())).body["username"] == "oidc:jane"
            assert issuer.asked == ["/elsewhere", "/keys"]

    asyncio.run(body())


def test_anonymous_requests_at_some_paths_only(tmp_path: Path) -> None:
    file = tmp_path / "authentication"

    async def codes(api: Api, *paths: str) -> list[int]:
        return [(await api.ask("GET", path, token=None)).code for path in paths]

    async def body() -> None:
        write(file, anonymous={"enabled": True, "conditions": [{"path": "/livez"}, {"path": "/version"}]})
        async with serving(tmp_path, authentication_config=file) as api:
            [followed] = [file for file in api.server.followed if file.subject == "authentication"]
            assert await codes(api, "/livez", "/version", "/readyz", "/api", "/livez/ping") == [
                200,
                200,
                401,
                401,
                401,
            ]
            write(file, anonymous={"enabled": False})
            await followed.look()
            assert await codes(api, "/livez", "/version") == [401, 401]
            write(file)
            await followed.look()
            assert await codes(api, "/livez", "/version", "/readyz", "/api") == [200, 200, 200, 403]

    asyncio.run(body())


def test_flags_that_contradict_the_file(tmp_path: Path) -> None:
    file = tmp_path / "authentication"
    write(file, anonymous={"enabled": False})
    with pytest.raises(
        ConfigError, match=r"^authentication-config file and oidc-\* flags are mutually exclusive$"
    ):
        ApiServerConfig(authentication_config=file, oidc_issuer_url="https://i", oidc_client_id="c").check()

    async def body(**flags: Any) -> None:
        async with serving(tmp_path, authentication_config=file, **flags):
            pass

    with pytest.raises(
        ConfigError, match="--anonymous-auth flag cannot be set when anonymous field is configured"
    ):
        asyncio.run(body(anonymous_auth=True))
    file.write_text("{}")
    with pytest.raises(ConfigError, match=r"--authentication-config .*: Object 'Kind' is missing"):
        asyncio.run(body())
    file.unlink()
    with pytest.raises(ConfigError, match=r"--authentication-config .*: No such file"):
        asyncio.run(body())
