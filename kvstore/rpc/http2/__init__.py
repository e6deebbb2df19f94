"""gRPC over HTTP/2 on asyncio: the transport under the services of `kvstore.rpc`.

    socket bytes -> connection (frames, flow control) -> hpack -> stream (messages) -> the service's method
                                                                 `methods` says which

Why it is here: a unary call costs grpc.aio over 400 microseconds of processor time and this about 40, and a
watch response another hundred against five; three members on one machine have no processor to spare for that.
It speaks what gRPC needs of HTTP/2 (RFC 9113) as a server: no push, no priorities, no compression.
"""
