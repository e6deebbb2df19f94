"""Rules for Ingresses and IngressClasses (``pkg/apis/networking/validation``). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from apiserver.api import meta, names
from apiserver.api.field_errors import FieldError, Path, forbidden, invalid, not_supported, required, too_long
from apiserver.validation.addresses import legacy_ip, parse_ip
from apiserver.validation.common import immutable
from apiserver.validation.domains import (
    complaints,
    domain_prefixed_path,
    label,
    needed_path_segment,
    subdomain,
)

Object = dict[str, Any]
Options = Mapping[str, Any]

_SPEC: Final = Path("spec")
_CLASS_ANNOTATION: Final = "kubernetes.io/ingress.class"
_FORBIDDEN_PARTS: Final = ("//", "/./", "/../", "%2f", "%2F")
_FORBIDDEN_ENDS: Final = ("/..", "/.")
_PATH_TYPES: Final = ("Exact", "ImplementationSpecific", "Prefix")
_SCOPES: Final = ("Cluster", "Namespace")
_CONTROLLER_MAX: Final = 250
_NOT_AN_IP: Final = "must be a DNS name, not an IP address"


def validate_new_ingress(obj: Object, options: Options) -> list[FieldError]:
    spec = obj.get("spec") or {}
    found = _ingress(spec, secrets=True, wildcard_rules=True)
    annotation, named = meta.annotations(obj).get(_CLASS_ANNOTATION), spec.get("ingressClassName")
    if annotation is not None and named is not None and annotation != named:
        text = "must match `ingressClassName` when both are specified"
        found.append(invalid(Path("annotations").child(_CLASS_ANNOTATION), annotation, text))
    return found


def validate_ingress_update(new: Object, old: Object, options: Options) -> list[FieldError]:
    """What was wrong already may stay wrong: names of secrets, rules of hosts with a wildcard."""
    before = old.get("spec") or {}
    secrets = not any(_secret_name(tls, _SPEC) for tls in before.get("tls") or ())
    rules = not any("*" in (r.get("host") or "") and _http(r, _SPEC) for r in before.get("rules") or ())
    return _ingress(new.get("spec") or {}, secrets=secrets, wildcard_rules=rules)


def _ingress(spec: Object, *, secrets: bool, wildcard_rules: bool) -> list[FieldError]:
    found: list[FieldError] = []
    if not spec.get("rules") and spec.get("defaultBackend") is None:
        found.append(
            invalid(_SPEC, spec.get("rules"), "either `defaultBackend` or `rules` must be specified")
        )
    if spec.get("defaultBackend") is not None:
        found += _backend(spec["defaultBackend"], _SPEC.child("defaultBackend"))
    for at, rule in enumerate(spec.get("rules") or ()):
        found += _rule(rule, _SPEC.child("rules").index(at), wildcard_rules=wildcard_rules)
    for at, tls in enumerate(spec.get("tls") or ()):
        found += _tls(tls, _SPEC.child("tls").index(at), secrets=secrets)
    if spec.get("ingressClassName") is not None:
        found += subdomain(spec["ingressClassName"], _SPEC.child("ingressClassName"))
    return found


def _rule(rule: Object, path: Path, *, wildcard_rules: bool) -> list[FieldError]:
    host, found = rule.get("host") or "", []
    if host:
        if parse_ip(host) is not None:
            found.append(invalid(path.child("host"), host, _NOT_AN_IP))
        found += _host(host, path.child("host"))
    return found + (_http(rule, path) if wildcard_rules or "*" not in host else [])


def _host(host: str, path: Path) -> list[FieldError]:
    check = names.check_wildcard_subdomain if "*" in host else names.check_dns1123_subdomain
    return complaints(check(host), host, path)


def _http(rule: Object, path: Path) -> list[FieldError]:
    if rule.get("http") is None:
        return []
    where, paths = path.child("http", "paths"), rule["http"].get("paths") or ()
    found = [] if paths else [required(where)]
    for at, entry in enumerate(paths):
        found += _path(entry, where.index(at))
    return found


def _path(entry: Object, path: Path) -> list[FieldError]:
    kind, value = entry.get("pathType"), entry.get("path") or ""
    where = path.child("path")
    if kind is None:
        return [required(path.child("pathType"), "pathType must be specified")]
    found: list[FieldError] = []
    if kind not in _PATH_TYPES:
        found.append(not_supported(path.child("pathType"), kind, _PATH_TYPES, ordered=True))
    elif not value.startswith("/") and (value or kind != "ImplementationSpecific"):
        found.append(invalid(where, value, "must be an absolute path"))
    if kind in ("Exact", "Prefix"):
        found += [
            invalid(where, value, f"must not contain '{part}'") for part in _FORBIDDEN_PARTS if part in value
        ]
        found += [
            invalid(where, value, f"cannot end with '{end}'")
            for end in _FORBIDDEN_ENDS
            if value.endswith(end)
        ]
    return found + _backend(entry.get("backend") or {}, path.child("backend"))


def _backend(backend: Object, path: Path) -> list[FieldError]:
    service, resource = backend.get("service"), backend.get("resource")
    if service is not None and resource is not None:
        return [invalid(path, "", "cannot set both resource and service backends")]
    if resource is not None:
        return _reference(resource, path.child("resource"))
    if service is None:
        return [invalid(path, "", "resource or service backend is required")]
    name, where = service.get("name") or "", path.child("service", "name")
    return [*(label(name, where) if name else [required(where)]), *_port(service.get("port") or {}, path)]


def _port(port: Object, path: Path) -> list[FieldError]:
    name, number, where = port.get("name") or "", port.get("number") or 0, path.child("service", "port")
    if name and number:
        return [invalid(path, "", "cannot set both port name & port number")]
    if name:
        return complaints(names.check_port_name(name), name, where.child("name"))
    if number:
        return [invalid(where.child("number"), number, text) for text in names.check_port_number(number)]
    return [required(path, "port name or number is required")]


def _reference(reference: Object, path: Path) -> list[FieldError]:
    group, found = reference.get("apiGroup"), []
    if group is not None:
        found += subdomain(group, path.child("apiGroup"))
    for field in ("kind", "name"):
        found += needed_path_segment(reference.get(field) or "", path.child(field))
    return found


def _tls(tls: Object, path: Path, *, secrets: bool) -> list[FieldError]:
    found: list[FieldError] = []
    for at, host in enumerate(tls.get("hosts") or ()):
        found += _host(host, path.child("hosts").index(at))
    return found + (_secret_name(tls, path) if secrets else [])


def _secret_name(tls: Object, path: Path) -> list[FieldError]:
    name = tls.get("secretName") or ""
    return subdomain(name, path.child("secretName")) if name else []


def validate_ingress_class(obj: Object, options: Options) -> list[FieldError]:
    spec = obj.get("spec") or {}
    controller, where = spec.get("controller") or "", _SPEC.child("controller")
    found: list[FieldError] = []
    if len(controller) > _CONTROLLER_MAX:
        found.append(too_long(where, _CONTROLLER_MAX))
    found += domain_prefixed_path(controller, where)
    if spec.get("parameters") is not None:
        found += _parameters(spec["parameters"], _SPEC.child("parameters"))
    return found


def _parameters(parameters: Object, path: Path) -> list[FieldError]:
    found = _reference(parameters, path)
    scope, namespace, where = parameters.get("scope"), parameters.get("namespace"), path.child("namespace")
    if scope is None:
        found.append(required(path.child("scope")))
    elif scope not in _SCOPES:
        found.append(not_supported(path.child("scope"), scope, _SCOPES, ordered=True))
    elif scope == "Cluster" and namespace is not None:
        found.append(forbidden(where, "`parameters.scope` is set to 'Cluster'"))
    elif scope == "Namespace" and namespace is None:
        found.append(required(where, "`parameters.scope` is set to 'Namespace'"))
    elif scope == "Namespace":
        found += label(str(namespace), where)
    return found


def validate_ingress_class_update(new: Object, old: Object, options: Options) -> list[FieldError]:
    mine, theirs = (obj.get("spec") or {} for obj in (new, old))
    return immutable(mine.get("controller"), theirs.get("controller"), _SPEC.child("controller"))


def validate_ingress_status(status: Object, old: Object) -> list[FieldError]:
    path = Path("status").child("loadBalancer", "ingress")
    known = [entry.get("ip") for entry in (old.get("loadBalancer") or {}).get("ingress") or ()]
    found: list[FieldError] = []
    for at, entry in enumerate((status.get("loadBalancer") or {}).get("ingress") or ()):
        address, host, where = entry.get("ip") or "", entry.get("hostname") or "", path.index(at)
        if address:
            found += legacy_ip(address, where.child("ip"), [ip for ip in known if ip])
        if host:
            found += subdomain(host, where.child("hostname"))
            if parse_ip(host) is not None:
                found.append(invalid(where.child("hostname"), host, _NOT_AN_IP))
    return found
