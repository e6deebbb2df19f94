"""Self-contained kubeconfig files: server, authority and identity inline, so that a file can be copied anywhere."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import yaml


def render(pki: Path, identity: str, server: str, *, cluster: str = "kuberaft") -> bytes:
    """The kubeconfig of one identity (a path below the PKI directory) for one server URL."""
    user = identity.rsplit("/", 1)[1]
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": cluster,
                "cluster": {"server": server, **_inline(pki / "cluster/ca.crt", "certificate-authority")},
            }
        ],
        "users": [
            {
                "name": f"{cluster}-{user}",
                "user": {
                    **_inline(pki / f"{identity}.crt", "client-certificate"),
                    **_inline(pki / f"{identity}.key", "client-key"),
                },
            }
        ],
        "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": f"{cluster}-{user}"}}],
        "current-context": cluster,
    }
    return yaml.safe_dump(document, sort_keys=False).encode()


def _inline(path: Path, key: str) -> dict[str, Any]:
    return {f"{key}-data": base64.b64encode(path.read_bytes()).decode()}
