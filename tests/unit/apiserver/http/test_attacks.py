"""Attacks over HTTPS on a running API server, each with the status it gets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.api import Api, serving
from tests.support.pki import Pki

NS = "/api/v1/namespaces"
RBAC = "/apis/rbac.authorization.k8s.io/v1"


def run(folder: Path, body: Callable[[Api], Awaitable[None]], **flags: Any) -> None:
    async def main() -> None:
        async with serving(folder, **flags) as api:
            await body(api)

    asyncio.run(main())


def test_certificates_and_front_proxies(tmp_path: Path) -> None:
    clients, proxies, strangers = (Pki(tmp_path / name) for name in ("clients", "proxies", "strangers"))
    spoof = {"X-Remote-User": "root", "X-Remote-Group": "system:masters"}
    remote = {"X-Remote-User": "jane", "X-Remote-Group": "dev", "X-Remote-Extra-Acme.io%2fTeam": "blue"}

    async def body(api: Api) -> None:
        jane = clients.issue("jane", organization="dev")
        found = await api.whoami(token=None, pair=jane, headers=spoof)
        assert (found.body["username"], found.body["groups"]) == ("jane", ["dev", "system:authenticated"])
        anonymous = await api.whoami(token=None, headers=spoof)
        assert anonymous.code == 403
        assert 'User "system:anonymous"' in anonymous.message
        for pair in (strangers.issue("jane"), clients.issue("server", server_only=True)):
            with pytest.raises(aiohttp.ClientError):  # TLS refuses it, before any answer
                await api.whoami(token=None, pair=pair)
        front = proxies.issue("front")
        found = await api.whoami(token=None, pair=front, headers=remote)
        assert found.body["username"] == "jane"
        assert found.body["groups"] == ["dev", "system:authenticated"]
        assert found.body["extra"] == {"acme.io/team": ["blue"]}
        assert (
            await api.whoami(token=None, pair=front)
        ).code == 401  # it names nobody, and is no client itself
        other = proxies.issue("other")
        assert (await api.whoami(token=None, pair=other, headers=spoof)).code == 401
        same_name = clients.issue("front")  # of the wrong authority
        assert (await api.whoami(token=None, pair=same_name, headers=spoof)).body["username"] == "front"

    flags = {"client_ca_file": clients.ca, "requestheader_client_ca_file": proxies.ca}
    run(tmp_path, body, **flags, requestheader_allowed_names=("front",))


async def review(api: Api, token: str, *audiences: str) -> Any:
    spec = {"token": token, "audiences": list(audiences)}
    obj = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec}
    return (await api.ask("POST", "/apis/authentication.k8s.io/v1/tokenreviews", obj)).body["status"]


async def request_token(api: Api, account: str = "robot", **spec: Any) -> Any:
    obj = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    return await api.ask("POST", f"{NS}/default/serviceaccounts/{account}/token", obj)


def test_tokens_of_service_accounts(tmp_path: Path) -> None:
    async def body(api: Api) -> None:
        for name in ("robot", "other"):
            await api.create(f"{NS}/default/serviceaccounts", {"metadata": {"name": name}})
        spec = {"serviceAccountName": "robot", "containers": [{"name": "c", "image": "x"}]}
        pod = await api.create(f"{NS}/default/pods", {"metadata": {"name": "p"}, "spec": spec})
        bound = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": pod["metadata"]["uid"]}
        token = (await request_token(api, boundObjectRef=bound)).body["status"]["token"]
        assert (await api.whoami(token=token)).body["extra"]["authentication.kubernetes.io/pod-name"] == ["p"]
        wrong = await request_token(api, "other", boundObjectRef=bound)
        assert (wrong.code, "different serviceaccount name" in wrong.message) == (400, True)
        changed = await request_token(api, boundObjectRef={**bound, "uid": "x"})
        assert changed.code == 409
        vault = (await request_token(api, audiences=["vault"])).body["status"]["token"]
        assert (await api.whoami(token=vault)).code == 401
        assert (await review(api, vault, "x", "vault"))["audiences"] == ["vault"]
        assert (await review(api, vault))["error"].startswith("[invalid bearer token, token audiences")
        assert (await api.whoami(token=token[:-4] + "AAAA")).code == 401
        gone = await api.ask("DELETE", f"{NS}/default/pods/p", {"gracePeriodSeconds": 0})
        assert gone.code == 200
        assert (await review(api, token))["error"].endswith("service account token has been invalidated]")

    run(tmp_path, body)


def test_the_issuer_publishes_its_keys_to_service_accounts_alone(tmp_path: Path) -> None:
    async def body(api: Api) -> None:
        await api.create(f"{NS}/default/serviceaccounts", {"metadata": {"name": "robot"}})
        token = (await request_token(api)).body["status"]["token"]
        document = await api.ask("GET", "/.well-known/openid-configuration", token=token)
        assert document.body["issuer"] == "https://kubernetes.default.svc"
        assert len((await api.ask("GET", "/openid/v1/jwks", token=token)).body["keys"]) == 1
        assert (await api.ask("GET", "/openid/v1/jwks", token=None)).code == 403

    run(tmp_path, body)


def test_bootstrap_tokens_only_where_they_are_asked_for(tmp_path: Path) -> None:
    secret = {
        "metadata": {"name": "bootstrap-token-abcdef"},
        "type": "bootstrap.kubernetes.io/token",
        "stringData": {
            "token-id": "abcdef",
            "token-secret": "0123456789abcdef",
            "usage-bootstrap-authentication": "true",
        },
    }

    async def accepted(api: Api) -> None:
        await api.create(f"{NS}/kube-system/secrets", secret)
        found = await api.whoami(token="abcdef.0123456789abcdef")
        assert found.body["groups"] == ["system:bootstrappers", "system:authenticated"]
        assert (await api.whoami(token="abcdef.0123456789abcdee")).code == 401

    async def unknown(api: Api) -> None:
        await api.create(f"{NS}/kube-system/secrets", secret)
        assert (await api.whoami(token="abcdef.0123456789abcdef")).code == 401

    run(tmp_path, accepted, enable_bootstrap_token_auth=True)
    run(tmp_path, unknown)


def test_rights_are_not_grown_by_way_of_other_objects(tmp_path: Path) -> None:
    """Alice may manage roles and bindings, and act as one user; she does not get further that way."""
    rules = [
        {
            "apiGroups": ["rbac.authorization.k8s.io"],
            "resources": ["*"],
            "verbs": ["create", "update", "patch", "get"],
        },
        {"apiGroups": [""], "resources": ["users"], "resourceNames": ["bob"], "verbs": ["impersonate"]},
    ]
    everything = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]

    async def body(api: Api) -> None:
        await api.create(f"{RBAC}/clusterroles", {"metadata": {"name": "manager"}, "rules": rules})
        subject = {"kind": "User", "name": "alice", "apiGroup": "rbac.authorization.k8s.io"}
        ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "manager"}
        binding = {"metadata": {"name": "alice"}, "subjects": [subject], "roleRef": ref}
        await api.create(f"{RBAC}/clusterrolebindings", binding)

        async def tries(method: str, path: str, obj: Any, **headers: str) -> int:
            return (await api.ask(method, path, obj, token="aliceToken", headers=headers)).code

        roles, bindings = f"{RBAC}/clusterroles", f"{RBAC}/clusterrolebindings"
        assert await tries("POST", roles, {"metadata": {"name": "a"}, "rules": rules}) == 201
        assert await tries("POST", roles, {"metadata": {"name": "b"}, "rules": everything}) == 403
        assert (
            await tries("PUT", f"{roles}/manager", {"metadata": {"name": "manager"}, "rules": everything})
            == 403
        )
        aggregated = {
            "metadata": {"name": "c"},
            "rules": [],
            "aggregationRule": {"clusterRoleSelectors": [{}]},
        }
        assert await tries("POST", roles, aggregated) == 403
        patch = {"Content-Type": "application/merge-patch+json"}
        more = {"rules": [*rules, *everything]}
        assert await tries("PATCH", f"{roles}/a", more, **patch) == 403
        assert await tries("PATCH", f"{roles}/a", {"metadata": {"finalizers": ["x/y"]}}, **patch) == 200
        admin = {**binding, "metadata": {"name": "d"}, "roleRef": {**ref, "name": "cluster-admin"}}
        assert await tries("POST", bindings, admin) == 403
        assert await tries("POST", bindings, {**binding, "metadata": {"name": "e"}}) == 201
        assert await tries("GET", f"{NS}/default/secrets", None, **{"Impersonate-User": "bob"}) == 403
        group = {"Impersonate-User": "bob", "Impersonate-Group": "system:masters"}
        assert await tries("GET", f"{NS}/default/secrets", None, **group) == 403
        assert (await api.whoami(token="aliceToken", headers={"Impersonate-User": "bob"})).body[
            "username"
        ] == "bob"
        assert (await api.whoami(token="aliceToken", headers={"Impersonate-User": "carol"})).code == 403

    run(tmp_path, body)
