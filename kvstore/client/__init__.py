"""A client of this store and of any etcd, for callers in other processes.

    Client (client.py)      calls in `kvstore.types`, failing over between endpoints
      Channels (channels.py)  one gRPC channel an endpoint, who the caller is, which endpoint is in use
      WatchStream (watch.py)  one watch, resumed on another endpoint after the last revision seen
      LeaseKeeper (lease.py)  a lease that is renewed until its holder leaves, or says that it is lost
      convert.py errors.py    the wire's messages and statuses in the store's own vocabulary

It answers to the same names as `kvstore.member.Member` does for callers inside the process, so that one piece
of code can use either.
"""

from kvstore.client.channels import ClientTls
from kvstore.client.client import Client
from kvstore.client.lease import LeaseKeeper

__all__ = ["Client", "ClientTls", "LeaseKeeper"]
