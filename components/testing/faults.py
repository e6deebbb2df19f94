"""Faults as a test writes them (P): `fault("error", code=429, verbs=["create"], first=2)`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from apiserver.api.meta import Object

USER = "kuberaft-admin"
_MATCH = ("verbs", "api_groups", "resources", "namespaces", "names")
_SHARE = ("probability", "seed", "every", "first")


def fault(action: str, *, users: Sequence[str] = (USER,), name: str = "", **fields: Any) -> Object:
    """A Fault object (docs/faults.md). ``action``: its type, or a code. Fields of match, share and action by their
    names, with underscores. ``users``: by default whom the kubeconfigs of tests name, so that the cluster's own
    components are spared; ``["*"]`` is everybody.
    """
    spec: dict[str, Any] = {"match": {"users": list(users)}, "share": {}, "action": {}}
    for word, value in fields.items():
        part = "match" if word in _MATCH else "share" if word in _SHARE else "action"
        spec[part][_camel(word)] = list(value) if isinstance(value, tuple | set) else value
    if action.isdigit():
        spec["action"].update(type="error", code=int(action))
    else:
        spec["action"]["type"] = action
    metadata = {"name": name} if name else {}
    return {"apiVersion": "kuberaft.io/v1", "kind": "Fault", "metadata": metadata, "spec": spec}


def _camel(word: str) -> str:
    return re.sub("_([a-z])", lambda found: found[1].upper(), word)
