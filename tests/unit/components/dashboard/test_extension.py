"""The page's files over HTTP: what is sent, what is allowed, how much it weighs."""

from __future__ import annotations

import asyncio
import gzip
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from components.dashboard.extension import PAGE_POLICY, ROOT, VIEWER_POLICY, Pages, load
from tests.support.api import Api, serving

FILES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*") if path.is_file())
SCRIPTS = [name for name in FILES if name.endswith(".js")]
BUDGET = 150_000  # bytes over the wire, all files of the page


def play(folder: Path, scene: Callable[[aiohttp.ClientSession, Api], Awaitable[None]]) -> None:
    async def main() -> None:
        async with serving(folder, extensions=[Pages()]) as api:
            connector = aiohttp.TCPConnector(ssl=False)
            async with aiohttp.ClientSession(
                api.server.url, connector=connector, auto_decompress=False
            ) as session:
                await scene(session, api)

    asyncio.run(main())


def test_files_are_public_compressed_and_asked_for_again_only_if_changed(tmp_path: Path) -> None:
    async def scene(session: aiohttp.ClientSession, api: Api) -> None:
        async with session.get("/ui/app.js", headers={"Accept-Encoding": "gzip"}) as answer:
            assert answer.status == 200
            assert answer.headers["Content-Encoding"] == "gzip"
            assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
            assert gzip.decompress(await answer.read()) == (ROOT / "app.js").read_bytes()
            etag = answer.headers["ETag"]
        async with session.get("/ui/app.js", headers={"If-None-Match": etag}) as answer:
            assert (answer.status, await answer.read()) == (304, b"")
        async with session.get("/ui/app.js", headers={"Accept-Encoding": "identity"}) as answer:
            assert await answer.read() == (ROOT / "app.js").read_bytes()
        async with session.head("/ui/") as answer:
            assert answer.headers["Content-Type"].startswith("text/html")

    play(tmp_path, scene)


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/ui", 302),
        ("GET", "/ui/", 200),
        ("GET", "/ui/nothing.js", 404),
        ("GET", "/ui/%2e%2e/extension.py", 404),
        ("GET", "/ui/__init__.py", 404),
        ("POST", "/ui/", 405),
    ],
)
def test_nothing_else_is_served(tmp_path: Path, method: str, path: str, code: int) -> None:
    async def scene(session: aiohttp.ClientSession, api: Api) -> None:
        async with session.request(
            method, URL(api.server.url + path, encoded=True), allow_redirects=False
        ) as answer:
            assert answer.status == code

    play(tmp_path, scene)


def test_policies_let_nothing_in_and_nothing_out(tmp_path: Path) -> None:
    async def scene(session: aiohttp.ClientSession, api: Api) -> None:
        async with session.get("/ui/") as answer:
            assert answer.headers["Content-Security-Policy"] == PAGE_POLICY
        async with session.get("/ui/viewer.html") as answer:
            assert answer.headers["Content-Security-Policy"] == VIEWER_POLICY

    assert "unsafe" not in PAGE_POLICY
    assert "allow-same-origin" not in VIEWER_POLICY
    play(tmp_path, scene)


def test_all_files_together_weigh_little() -> None:
    sent = {name: len(load(ROOT / name).packed) for name in FILES if not name.endswith("LICENSE")}
    assert sum(sent.values()) < BUDGET, sent


@pytest.mark.parametrize("name", [name for name in FILES if not name.startswith("vendor/")])
def test_no_file_names_another_host(name: str) -> None:
    text = (ROOT / name).read_text().replace("http://www.w3.org/2000/svg", "")
    assert re.findall(r"(?:https?:)?//[\w-]+\.[\w.-]+", text) == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_import_is_a_file(name: str) -> None:
    for target in re.findall(r'(?:from|import)\s*"(\.[^"]+)"', (ROOT / name).read_text()):
        assert (ROOT / name).parent.joinpath(target).resolve().is_file(), target


def test_the_library_comes_with_its_licence() -> None:
    folders = {Path(name).parts[1] for name in SCRIPTS if name.startswith("vendor/")}
    assert folders == {"lit-html"}
    assert "BSD-3-Clause" in (ROOT / "vendor/lit-html/lit-html.js").read_text()
    assert "Redistribution and use" in (ROOT / "vendor/lit-html/LICENSE").read_text()
