"""An asyncio client of the store: any cluster that speaks etcd's v3 gRPC API, ours or etcd's.

    async with Client(["127.0.0.1:2379", ...]) as client:
        await client.put(PutRequest(b"k", b"v"))
        async with client.watch(WatchCreateRequest(b"k")) as watch:
            async for response in watch: ...

It takes and answers `kvstore.types` and raises `kvstore.errors`. `apiserver.storage.etcd` is its first user.
"""

from kvstore.client.client import Client
from kvstore.client.connections import Tls
from kvstore.client.lease import LeaseKeeper
from kvstore.client.watch import Watch

__all__ = ["Client", "LeaseKeeper", "Tls", "Watch"]
