"""What is served: /api, /apis and their groups and versions, plain and aggregated, /version and the root index."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from apiserver.api import codec
from apiserver.http import health, negotiation, responders
from apiserver.http.request_info import RequestInfo
from apiserver.http.scope import Exchange, Object, Services

if TYPE_CHECKING:
    from apiserver.registry.table import Resource, Subresource

GIT_VERSION: Final = "v1.36.2"
_AGGREGATED: Final = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_ARCH: Final = {"x86_64": "amd64", "aarch64": "arm64"}


def has_resource(services: Services, info: RequestInfo) -> bool:
    """Whether anything answers there; where a group has only custom resources, only they do."""
    if info.prefix == "api" or services.registry.is_built_in(info.group):
        return True
    return services.registry.lookup(info.group, info.version, info.resource) is not None


def known_group(exchange: Exchange) -> bool:
    parts = exchange.info.path.strip("/").split("/")
    return parts[0] == "api" or (len(parts) > 1 and parts[1] in _groups(exchange.services))


def _groups(services: Services) -> Mapping[str, Collection[str]]:
    """Versions by group, also those of other servers; the core group under the empty name."""
    own = services.registry.groups
    return own if services.aggregator is None else services.aggregator.groups(own)


async def handle(exchange: Exchange) -> web.StreamResponse | None:
    parts = exchange.info.path.strip("/").split("/")
    if parts[0] in ("api", "apis"):
        accept = exchange.request.headers.get("Accept")
        exchange.accepted = _plain_form(accept, exchange.services.media_types)
    if parts == ["version"]:
        return await responders.obj(exchange, version())
    if parts == [""]:
        return await responders.obj(exchange, {"paths": _paths(exchange.services)})
    if parts[0] == "api":
        return await _core(exchange, parts)
    if parts[0] == "apis":
        return await _named(exchange, parts)
    return None


def _plain_form(accept: str | None, served: tuple[str, ...]) -> negotiation.Accepted:
    """The form of the documents that are not aggregated; the aggregated one is asked for with parameters."""
    plain = ",".join(clause for clause in (accept or "").split(",") if "as=" not in clause)
    return negotiation.negotiate(plain, served)


def version() -> Object:
    machine = _ARCH.get(platform.machine(), platform.machine())
    return {
        "major": "1",
        "minor": "36",
        "emulationMajor": "1",
        "emulationMinor": "36",
        "minCompatibilityMajor": "1",
        "minCompatibilityMinor": "35",
        "gitVersion": GIT_VERSION,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": f"python {platform.python_version()}",
        "platform": f"linux/{machine}",
    }


async def _core(exchange: Exchange, parts: list[str]) -> web.StreamResponse | None:
    if len(parts) == 1:
        if _wants_aggregated(exchange):
            return await _aggregated(exchange, core=True)
        address = f"{exchange.services.config.advertise_address}:{exchange.services.config.secure_port}"
        document = {
            "kind": "APIVersions",
            "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
        }
        return await responders.obj(exchange, document)
    return await _resources(exchange, "", parts[1]) if len(parts) == 2 else None


async def _named(exchange: Exchange, parts: list[str]) -> web.StreamResponse | None:
    groups = _groups(exchange.services)
    if len(parts) == 1:
        if _wants_aggregated(exchange):
            return await _aggregated(exchange, core=False)
        listed = [_group(name, versions) for name, versions in groups.items() if name]
        return await responders.obj(exchange, {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed})
    if not parts[1] or parts[1] not in groups:
        return None
    if len(parts) == 2:
        group = {"kind": "APIGroup", "apiVersion": "v1", **_group(parts[1], groups[parts[1]])}
        return await responders.obj(exchange, group)
    return await _resources(exchange, parts[1], parts[2]) if len(parts) == 3 else None


def _group(name: str, versions: Collection[str]) -> Object:
    entries = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": entries, "preferredVersion": entries[0]}


async def _resources(exchange: Exchange, group: str, version: str) -> web.StreamResponse | None:
    found = exchange.services.registry.groups.get(group, {}).get(version)
    if not found:
        return None
    entries: list[Object] = []
    for resource in found:
        entries.append(_entry(resource))
        entries.extend(_sub_entry(resource, sub) for sub in resource.subresources.values())
    document = {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{group}/{version}" if group else version,
        "resources": entries,
    }
    if not group:
        del document["apiVersion"]
    return await responders.obj(exchange, document)


def _entry(resource: Resource) -> Object:
    entry: Object = {
        "name": resource.gvr.resource,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.gvk.kind,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    if resource.storage_version_hash:
        entry["storageVersionHash"] = resource.storage_version_hash
    return entry


def _sub_entry(resource: Resource, sub: Subresource) -> Object:
    entry: Object = {
        "name": f"{resource.gvr.resource}/{sub.name}",
        "singularName": "",
        "namespaced": resource.namespaced,
        "kind": sub.gvk.kind,
        "verbs": list(sub.verbs),
    }
    if sub.gvk.group_version != resource.gvk.group_version:
        if sub.gvk.group:
            entry["group"] = sub.gvk.group
        entry["version"] = sub.gvk.version
    return entry


def _wants_aggregated(exchange: Exchange) -> bool:
    """Whether a clause asks for the aggregated form; one that can be served comes before plain JSON."""
    accept = exchange.request.headers.get("Accept", "")
    for media_type, parameters in negotiation.clauses(accept):
        if media_type != negotiation.JSON or not parameters.get("as"):
            continue
        wanted = (parameters["as"], parameters.get("v"), parameters.get("g"))
        if wanted == ("APIGroupDiscoveryList", "v2", "apidiscovery.k8s.io"):
            return True
    return False


async def _aggregated(exchange: Exchange, *, core: bool) -> web.StreamResponse:
    data, etag = _made(exchange.services, core=core)
    return await responders.tagged(exchange, data, _AGGREGATED, etag)


def _made(services: Services, *, core: bool) -> tuple[bytes, str]:
    """The aggregated document and its ETag: made once, unless other servers have a say in it."""
    made = services.registry.documents
    key = "core" if core else "groups"
    if key not in made or (services.aggregator is not None and services.aggregator.serves_others):
        data = _aggregated_document(services, core=core)
        made[key] = data, hashlib.sha512(data).hexdigest().upper()
    return made[key]


def _aggregated_document(services: Services, *, core: bool) -> bytes:
    items = []
    for name, versions in _groups(services).items():
        if (name == "") == core:
            documents = [_version_document(services, name, version) for version in versions]
            metadata: Object = {"name": name} if name else {}
            metadata["creationTimestamp"] = None
            items.append({"metadata": metadata, "versions": documents})
    document = {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    }
    return codec.dumps(document)


def _version_document(services: Services, group: str, version: str) -> Object:
    remote = services.aggregator.entry(group, version) if services.aggregator is not None else None
    if remote is not None:
        return remote
    found = services.registry.groups.get(group, {}).get(version, ())
    return {"version": version, "resources": [_aggregated_entry(r) for r in found], "freshness": "Current"}


def _kind(gvk: Any, own: Any) -> Object:
    """The group version is left out where it is that of the document."""
    same = gvk.group_version == own.group_version
    return {"group": "" if same else gvk.group, "version": "" if same else gvk.version, "kind": gvk.kind}


def _aggregated_entry(resource: Resource) -> Object:
    entry: Object = {
        "resource": resource.gvr.resource,
        "responseKind": _kind(resource.gvk, resource.gvk),
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    if resource.subresources:
        entry["subresources"] = [
            {
                "subresource": sub.name,
                "responseKind": _kind(sub.gvk, resource.gvk),
                "verbs": list(sub.verbs),
            }
            for sub in resource.subresources.values()
        ]
    return entry


def _paths(services: Services) -> list[str]:
    paths = ["/.well-known/openid-configuration", "/api", "/api/v1", "/apis", "/apis/"]
    for group, versions in _groups(services).items():
        if group:
            paths.append(f"/apis/{group}")
            paths.extend(f"/apis/{group}/{version}" for version in versions)
    paths += health.paths()
    paths += ["/metrics", "/openapi/v2", "/openapi/v3", "/openapi/v3/", "/openid/v1/jwks", "/version"]
    return sorted(set(paths))
