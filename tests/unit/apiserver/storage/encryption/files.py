"""Configuration files for the tests of encryption at rest."""

from __future__ import annotations

import base64
import json
from typing import Any

Object = dict[str, Any]
IDENTITY: Object = {"identity": {}}
KINDS = ("aesgcm", "aescbc", "secretbox")


def key(name: str, seed: int = 0) -> Object:
    """A key of 32 bytes, another one for another name or seed."""
    secret = bytes((seed + sum(name.encode()) + at) % 256 for at in range(32))
    return {"name": name, "secret": base64.b64encode(secret).decode()}


def provider(kind: str, *names: str) -> Object:
    return {kind: {"keys": [key(name) for name in names]}}


def rule(resources: list[str], *providers: Object) -> Object:
    return {"resources": resources, "providers": list(providers)}


def document(*rules: Object) -> bytes:
    header = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "EncryptionConfiguration"}
    return json.dumps({**header, "resources": list(rules)}).encode()


def secrets(*providers: Object) -> bytes:
    return document(rule(["secrets"], *providers))
