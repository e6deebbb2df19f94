"""How long one decision of the RBAC authorizer takes beside the default policy and a thousand bindings of others."""

from __future__ import annotations

import asyncio
import time

from apiserver.api import codec
from apiserver.auth import builtin_policy
from apiserver.auth.authorizer import Authorizer
from apiserver.auth.rbac import Attributes
from apiserver.auth.user import AUTHENTICATED, User
from apiserver.storage.cacher import Caches
from apiserver.storage.memory import MemoryStorage
from benchmarks.table import Row, show

_BINDINGS = 1000
_ROUNDS = 20000
_MANAGER = User("system:kube-controller-manager", (AUTHENTICATED,))
_PERSON = User("user7", ("dev", AUTHENTICATED))
_QUESTIONS = {
    "allowed by a RoleBinding": Attributes(_PERSON, "get", "", "pods", namespace="ns7", name="x"),
    "refused": Attributes(_PERSON, "delete", "", "pods", namespace="ns7", name="x"),
    "the controller manager, with all roles of controllers": Attributes(
        _MANAGER, "update", "apps", "replicasets", namespace="ns7"
    ),
}


async def _store(storage: MemoryStorage) -> None:
    for plural, objects in builtin_policy.objects().items():
        for obj in objects:
            metadata = obj["metadata"]
            path = (
                f"{metadata['namespace']}/{metadata['name']}" if "namespace" in metadata else metadata["name"]
            )
            await storage.create(f"/registry/{plural}/{path}", codec.encode(obj))
    rule = {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]}
    for number in range(_BINDINGS):
        metadata = {"name": f"r{number}", "namespace": f"ns{number % 20}"}
        path = f"{metadata['namespace']}/{metadata['name']}"
        await storage.create(f"/registry/roles/{path}", codec.encode({"metadata": metadata, "rules": [rule]}))
        subject = {"kind": "User", "name": f"user{number}"}
        ref = {"kind": "Role", "name": f"r{number}"}
        binding = {"metadata": metadata, "subjects": [subject], "roleRef": ref}
        await storage.create(f"/registry/rolebindings/{path}", codec.encode(binding))


async def _measure() -> list[Row]:
    storage = MemoryStorage()
    await _store(storage)
    caches = Caches(storage)
    authorizer = Authorizer(["Node", "RBAC"], caches)
    rows = []
    for what, asked in _QUESTIONS.items():
        await authorizer.decide(asked)
        started = time.perf_counter()
        for _ in range(_ROUNDS):
            await authorizer.decide(asked)
        rows.append(Row(what, (time.perf_counter() - started) / _ROUNDS * 1e6, "microseconds"))
    await caches.close()
    return rows


def main() -> None:
    show(f"One RBAC decision with {_BINDINGS} bindings", asyncio.run(_measure()))


if __name__ == "__main__":
    main()
