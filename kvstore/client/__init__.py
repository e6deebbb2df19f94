"""A client of this store and of any etcd, for callers in other processes.

    Client (client.py)      calls in `kvstore.types`, failing over between endpoints
      Channels (channels.py)  one gRPC channel an endpoint, who the caller is, which endpoint is in use
      WatchStream (watch.py)  one watch, resumed on another endpoint after the last revision seen
      convert.py errors.py    the wire's messages and statuses in the store's own vocabulary

It answers to the same names as `kvstore.member.Member` does for callers inside the process, so that one piece
of code can use either.
"""

from kvstore.client.channels import ClientTls
from kvstore.client.client import Client

__all__ = ["Client", "ClientTls"]
