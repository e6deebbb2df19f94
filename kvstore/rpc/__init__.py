"""etcd's v3 API over gRPC, on `kvstore.member.Member`.

    grpc.aio bytes -> server (handlers, errors) -> one service a file -> convert -> Member
                                                   ^
                       kvstore.server.gateway -----+   the same objects, called with JSON

Messages of the wire (`proto/`) end here: below are `kvstore.types`.
"""
