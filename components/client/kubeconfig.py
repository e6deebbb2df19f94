"""Kubeconfig files: where the API server is and who we are.

`load` understands what kubectl writes for clusters, users and contexts (files or inline base64 data);
exec plugins and basic auth are refused with a clear error. `write` makes a file with one of each.
"""

from __future__ import annotations

import base64
import binascii
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_USER_FILES = ("client-certificate", "client-key", "tokenFile")


class KubeconfigError(ValueError):
    """The file is missing, unreadable, or does not say what is needed; the message names it."""


@dataclass(frozen=True)
class ClientConfig:
    """One server and one identity. Certificates and keys are PEM bytes.

    `sources` are the files it was read from, the kubeconfig first: `reload` follows them. `context` is its entry there.
    """

    server: str
    ca: bytes | None = None
    client_cert: bytes | None = None
    client_key: bytes | None = None
    token: str | None = None
    namespace: str = "default"
    insecure_skip_tls_verify: bool = False
    tls_server_name: str | None = None
    sources: tuple[Path, ...] = field(default=(), compare=False)
    context: str | None = field(default=None, compare=False)


def load(path: Path | str, context: str | None = None) -> ClientConfig:
    """The configuration of `context` (the file's current-context when None). Raises KubeconfigError."""
    path = Path(path)
    document = _parse(path)
    name = context or document.get("current-context") or ""
    chosen = _named(path, document, "contexts", "context", name)
    cluster = _named(path, document, "clusters", "cluster", chosen.get("cluster") or "")
    user_name = chosen.get("user") or ""
    user = _named(path, document, "users", "user", user_name) if user_name else {}
    for unsupported in ("exec", "auth-provider", "username"):
        if unsupported in user:
            raise KubeconfigError(f"{path}: user {user_name!r}: {unsupported!r} is not supported")
    if not cluster.get("server"):
        raise KubeconfigError(f"{path}: cluster {chosen.get('cluster')!r} has no server")
    return ClientConfig(
        server=cluster["server"].rstrip("/"),
        ca=_data(path, cluster, "certificate-authority"),
        client_cert=_data(path, user, "client-certificate"),
        client_key=_data(path, user, "client-key"),
        token=_token(path, user),
        namespace=chosen.get("namespace") or "default",
        insecure_skip_tls_verify=bool(cluster.get("insecure-skip-tls-verify")),
        tls_server_name=cluster.get("tls-server-name"),
        sources=(path, *_files(path, cluster, "certificate-authority"), *_files(path, user, *_USER_FILES)),
        context=context,
    )


def write(path: Path | str, config: ClientConfig, *, cluster: str = "kuberaft", user: str = "admin") -> None:
    """Write a self-contained kubeconfig, readable by its owner only; replaces `path` atomically."""
    document = document_of(config, cluster=cluster, user=user)
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            yaml.safe_dump(document, file, sort_keys=False)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def document_of(config: ClientConfig, *, cluster: str, user: str) -> dict[str, Any]:
    """The kubeconfig document of one server and one identity, with everything inline."""
    cluster_entry: dict[str, Any] = {"server": config.server}
    if config.ca:
        cluster_entry["certificate-authority-data"] = _encode(config.ca)
    if config.insecure_skip_tls_verify:
        cluster_entry["insecure-skip-tls-verify"] = True
    if config.tls_server_name:
        cluster_entry["tls-server-name"] = config.tls_server_name
    user_entry: dict[str, Any] = {}
    if config.client_cert and config.client_key:
        user_entry["client-certificate-data"] = _encode(config.client_cert)
        user_entry["client-key-data"] = _encode(config.client_key)
    if config.token:
        user_entry["token"] = config.token
    name = f"{user}@{cluster}"
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": cluster, "cluster": cluster_entry}],
        "users": [{"name": user, "user": user_entry}],
        "contexts": [
            {"name": name, "context": {"cluster": cluster, "user": user, "namespace": config.namespace}}
        ],
        "current-context": name,
    }


def _parse(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise KubeconfigError(f"cannot read kubeconfig {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise KubeconfigError(f"{path} is not YAML: {error}") from error
    if not isinstance(document, dict):
        raise KubeconfigError(f"{path} is not a kubeconfig: expected a mapping at the top")
    return document


def _named(path: Path, document: dict[str, Any], section: str, key: str, name: str) -> dict[str, Any]:
    for entry in document.get(section) or []:
        if entry.get("name") == name:
            return entry.get(key) or {}
    raise KubeconfigError(f"{path}: no entry named {name!r} in {section}")


def _files(path: Path, entry: dict[str, Any], *keys: str) -> list[Path]:
    """Those that are read because nothing is given inline."""
    return [path.parent / entry[key] for key in keys if entry.get(key) and not entry.get(f"{key}-data")]


def _data(path: Path, entry: dict[str, Any], key: str) -> bytes | None:
    inline = entry.get(f"{key}-data")
    if inline:
        try:
            return base64.b64decode(inline, validate=True)
        except (binascii.Error, ValueError) as error:
            raise KubeconfigError(f"{path}: {key}-data is not base64: {error}") from error
    return _file(path, entry[key]) if entry.get(key) else None


def _file(path: Path, name: str) -> bytes:
    target = path.parent / name
    try:
        return target.read_bytes()
    except OSError as error:
        raise KubeconfigError(f"{path}: cannot read {target}: {error.strerror}") from error


def _token(path: Path, user: dict[str, Any]) -> str | None:
    if user.get("token"):
        return str(user["token"])
    if user.get("tokenFile"):
        return _file(path, user["tokenFile"]).decode().strip()
    return None


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()
