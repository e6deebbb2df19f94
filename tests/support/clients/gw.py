"""etcd3gw: the JSON gateway, with its helpers for transactions, leases, locks and watches."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

from etcd3gw.client import Etcd3Client
from etcd3gw.utils import _encode


def main(host: str, port: str) -> None:
    client = Etcd3Client(host=host, port=int(port), api_path="/v3/")
    keys(client)
    transaction(client)
    lease(client)
    lock(client)
    watch(client)
    print("ok")


def keys(client: Etcd3Client) -> None:
    for number in range(5):
        assert client.put(f"gw/k{number}", f"v{number}")
    assert client.get("gw/k3") == [b"v3"]
    assert [value for value, _ in client.get_prefix("gw/k", "descend", "key")] == [
        b"v4",
        b"v3",
        b"v2",
        b"v1",
        b"v0",
    ]
    assert client.replace("gw/k0", "v0", "new")
    assert not client.replace("gw/k0", "v0", "newer")
    assert client.create("gw/once", "1")
    assert not client.create("gw/once", "2")
    assert client.delete("gw/k1")
    assert not client.delete("gw/k1")
    assert client.delete_prefix("gw/k")
    assert client.get("gw/k3") == []
    assert client.status()["version"]
    assert client.members()


def transaction(client: Etcd3Client) -> None:
    key = _encode("gw/txn")
    found: Any = client.transaction(
        {
            "compare": [{"key": key, "result": "EQUAL", "target": "VERSION", "version": 0}],
            "success": [{"request_put": {"key": key, "value": _encode("made")}}],
            "failure": [{"request_range": {"key": key}}],
        }
    )
    assert found["succeeded"], found


def lease(client: Etcd3Client) -> None:
    held = client.lease(ttl=30)
    assert client.put("gw/leased", "x", lease=held)
    assert 0 < held.ttl() <= 30
    assert held.refresh() == 30
    assert held.keys() == [b"gw/leased"]
    assert held.revoke()
    assert client.get("gw/leased") == []


def lock(client: Etcd3Client) -> None:
    first, second = client.lock("gw", ttl=30), client.lock("gw", ttl=30)
    assert first.acquire()
    assert first.is_acquired()
    assert not second.acquire()
    assert first.release()
    assert second.acquire()
    with second:
        pass
    second.release()


def watch(client: Etcd3Client) -> None:
    events, cancel = client.watch_prefix("gw/w")
    found: list[Any] = []

    def read() -> None:
        for event in events:
            found.append(event)
            if len(found) == 3:
                cancel()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    time.sleep(0.3)
    client.put("gw/w1", "a")
    client.put("gw/w2", "b")
    client.delete("gw/w1")
    reader.join(10)
    assert not reader.is_alive()
    assert [(e["kv"]["key"], e.get("type", "PUT")) for e in found] == [
        (b"gw/w1", "PUT"),
        (b"gw/w2", "PUT"),
        (b"gw/w1", "DELETE"),
    ], found


if __name__ == "__main__":
    main(*sys.argv[1:])
