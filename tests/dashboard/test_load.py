"""The page before a master that is busier than a real one: it goes on painting, keeps little, and reads what comes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.dashboard.browser import Browser
from tests.dashboard.fake_master import FakeMaster

pytestmark = pytest.mark.e2e

PODS, RATE = 1000, 200
SQUARES = 240  # of one node
ROWS = 80
FRAMES = """
const done = arguments[0];
let frames = 0, longest = 0, before = performance.now();
const end = before + 2000;
requestAnimationFrame(function next(now) {
  frames += 1; longest = Math.max(longest, now - before); before = now;
  now < end ? requestAnimationFrame(next) : done({frames, longest});
});
"""
CALL = """
const [file, name, given, done] = arguments;
import(new URL(file, location.href)).then((module) => done(module[name](...given)), (error) => done(String(error)));
"""


@pytest.fixture(scope="module")
def master() -> Iterator[FakeMaster]:
    """In a thread of its own: Selenium's calls block."""
    fake, ready, stop = FakeMaster(PODS, RATE), threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with fake.serve():
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        assert ready.wait(10)
        yield fake
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        loop.close()


@pytest.fixture
def page(browser: Browser, master: FakeMaster) -> Iterator[Browser]:
    browser.complaints()
    browser.open(master.url)
    browser.find("[data-node=w4]", "250 pods")
    yield browser
    browser.open("about:blank")
    assert browser.complaints() == []


@pytest.fixture
def modules(browser: Browser, master: FakeMaster) -> Browser:
    """On a file beside the page's modules, which need no page."""
    browser.open(f"{master.url}theme.js")
    return browser


def test_the_page_bears_a_busy_cluster(page: Browser) -> None:
    assert len(page.all(".node .pod")) == 4 * SQUARES
    assert len(page.all(".node .pod[tabindex='0']")) == 4
    squares = page.driver.execute_async_script(FRAMES)
    page.shoot("cluster-1000-pods")
    page.go("watch")
    page.find(".stream .row")
    lines = page.driver.execute_async_script(FRAMES)
    assert len(page.all(".stream .row")) < ROWS
    page.shoot_all("watch-200-events")
    for shown in (squares, lines):
        assert shown["frames"] > 20, (squares, lines)
        assert shown["longest"] < 1000, (squares, lines)


def test_a_list_stands_still_while_somebody_reads_it(page: Browser) -> None:
    page.go("watch")
    page.until(lambda: len(page.texts(".stream .row")) > 10, "rows")
    page.run("document.querySelector('.stream .list').scrollTop = 80")
    page.find("button.newer")
    held = page.texts(".stream .row")
    page.driver.execute_async_script(FRAMES)
    assert page.texts(".stream .row") == held
    page.click("button.newer")
    page.until(lambda: page.texts(".stream .row") != held, "newer rows")


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, [("/a", 1, 2)]),
        ({"a": {"b/c": 1}}, {"a": {}}, [("/a/b~1c", 1, None)]),
        ({"a": [1, 2]}, {"a": [1, 3, 4]}, [("/a/1", 2, 3), ("/a/2", None, 4)]),
        ({"a": [1]}, {"a": {"0": 1}}, [("/a", [1], {"0": 1})]),
        (
            {"a": [{"type": "A", "s": 1}, {"type": "B", "s": 1}]},
            {"a": [{"type": "B", "s": 1}, {"type": "A", "s": 2}]},
            [("/a/A/s", 1, 2)],
        ),
        ({"a": [{"name": "x"}]}, {"a": []}, [("/a/x", {"name": "x"}, None)]),
        ({"metadata": {"resourceVersion": "1"}}, {"metadata": {"resourceVersion": "2"}}, []),
    ],
)
def test_differences(modules: Browser, before: Any, after: Any, changes: list[tuple[str, Any, Any]]) -> None:
    found = modules.driver.execute_async_script(CALL, "lib/diff.js", "diff", [before, after])
    assert [(change["path"], change.get("from"), change.get("to")) for change in found] == changes


@pytest.mark.parametrize(
    ("name", "given", "shown"),
    [
        ("bytes", 999, "999 B"),
        ("bytes", 1_500_000, "1.5 MB"),
        ("bytes", None, "–"),
        ("milliseconds", 0.04, "0.04 ms"),
        ("milliseconds", 1500, "1.50 s"),
        ("count", 12345, "12,345"),
        ("duration", 119_000, "119 s"),
        ("duration", 3 * 3600_000, "3 h"),
    ],
)
def test_figures_as_people_read_them(modules: Browser, name: str, given: Any, shown: str) -> None:
    assert modules.driver.execute_async_script(CALL, "lib/format.js", name, [given]) == shown
