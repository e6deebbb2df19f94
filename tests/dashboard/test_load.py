"""A thousand pods and two hundred events a second in a real browser: it goes on painting, and keeps little."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

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


@contextmanager
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


def test_the_page_bears_a_busy_cluster(browser: Browser) -> None:
    browser.complaints()
    with master() as fake:
        browser.open(fake.url)
        browser.find("[data-node=w4]", "250 pods")
        assert len(browser.all(".node .pod")) == 4 * SQUARES
        squares = browser.driver.execute_async_script(FRAMES)
        browser.shoot("cluster-1000-pods")
        browser.go("watch")
        browser.find(".stream .row")
        lines = browser.driver.execute_async_script(FRAMES)
        assert len(browser.all(".stream .row")) < ROWS
        browser.shoot_all("watch-200-events")
        browser.open("about:blank")
    for shown in (squares, lines):
        assert shown["frames"] > 20, (squares, lines)
        assert shown["longest"] < 1000, (squares, lines)
    assert browser.complaints() == []
