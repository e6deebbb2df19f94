"""Self-contained kubeconfig files: server, authority and identity inline, so that a file can be copied
anywhere.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import yaml

from components.cluster.errors import ClusterError
from components.cluster.files import write_private


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


def user_file() -> Path:
    """Where kubectl looks: the first file of $KUBECONFIG, else ~/.kube/config."""
    named = os.environ.get("KUBECONFIG", "").split(os.pathsep)[0]
    return Path(named).expanduser() if named else Path("~/.kube/config").expanduser()


def merge_into(target: Path, content: bytes) -> str:
    """Add a kubeconfig's entries to the file `target`, replacing those of the same names; its
    context's name.
    """
    added = yaml.safe_load(content)
    document: Any = {"apiVersion": "v1", "kind": "Config"}
    if target.exists():
        document = yaml.safe_load(target.read_bytes())
        if not isinstance(document, dict):
            raise ClusterError(f"{target}: is no kubeconfig", "repair or move that file")
    for section in ("clusters", "users", "contexts"):
        names = {entry["name"] for entry in added[section]}
        kept = [entry for entry in document.get(section) or [] if entry.get("name") not in names]
        document[section] = kept + added[section]
    document["current-context"] = added["current-context"]
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(target, yaml.safe_dump(document, sort_keys=False).encode())
    return str(added["current-context"])
