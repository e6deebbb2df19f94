"""One probe or lifecycle action: an HTTP request, a TCP connection or a command in the container.

Called by `probes.worker` and `pods.hooks`. Answers (success, output for the event); a request that
cannot be made is a failure with the reason, as prober.go reports it.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any

import aiohttp

from components.kubelet.config import VERSION
from components.kubelet.runtime.interface import ExecTimeout, Runtime, RuntimeFault

Object = dict[str, Any]
_BODY_LIMIT = 10 * 1024


class Prober:
    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def probe(
        self, action: Object, container: Object, container_id: str, pod_ip: str, timeout: float
    ) -> tuple[bool, str]:
        """Run the exec, httpGet, tcpSocket (or sleep) of a probe or hook."""
        try:
            if action.get("exec") is not None:
                return await self._exec(container_id, action["exec"].get("command") or [], timeout)
            if action.get("httpGet") is not None:
                return await self._http(action["httpGet"], container, pod_ip, timeout)
            if action.get("tcpSocket") is not None:
                return await self._tcp(action["tcpSocket"], container, pod_ip, timeout)
            if action.get("sleep") is not None:
                await asyncio.sleep(float(action["sleep"]["seconds"]))
                return True, ""
        except ValueError as error:
            return False, str(error)
        if action.get("grpc") is not None:
            return False, "gRPC probes are not supported by this kubelet yet: use httpGet, tcpSocket or exec"
        return False, "missing probe handler"

    async def _exec(self, container_id: str, command: list[str], timeout: float) -> tuple[bool, str]:
        try:
            result = await self._runtime.exec_sync(container_id, command, timeout)
        except ExecTimeout:
            return False, f"command timed out: {' '.join(command)!r} timed out after {timeout:g}s"
        except RuntimeFault as error:
            return False, str(error)
        text = (result.stdout + result.stderr)[:_BODY_LIMIT].decode("utf-8", "replace")
        return result.exit_code == 0, text

    async def _http(self, action: Object, container: Object, pod_ip: str, timeout: float) -> tuple[bool, str]:
        scheme = (action.get("scheme") or "HTTP").lower()
        host, port = action.get("host") or pod_ip, resolve_port(action["port"], container)
        path = action.get("path") or "/"
        url = f"{scheme}://{host}:{port}{path if path.startswith('/') else '/' + path}"
        headers = {"User-Agent": f"kube-probe/{VERSION[1:5]}", "Accept": "*/*", "Connection": "close"}
        headers.update({h["name"]: h["value"] for h in action.get("httpHeaders") or []})
        try:
            async with asyncio.timeout(timeout):
                async with self._client().get(
                    url, headers=headers, allow_redirects=False, ssl=_insecure(scheme)
                ) as response:
                    await response.content.read(_BODY_LIMIT)
                    code = response.status
        except TimeoutError:
            return (
                False,
                f'Get "{url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)',
            )
        except (aiohttp.ClientError, OSError) as error:
            return False, f'Get "{url}": {_dial_error(error, host, port)}'
        if 200 <= code < 400:
            return True, ""
        return False, f"HTTP probe failed with statuscode: {code}"

    async def _tcp(self, action: Object, container: Object, pod_ip: str, timeout: float) -> tuple[bool, str]:
        host, port = action.get("host") or pod_ip, resolve_port(action["port"], container)
        try:
            async with asyncio.timeout(timeout):
                await _connect(host, port)
        except TimeoutError:
            return False, f"dial tcp {host}:{port}: i/o timeout"
        except OSError as error:
            return False, _dial_error(error, host, port)
        return True, ""

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True, limit=0))
        return self._session


async def _connect(host: str, port: int) -> None:
    """Open a TCP connection and close it. A bare socket: a cancelled `open_connection` may leave its own open."""
    loop = asyncio.get_running_loop()
    family, kind, protocol, _, address = (await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))[0]
    with socket.socket(family, kind, protocol) as sock:
        sock.setblocking(False)
        await loop.sock_connect(sock, address)


def _insecure(scheme: str) -> ssl.SSLContext | bool:
    """Probes do not verify certificates, as the original's do not."""
    if scheme != "https":
        return True
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _dial_error(error: BaseException, host: str, port: int) -> str:
    if isinstance(error, ConnectionRefusedError) or isinstance(
        getattr(error, "os_error", None), ConnectionRefusedError
    ):
        return f"dial tcp {host}:{port}: connect: connection refused"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "EOF"
    return f"dial tcp {host}:{port}: {error}"


def resolve_port(port: int | str, container: Object) -> int:
    """A number, or the name of one of the container's ports. Raises ValueError."""
    if isinstance(port, int):
        return port
    for named in container.get("ports") or []:
        if named.get("name") == port:
            return int(named["containerPort"])
    try:
        return int(port)
    except ValueError:
        raise ValueError(f"couldn't find port: {port} in container {container['name']}") from None
