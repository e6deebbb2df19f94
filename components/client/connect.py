"""Connections to an API server: TLS, TCP keep-alive, pooling. Used by the transport only."""

from __future__ import annotations

import socket
import ssl
import tempfile
from typing import Any

import aiohttp

from components.client.kubeconfig import ClientConfig, KubeconfigError

_IDLE_CONNECTION_SECONDS = 60.0


def ssl_context(config: ClientConfig) -> ssl.SSLContext:
    """Verifies the server against the configured CA (the system's if none); presents our certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if config.insecure_skip_tls_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif config.ca:
            context.load_verify_locations(cadata=config.ca.decode())
        else:
            context.load_default_certs()
        if config.client_cert and config.client_key:
            _load_identity(context, config.client_cert, config.client_key)
    except (ssl.SSLError, UnicodeDecodeError) as error:
        raise KubeconfigError(f"certificates for {config.server} cannot be used: {error}") from error
    return context


def new_session(config: ClientConfig, user_agent: str) -> aiohttp.ClientSession:
    """A session with unlimited connections (each watch holds one); must be made on the running loop."""
    headers = {"User-Agent": user_agent, "Accept": "application/json", "Accept-Encoding": "identity"}
    if config.token:
        headers["Authorization"] = f"Bearer {config.token}"
    connector = aiohttp.TCPConnector(
        ssl=ssl_context(config) if config.server.startswith("https:") else True,
        limit=0,
        keepalive_timeout=_IDLE_CONNECTION_SECONDS,
        socket_factory=_keepalive_socket,
    )
    session = aiohttp.ClientSession(
        connector=connector,
        headers=headers,
        cookie_jar=aiohttp.DummyCookieJar(),
        read_bufsize=1 << 20,
    )
    # By itself it sends PUT and DELETE again when a connection breaks: a write that was done is then answered 409.
    session._retry_connection = False
    return session


def _keepalive_socket(address: tuple[Any, ...]) -> socket.socket:
    """The kernel drops a connection whose peer vanished without a FIN after about 30 s."""
    family, kind, protocol = address[0], address[1], address[2]
    sock = socket.socket(family=family, type=kind, proto=protocol)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 30_000)
    return sock


def _load_identity(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """`ssl` loads identities from files only; this one is private to us and gone at once."""
    with tempfile.NamedTemporaryFile(prefix="client-identity-") as file:
        file.write(certificate.rstrip() + b"\n" + key)
        file.flush()
        context.load_cert_chain(file.name)
