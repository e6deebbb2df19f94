"""HTTP/2 (RFC 9113) as a server speaks it, on asyncio: no push, no priorities, no compression of answers.

    socket bytes -> `connection` (frames, flow control) -> `hpack` (heads) -> a `stream` for each request

gRPC (`kvstore.rpc.grpc`) and the API server (`apiserver.http.http2`) are made of it: they say what a stream is. Why it
is here: for a request and its answer it takes a quarter of the processor time of the library h2, and for a call a tenth
of grpc.aio's.
"""
