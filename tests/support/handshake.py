"""A TLS handshake in memory: what a server's context shows, and whether it takes a client, without a socket."""

from __future__ import annotations

import ssl

from cryptography import x509

from tests.support.pki import Pair


def shown_serial(server: ssl.SSLContext, client: Pair | None = None) -> int:
    """The serial number of the certificate the server shows. Raises ssl.SSLError when either side refuses."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if client is not None:
        context.load_cert_chain(client.cert, client.key)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = context.wrap_bio(to_client, to_server, server_hostname="localhost")
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    waiting = [ours, theirs]
    while waiting:
        waiting = [side for side in waiting if not _shaken(side)]
    return x509.load_der_x509_certificate(ours.getpeercert(binary_form=True) or b"").serial_number


def _shaken(side: ssl.SSLObject) -> bool:
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True
