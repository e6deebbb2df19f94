"""A small extension API server over TLS, as a metrics server is one: it believes front proxies, and nobody else.

It serves ``metrics.k8s.io/v1beta1`` with node and pod metrics, a watch, a WebSocket that echoes, and its documents.
"""

from __future__ import annotations

import base64
import json
import ssl
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.support.pki import Pair, Pki

Object = dict[str, Any]
GROUP, VERSION = "metrics.k8s.io", "v1beta1"
BASE = f"/apis/{GROUP}/{VERSION}"
NAME, NAMESPACE = "metrics", "kube-system"
_KINDS = {"nodes": ("NodeMetrics", False), "pods": ("PodMetrics", True)}
_NODES = {
    "metadata": {"name": "w1"},
    "timestamp": "2026-01-01T00:00:00Z",
    "window": "30s",
    "usage": {"cpu": "250m", "memory": "512Mi"},
}
_METADATA = {"description": "Standard object's metadata, as this server words it.", "type": "object"}
OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
NODE_METRICS = "io.k8s.metrics.pkg.apis.metrics.v1beta1.NodeMetrics"


class ExtensionServer:
    """``modern``: it has the aggregated discovery document and OpenAPI v3. ``seen``: the headers of requests, by path.

    ``failing``, ``answers`` (texts by path): what is wrong with it.
    """

    def __init__(self, directory: Path, front_proxies: Pki, *, modern: bool = True) -> None:
        self.pki = Pki(directory / "extension")
        self._pair: Pair = self.pki.issue("metrics", server_only=True, dns=[f"{NAME}.{NAMESPACE}.svc"])
        self.front_proxies = front_proxies
        self.modern = modern
        self.seen: dict[str, Any] = {}
        self.failing = False
        self.answers: dict[str, str] = {}
        self.port = 0
        self._runner: web.ServerRunner | None = None

    async def start(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._pair.cert, self._pair.key)
        context.load_verify_locations(self.front_proxies.ca)
        context.verify_mode = ssl.CERT_OPTIONAL
        self._runner = web.ServerRunner(web.Server(self._answer), shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=context).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def bundle(self) -> str:
        return base64.b64encode(self.pki.ca.read_bytes()).decode()

    def objects(self) -> list[tuple[str, Object]]:
        """(path, object): the Service and its EndpointSlice."""
        service = {"metadata": {"name": NAME}, "spec": {"ports": [{"port": 443, "name": "https"}]}}
        endpoints = {
            "metadata": {"name": f"{NAME}-1", "labels": {"kubernetes.io/service-name": NAME}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": True}}],
            "ports": [{"name": "https", "port": self.port, "protocol": "TCP"}],
        }
        return [
            (f"/api/v1/namespaces/{NAMESPACE}/services", service),
            (f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices", endpoints),
        ]

    def api_service(self, **spec: Any) -> Object:
        return {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": f"{VERSION}.{GROUP}"},
            "spec": {
                "group": GROUP,
                "version": VERSION,
                "service": {"namespace": NAMESPACE, "name": NAME},
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
                "caBundle": self.bundle,
                **spec,
            },
        }

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.seen[request.path] = request.headers
        if self.failing:
            return web.Response(status=500, text="out of order")
        if request.path in self.answers:
            return web.Response(text=self.answers[request.path], content_type="application/json")
        user = self._user(request)
        if user is None:
            return web.Response(status=401, text="who is it?")
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await _echo(request)
        if request.path == f"{BASE}/nodes":
            if request.query.get("watch"):
                return await _watch(request)
            return _json(_list("NodeMetricsList", [_NODES]))
        if request.path == f"{BASE}/whoami":
            return _json({**user, "body": (await request.read()).decode(), "method": request.method})
        document = self._document(request)
        return web.Response(status=404) if document is None else _json(document)

    def _user(self, request: web.BaseRequest) -> Object | None:
        """Whom a front proxy says that it is; without the front proxy's certificate, nobody."""
        assert request.transport is not None
        if not request.transport.get_extra_info("peercert"):
            return None
        headers = request.headers
        extra = {name[15:]: value for name, value in headers.items() if name.startswith("X-Remote-Extra-")}
        return {
            "user": headers.get("X-Remote-User", ""),
            "groups": headers.getall("X-Remote-Group", []),
            "uid": headers.get("X-Remote-Uid", ""),
            "extra": extra,
        }

    def _document(self, request: web.BaseRequest) -> Object | None:
        match request.path:
            case "/apis" if self.modern and "as=APIGroupDiscoveryList" in request.headers["Accept"]:
                return _aggregated()
            case "/apis":
                return {"kind": "APIGroupList", "apiVersion": "v1", "groups": []}
            case path if path == BASE:
                return _resources()
            case "/openapi/v3" if self.modern:
                url = f"/openapi/v3{BASE}?hash=ABC"
                return {
                    "paths": {BASE[1:]: {"serverRelativeURL": url}, "version": {"serverRelativeURL": url}}
                }
            case "/openapi/v2":
                return _openapi_v2()
            case path if path == f"/openapi/v3{BASE}":
                return {"openapi": "3.0.0", "info": {"title": "metrics"}, "paths": {f"{BASE}/nodes": {}}}
        return None


def _json(document: Object) -> web.Response:
    return web.Response(text=json.dumps(document), content_type="application/json")


def _list(kind: str, items: list[Object]) -> Object:
    return {"kind": kind, "apiVersion": f"{GROUP}/{VERSION}", "metadata": {}, "items": items}


def _aggregated() -> Object:
    resources = [
        {
            "resource": plural,
            "responseKind": {"group": "", "version": "", "kind": kind},
            "scope": "Namespaced" if namespaced else "Cluster",
            "singularResource": "",
            "verbs": ["get", "list"],
        }
        for plural, (kind, namespaced) in _KINDS.items()
    ]
    versions = [{"version": VERSION, "resources": resources, "freshness": "Current"}]
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": [{"metadata": {"name": GROUP}, "versions": versions}],
    }


def _resources() -> Object:
    resources = [
        {"name": plural, "singularName": "", "namespaced": namespaced, "kind": kind, "verbs": ["get", "list"]}
        for plural, (kind, namespaced) in _KINDS.items()
    ]
    scale = {"name": "nodes/scale", "namespaced": False, "kind": "Scale", "group": "autoscaling", "verbs": []}
    group_version = f"{GROUP}/{VERSION}"
    listed = [*resources, scale]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": listed}


def _openapi_v2() -> Object:
    schema = {"$ref": f"#/definitions/{NODE_METRICS}"}
    query = {"name": "limit", "in": "query", "type": "integer"}
    body = {"name": "body", "in": "body", "required": True, "schema": schema}
    answer = {"200": {"description": "OK", "schema": schema}}
    operation = {"operationId": "listNodes", "parameters": [query, body], "responses": answer}
    paths = {f"{BASE}/nodes": {"get": operation}, "/healthz": {}}
    fields = {"metadata": {"$ref": f"#/definitions/{OBJECT_META}"}}
    definitions = {NODE_METRICS: {"type": "object", "properties": fields}, OBJECT_META: _METADATA}
    return {"swagger": "2.0", "info": {"title": "metrics"}, "paths": paths, "definitions": definitions}


async def _watch(request: web.BaseRequest) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    for kind in ("ADDED", "MODIFIED"):
        await response.write(json.dumps({"type": kind, "object": _NODES}).encode() + b"\n")
        if kind == "ADDED" and request.query["watch"] == "held":
            await request.read()
    return response


async def _echo(request: web.BaseRequest) -> web.StreamResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        await socket.send_str(f"echo {message.data}")
    return socket
