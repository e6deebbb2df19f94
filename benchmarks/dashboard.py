"""What an open dashboard costs the masters, and how soon it shows a new leader.

A real cluster with a thousand pods, 200 of them changed each second; a real Chromium with the page, which is open in
every other slice of time. The cost is what a change takes of all three masters' processor time with the page less
what it takes without, times 200, in per cent of a core; the goal is 10. The browser's own work is not in it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import tempfile
import time
from pathlib import Path
from typing import Final

import psutil
import uvloop

from benchmarks.http_load import Connection, Target, rate
from benchmarks.requests import PODS, account, pod
from benchmarks.table import Row, show
from components.client.kubeconfig import load
from tests.dashboard.browser import Browser, chromium
from tests.support.local_cluster import LocalCluster, eventually

STORED_PODS: Final = 1000
CHANGES: Final = 200
"""A second."""
PAGES: Final = {"cluster": "[data-member]", "watch": ".stream .row", "timeline": "main"}
"""Page, and what is there once it lives."""
SLICES: Final = 4
SLICE_SECONDS: Final = 8.0
KILLS: Final = 5
_MERGE: Final = "application/merge-patch+json"


def main() -> None:
    """Measure, print one table; about three minutes."""
    with tempfile.TemporaryDirectory(prefix="kuberaft-bench-") as name:
        folder = Path(name)
        cluster = LocalCluster(folder / "cluster")
        try:
            cluster.up()
            with chromium(folder) as browser:
                rows = [*uvloop.run(costs(cluster, browser)), *failover(cluster, browser)]
        finally:
            cluster.close()
    show(f"dashboard: {STORED_PODS:,} pods, {CHANGES} changes a second", rows)


def address(cluster: LocalCluster) -> str:
    """Of the page, with a token."""
    return cluster.kuberaft("dashboard", "--print").strip()


async def costs(cluster: LocalCluster, browser: Browser) -> list[Row]:
    target = Target.of(load(cluster.kubeconfig))
    await account(target)
    await rate(target, (pod(target, number) for number in range(STORED_PODS)), STORED_PODS, 16, 201)
    url = await asyncio.to_thread(address, cluster)
    masters = [
        psutil.Process(pid)
        for name, pid in (await asyncio.to_thread(cluster.process_ids)).items()
        if name.startswith("m")
    ]
    connection = await target.open()
    changes = Changes(connection, target)
    changing = asyncio.create_task(changes.run())
    try:
        return [await cost(browser, url, page, masters, changes) for page in PAGES]
    finally:
        changing.cancel()
        await asyncio.gather(changing, return_exceptions=True)
        connection.close()


class Changes:
    """One pod after the other, `done` so far."""

    def __init__(self, connection: Connection, target: Target) -> None:
        self._connection, self._target = connection, target
        self.done = 0

    async def run(self) -> None:
        """Until cancelled. A late change does not make the next ones come faster."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + 1 / CHANGES
            body = b'{"metadata":{"annotations":{"n":"%d"}}}' % self.done
            path = f"{PODS}/p{self.done % STORED_PODS}"
            await self._connection.call(self._target.request("PATCH", path, body, content_type=_MERGE))
            self.done += 1
            await asyncio.sleep(max(0.0, due - loop.time()))


async def cost(browser: Browser, url: str, page: str, masters: list[psutil.Process], changes: Changes) -> Row:
    """With and without the page in turn, so that what else the machine does hurts both alike."""
    without, having = [], []
    for _ in range(SLICES):
        await asyncio.to_thread(browser.open, "about:blank")
        without.append(await share(masters, changes))
        await asyncio.to_thread(opened, browser, url, page)
        having.append(await share(masters, changes))
    added = statistics.median(having) - statistics.median(without)
    return Row(f"page {page!r} adds to all masters together (goal: at most 10)", added, "% of a core")


def opened(browser: Browser, url: str, page: str) -> None:
    """As somebody who logs in and goes to that page."""
    browser.open(url)
    browser.find("h1[data-leader]", "leads")
    browser.go(page)
    browser.find(PAGES[page])


async def share(masters: list[psutil.Process], changes: Changes) -> float:
    """Per cent of a core that they take together for `CHANGES` a second, by what the next slice takes."""
    before, done = used(masters), changes.done
    await asyncio.sleep(SLICE_SECONDS)
    return 100 * CHANGES * (used(masters) - before) / (changes.done - done)


def used(processes: list[psutil.Process]) -> float:
    times = [process.cpu_times() for process in processes]
    return sum(each.user + each.system for each in times)


def failover(cluster: LocalCluster, browser: Browser) -> list[Row]:
    """From the leader's SIGKILL until the page names another."""
    took = [_kill_once(cluster, browser) for _ in range(KILLS)]
    return [
        Row(
            f"leader SIGKILL to the page that names another, median of {KILLS}", statistics.median(took), "s"
        ),
        Row("the same, worst (goal: at most 2)", max(took), "s"),
    ]


def _kill_once(cluster: LocalCluster, browser: Browser) -> float:
    browser.open(address(cluster))
    before = browser.find("h1[data-leader]", "leads").get_attribute("data-leader")
    os.kill(cluster.process_ids()[str(before)], signal.SIGKILL)
    killed = time.monotonic()
    script = "return document.querySelector('h1[data-leader]')?.dataset.leader"
    browser.until(lambda: browser.run(script) not in (None, "", before), "another leader")
    took = time.monotonic() - killed
    browser.open("about:blank")
    cluster.kuberaft("start", str(before))
    eventually(lambda: all(m["ready"] for m in cluster.status()["members"]), "all members are healthy")
    return took


if __name__ == "__main__":
    main()
