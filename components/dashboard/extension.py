"""The files of the page, served by an API server at `/ui`.

Fed by the API server's extension hook; composed in `components.master`. Whoever can connect may read these files: they
hold no data, and every request that the page makes for some passes authentication and authorization. Files are read,
compressed and hashed when they are first asked for. Leaves out: anything that is not a file of `static/`.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from aiohttp import hdrs, web

from apiserver.api import errors

if TYPE_CHECKING:
    from apiserver.auth.user import User

PREFIX: Final = "/ui"
ROOT: Final = Path(__file__).parent / "static"
_INDEX: Final = "index.html"
_VIEWER: Final = "viewer.html"
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}

PAGE_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "frame-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types lit-html",
    )
)
"""Nothing from elsewhere, no inline script or style, no text that becomes code."""

VIEWER_POLICY: Final = "; ".join(
    (
        "sandbox allow-scripts allow-popups allow-downloads",
        "default-src 'none'",
        "script-src 'unsafe-inline'",
        "style-src 'unsafe-inline'",
        "img-src data: blob:",
        "font-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'self'",
    )
)
"""A report is one file with its own script in it. The sandbox gives it an origin of its own, so that it sees neither
the page's token nor the API, and it can send nothing anywhere."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is sent. `etag` is of the plain bytes and weak: the compressed ones are equally good."""

    content_type: str
    plain: bytes
    packed: bytes
    etag: str


def load(path: Path) -> Asset:
    """Read, compress (the same bytes whenever it is done) and hash a file."""
    plain = path.read_bytes()
    packed = gzip.compress(plain, 9, mtime=0)
    return Asset(_TYPES[path.suffix], plain, packed, hashlib.sha256(plain).hexdigest()[:32])


class Pages:
    """An `apiserver.http.extension.Extension`, public."""

    prefix = PREFIX
    public = True

    def __init__(self, root: Path = ROOT) -> None:
        self._paths = {
            path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.suffix in _TYPES
        }
        self._assets: dict[str, Asset] = {}

    async def handle(self, request: web.BaseRequest, user: User) -> web.StreamResponse:
        """Raises StatusError: 404, and 405 for anything but GET and HEAD."""
        if request.method not in (hdrs.METH_GET, hdrs.METH_HEAD):
            raise errors.generic(405)
        if request.path == PREFIX:
            return web.Response(status=302, headers={hdrs.LOCATION: f"{PREFIX}/"})
        name = request.path.removeprefix(f"{PREFIX}/") or _INDEX
        if name not in self._paths:
            raise errors.generic(404)
        return _answer(request, name, await self._asset(name))

    async def _asset(self, name: str) -> Asset:
        if name not in self._assets:
            self._assets[name] = await asyncio.to_thread(load, self._paths[name])
        return self._assets[name]


def _answer(request: web.BaseRequest, name: str, asset: Asset) -> web.Response:
    headers = {
        hdrs.ETAG: f'W/"{asset.etag}"',
        hdrs.CACHE_CONTROL: "no-cache",
        hdrs.VARY: hdrs.ACCEPT_ENCODING,
        "Content-Security-Policy": VIEWER_POLICY if name == _VIEWER else PAGE_POLICY,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    if any(tag.value in (asset.etag, "*") for tag in request.if_none_match or ()):
        return web.Response(status=304, headers=headers)
    headers[hdrs.CONTENT_TYPE] = asset.content_type
    body = asset.plain
    if "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, "") and len(asset.packed) < len(asset.plain):
        body = asset.packed
        headers[hdrs.CONTENT_ENCODING] = "gzip"
    return web.Response(body=body, headers=headers)
