"""aetcd: gRPC, with its helpers for transactions, leases, locks and watches."""

from __future__ import annotations

import asyncio
import sys

import aetcd


async def main(host: str, port: str) -> None:
    async with asyncio.timeout(30), aetcd.Client(host=host, port=int(port), timeout=10) as client:
        await keys(client)
        await transaction(client)
        await lease(client)
        await lock(client)
        await watch(client)
    print("ok")


async def keys(client: aetcd.Client) -> None:
    for number in range(5):
        await client.put(b"aio/k%d" % number, b"v%d" % number)
    found = await client.get(b"aio/k3")
    assert found is not None
    assert (found.value, found.version) == (b"v3", 1)
    assert [kv.value for kv in await client.get_prefix(b"aio/k")] == [b"v0", b"v1", b"v2", b"v3", b"v4"]
    assert await client.replace(b"aio/k0", b"v0", b"new")
    assert not await client.replace(b"aio/k0", b"v0", b"newer")
    previous = await client.delete(b"aio/k1", prev_kv=True)
    assert previous is not None
    assert previous.prev_kv.value == b"v1"
    assert (await client.delete_prefix(b"aio/k")).deleted == 4
    assert await client.get(b"aio/k3") is None
    assert (await client.status()).version


async def transaction(client: aetcd.Client) -> None:
    steps = client.transactions
    succeeded, _ = await client.transaction(
        compare=[steps.version(b"aio/txn") == 0],
        success=[steps.put(b"aio/txn", b"made"), steps.get(b"aio/txn")],
        failure=[steps.delete(b"aio/txn")],
    )
    assert succeeded


async def lease(client: aetcd.Client) -> None:
    held = await client.lease(30)
    await client.put(b"aio/leased", b"x", lease=held)
    assert 0 < await held.remaining_ttl() <= 30
    assert await held.granted_ttl() == 30
    assert list(await held.keys()) == [b"aio/leased"]
    await held.refresh()
    await held.revoke()
    assert await client.get(b"aio/leased") is None


async def lock(client: aetcd.Client) -> None:
    first, second = client.lock(b"aio/lock", ttl=30), client.lock(b"aio/lock", ttl=30)
    assert await first.acquire(timeout=5)
    assert await first.is_acquired()
    waiting = asyncio.ensure_future(second.acquire(timeout=10))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    await first.release()
    assert await waiting
    async with asyncio.timeout(5):
        await second.release()


async def watch(client: aetcd.Client) -> None:
    watched = await client.watch_prefix(b"aio/w")
    await client.put(b"aio/w1", b"a")
    await client.put(b"aio/w2", b"b")
    await client.delete(b"aio/w1")
    found = []
    async for event in watched:
        found.append((event.kv.key, str(getattr(event.kind, "value", event.kind))))
        if len(found) == 3:
            await watched.cancel()
            break
    assert found == [(b"aio/w1", "PUT"), (b"aio/w2", "PUT"), (b"aio/w1", "DELETE")], found


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
