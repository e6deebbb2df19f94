"""The image `kuberaft/echo`: a small server that says who answered, for demonstrations and tests.

Listens on the pod's own address (`POD_IP`): HTTP on `PORT` (8080), TCP echo on the next port, UDP echo
on the one after. One thread and `selectors`; starts in a few ten milliseconds because it imports next to
nothing. Every HTTP answer is JSON: pod, podIP, node, namespace, version (the image's tag), path, client.
The query can ask for `delay=SECONDS`, `status=CODE` and `exit=CODE` (answer, then end). `/readyz` and
`/healthz` answer 200 until a POST to `/readyz?ok=false` or `/healthz?ok=false` changes that. On SIGTERM
it takes no new connection, finishes the requests it has and ends with 0.
"""

from __future__ import annotations

import heapq
import itertools
import os
import select
import signal
import socket
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_REASONS = {200: "OK", 404: "Not Found", 500: "Internal Server Error", 503: "Service Unavailable"}
_MAX_REQUEST = 64 * 1024
_GRACE = 20.0


def quote(text: str) -> str:
    """A JSON string, without importing the json module."""
    out = []
    for char in text:
        if char in '"\\':
            out.append("\\" + char)
        elif char < " ":
            out.append(f"\\u{ord(char):04x}")
        else:
            out.append(char)
    return '"' + "".join(out) + '"'


def to_json(values: dict[str, str]) -> bytes:
    return ("{" + ", ".join(f"{quote(k)}: {quote(v)}" for k, v in values.items()) + "}\n").encode()


def parse_query(text: str) -> dict[str, str]:
    return dict(pair.partition("=")[::2] for pair in text.split("&") if pair)


def identity(environ: dict[str, str]) -> dict[str, str]:
    return {
        "pod": environ.get("POD_NAME", environ.get("HOSTNAME", "")),
        "podIP": environ.get("POD_IP", ""),
        "node": environ.get("NODE_NAME", ""),
        "namespace": environ.get("POD_NAMESPACE", ""),
        "version": environ.get("VERSION", environ.get("KUBERAFT_IMAGE_TAG", "")),
    }


class Connection:
    def __init__(self, sock: socket.socket, peer: str) -> None:
        self.sock, self.peer = sock, peer
        self.received = b""
        self.outgoing = b""
        self.busy = False  # a request is being answered
        self.close_after = False


