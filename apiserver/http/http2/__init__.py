"""HTTP/2 for the API server: many requests, and many watches, on one connection.

    TLS, with ALPN "h2"  ──▶ `connection.Http2Connection` (framing, flow control and limits: the library h2)
       a stream's head   ──▶ `message` ──▶ aiohttp's request ──▶ the same chain of filters as HTTP/1.1
       its answer        ◀── `writer.StreamWriter` ◀── aiohttp's response
    `stream.Stream` stands between: for aiohttp it is the protocol and the transport of one request.

Made by ``http.connections``, which speaks HTTP/1.1 with everybody else. Upgrades (exec, port-forward) do not exist
here, as with the original: clients use HTTP/1.1 for them.
"""