class Echo:
    def __init__(self, address: str, port: int, who: dict[str, str]) -> None:
        self.who = who
        self.health = {"/healthz": True, "/readyz": True}
        self.connections: dict[int, Connection] = {}
        self.timers: list[tuple[float, int, Callable[[], None]]] = []
        self.order = itertools.count()
        self.epoll = select.epoll()
        self.http = self._listen(address, port)
        self.tcp = self._listen(address, port + 1)
        self.echoes: dict[int, socket.socket] = {}
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((address, port + 2))
        self.udp.setblocking(False)
        self.wake_r, self.wake_w = os.pipe()
        os.set_blocking(self.wake_w, False)
        for fd in (self.udp.fileno(), self.wake_r):
            self.epoll.register(fd, select.EPOLLIN)
        self.deadline = 0.0  # set by SIGTERM
        self.exit_code: int | None = None

    def _listen(self, address: str, port: int) -> socket.socket:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
        sock.listen(512)
        sock.setblocking(False)
        self.epoll.register(sock.fileno(), select.EPOLLIN)
        return sock

    def run(self) -> int:
        signal.set_wakeup_fd(self.wake_w)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        while self.exit_code is None:
            for fd, events in self.epoll.poll(self._timeout()):
                self._ready(fd, events)
            while self.timers and self.timers[0][0] <= time.monotonic():
                heapq.heappop(self.timers)[2]()
            self._check_end()
        return self.exit_code

    def _timeout(self) -> float:
        wait = self.timers[0][0] - time.monotonic() if self.timers else -1.0
        if self.deadline:
            left = self.deadline - time.monotonic()
            wait = min(wait, left) if self.timers else left
            return max(wait, 0.0)
        return max(wait, 0.0) if self.timers else -1.0

    def _check_end(self) -> None:
        if self.deadline and (not self.connections or time.monotonic() >= self.deadline):
            self.exit_code = 0

    def _ready(self, fd: int, events: int) -> None:
        if fd == self.wake_r:
            os.read(fd, 64)
            self._terminate()
        elif fd == self.udp.fileno():
            data, peer = self.udp.recvfrom(65535)
            self.udp.sendto(data, peer)
        elif fd in self.echoes:
            self._echo(fd)
        elif fd in self.connections:
            self._serve(self.connections[fd], events)
        elif not self.deadline:
            self._accept(fd)

    def _accept(self, fd: int) -> None:
        listener = self.http if fd == self.http.fileno() else self.tcp
        try:
            sock, peer = listener.accept()
        except OSError:
            return
        if listener is self.tcp:
            self.echoes[sock.fileno()] = sock
        else:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections[sock.fileno()] = Connection(sock, f"{peer[0]}:{peer[1]}")
        self.epoll.register(sock.fileno(), select.EPOLLIN)

    def _terminate(self) -> None:
        """In-flight requests are finished; what is idle or new is turned away."""
        if self.deadline:
            return
        self.deadline = time.monotonic() + _GRACE
        while True:  # connections the kernel already accepted for us are in flight, too
            try:
                sock, peer = self.http.accept()
            except OSError:
                break
            sock.setblocking(False)
            self.connections[sock.fileno()] = Connection(sock, f"{peer[0]}:{peer[1]}")
            self.epoll.register(sock.fileno(), select.EPOLLIN)
        for listener in (self.http, self.tcp):
            self.epoll.unregister(listener.fileno())
            listener.close()
        for connection in list(self.connections.values()):
            if connection.busy or connection.received or connection.outgoing:
                connection.close_after = True
            else:
                self._last_chance(connection)

    def _last_chance(self, connection: Connection) -> None:
        """A request may be in the socket's buffer already: answer that one before closing."""
        connection.close_after = True
        self._serve(connection, select.EPOLLIN)
        fd = connection.sock.fileno()
        if fd in self.connections and not (connection.busy or connection.outgoing or connection.received):
            self._close(connection)

    def _echo(self, fd: int) -> None:
        sock = self.echoes[fd]
        try:
            data = sock.recv(65536)
            if data:
                sock.sendall(data)
                return
        except OSError:
            pass  # the peer is gone: treated as its end of stream
        self.epoll.unregister(fd)
        del self.echoes[fd]
        sock.close()

    def _serve(self, connection: Connection, events: int) -> None:
        if events & select.EPOLLOUT:
            self._flush(connection)
        if not events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
            return
        try:
            data = connection.sock.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data or len(connection.received) > _MAX_REQUEST:
            self._close(connection)
            return
        connection.received += data
        self._next_request(connection)

    def _next_request(self, connection: Connection) -> None:
        if connection.busy or b"\r\n\r\n" not in connection.received:
            return
        head, _, rest = connection.received.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
        length = int(headers.get("content-length", "0") or 0)
        if len(rest) < length:
            return
        connection.received = rest[length:]
        words = lines[0].split(" ")
        if len(words) != 3:
            self._close(connection)
            return
        if headers.get("connection", "").lower() == "close" or words[2] == "HTTP/1.0":
            connection.close_after = True
        self._handle(connection, words[0], words[1])

    def _handle(self, connection: Connection, method: str, target: str) -> None:
        path, _, query_text = target.partition("?")
        query = parse_query(query_text)
        connection.busy = True
        status = self._status(method, path, query)
        delay = float(query.get("delay", "0") or 0)

        def finish() -> None:
            self._answer(connection, status, path, method)
            if "exit" in query:
                self.exit_code = int(query["exit"] or 0)

        if delay > 0:
            heapq.heappush(self.timers, (time.monotonic() + delay, next(self.order), finish))
        else:
            finish()

    def _status(self, method: str, path: str, query: dict[str, str]) -> int:
        if path in self.health:
            if method == "POST":
                self.health[path] = query.get("ok", "true") != "false"
                return 200
            return 200 if self.health[path] else 503
        return int(query.get("status", "200") or 200)

    def _answer(self, connection: Connection, status: int, path: str, method: str) -> None:
        if connection.sock.fileno() < 0:
            return
        body = to_json({**self.who, "path": path, "client": connection.peer})
        if self.deadline:
            connection.close_after = True
        ending = "close" if connection.close_after else "keep-alive"
        head = (
            f"HTTP/1.1 {status} {_REASONS.get(status, 'Status')}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: {ending}\r\n\r\n"
        )
        connection.outgoing += head.encode() + (b"" if method == "HEAD" else body)
        connection.busy = False
        self._flush(connection)
        if connection.sock.fileno() >= 0:
            self._next_request(connection)

    def _flush(self, connection: Connection) -> None:
        try:
            sent = connection.sock.send(connection.outgoing)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._close(connection)
            return
        connection.outgoing = connection.outgoing[sent:]
        if connection.outgoing:
            self.epoll.modify(connection.sock.fileno(), select.EPOLLIN | select.EPOLLOUT)
        elif connection.close_after:
            self._close(connection)
        else:
            self.epoll.modify(connection.sock.fileno(), select.EPOLLIN)

    def _close(self, connection: Connection) -> None:
        fd = connection.sock.fileno()
        if fd >= 0:
            self.epoll.unregister(fd)
            self.connections.pop(fd, None)
            connection.sock.close()


def main() -> int:
    environ = dict(os.environ)
    address = environ.get("POD_IP", "127.0.0.1")
    port = int(environ.get("PORT", "8080"))
    server = Echo(address, port, identity(environ))
    print(f"listening on {address}: http {port}, tcp {port + 1}, udp {port + 2}", flush=True)
    code = server.run()
    print(f"ended with {code}", flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
