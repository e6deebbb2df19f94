"""The dashboard of a real cluster in a real browser: every page, and what it must show."""

from __future__ import annotations

import base64
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from tests.dashboard.browser import ESCAPE, Browser
from tests.dashboard.quick_cluster import QuickCluster
from tests.support.local_cluster import LocalCluster, eventually

pytestmark = pytest.mark.e2e

BUDGET = 150_000  # bytes over the wire
TOPOLOGY = """\
name: dashboard
masters: {count: 3, apiPort: 0}
workers: {count: 2}
"""
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: "kuberaft/echo:v1", resources: {requests: {cpu: 10m}}}]
"""
IN_ORDER = (
    ["request", "entry", "revision", "watch"],
    ["request", "decision", "schedule", "kubelet", "process"],
)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    local = QuickCluster(tmp_path_factory.mktemp("cluster"))
    local.up(TOPOLOGY)
    try:
        yield local
    finally:
        local.close()


@pytest.fixture(scope="module")
def door(cluster: LocalCluster) -> Iterator[str]:
    """The address that `kuberaft dashboard` prints, while it runs."""
    command = [
        sys.executable,
        "-m",
        "components.cluster.cli",
        "dashboard",
        "--no-open",
        "--dir",
        str(cluster.dir),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1]
    finally:
        process.terminate()
        process.communicate(timeout=10)


@pytest.fixture
def page(browser: Browser, door: str) -> Iterator[Browser]:
    """Logged in, on the first page; at the end the console must have been silent."""
    browser.open("about:blank")
    browser.complaints()
    browser.open(door)
    browser.find("h1[data-leader]", "leads")
    yield browser
    assert browser.complaints() == []


def test_log_in_with_a_token(cluster: LocalCluster, browser: Browser) -> None:
    url = cluster.kuberaft("dashboard", "--print").strip()
    plain, _, token = url.partition("#token=")
    browser.open(plain)
    browser.find("main.login")
    browser.shoot_all("login")
    field = browser.find("#token")
    field.send_keys("not a token")
    browser.click("button.primary")
    browser.find("[role=alert]", "not accepted")
    browser.find("#token").clear()
    browser.find("#token").send_keys(token)
    browser.click("button.primary")
    browser.find("h1[data-leader]", "leads")
    assert browser.run("return sessionStorage.getItem('kuberaft.token')") == token
    browser.click("button[aria-label='Log out']")
    browser.find("main.login")
    refused = [
        text for text in browser.complaints() if "status of 401" not in text and "status of 403" not in text
    ]
    assert refused == []


def test_the_account_of_the_dashboard_sees_no_secret(cluster: LocalCluster, door: str) -> None:
    cluster.kubectl("create", "secret", "generic", "hidden", "--from-literal=word=xyzzy")
    base, _, token = door.partition("/ui/#token=")
    named = "resource=secrets&namespace=default&name=hidden"

    def asked(path: str) -> tuple[int, bytes]:
        request = urllib.request.Request(base + path, headers={"Authorization": f"Bearer {token}"})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, refused.read()

    assert asked(f"/kuberaft/v1/revisions?{named}")[0] == 403
    assert asked("/api/v1/namespaces/default/secrets/hidden")[0] == 403
    for path in ("story", "why", "records"):
        code, body = asked(f"/kuberaft/v1/{path}?{named}")
        assert (path, code) == (path, 200)
        assert b"xyzzy" not in body
        assert base64.b64encode(b"xyzzy") not in body


def test_what_goes_over_the_wire(cluster: LocalCluster, browser: Browser) -> None:
    url = cluster.kuberaft("dashboard", "--print").strip()
    browser.open("about:blank")
    browser.driver.execute_cdp_cmd("Network.clearBrowserCache", {})
    browser.open(url)
    browser.find("h1[data-leader]", "leads")
    assert "token" not in browser.driver.current_url
    sizes = browser.run(
        """const all = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
        return all.filter((one) => new URL(one.name).pathname.startsWith("/ui")).map((one) => one.transferSize)"""
    )
    assert len(sizes) > 10
    assert sum(sizes) < BUDGET
    hosts = browser.run(
        "return [...new Set(performance.getEntriesByType('resource').map((one) => new URL(one.name).host))]"
    )
    assert len(hosts) == 1


def test_the_cluster_and_its_pods(cluster: LocalCluster, page: Browser) -> None:
    cluster.apply(DEPLOYMENT)
    page.until(lambda: len(page.all(".pod.good")) >= 2, "two squares of ready pods", 30)
    assert len(page.all("[data-member]")) == 3
    assert len(page.all("[data-node]")) == 2
    page.shoot_all("cluster")


def test_a_dead_leader_is_replaced_before_your_eyes(cluster: LocalCluster, page: Browser) -> None:
    shown = page.find("h1[data-leader]", "leads")
    before = shown.get_attribute("data-leader")
    cluster.kuberaft("kill", "leader")

    def replaced() -> bool:
        now = page.run("return document.querySelector('h1[data-leader]')?.dataset.leader")
        return bool(now) and now != before

    page.until(replaced, "another leader", 10)
    page.shoot("cluster-after-a-kill")
    cluster.kuberaft("start", str(before))
    page.until(lambda: len(page.all(".member:not(.gone)")) == 3, "three members again", 30)


def test_a_deployment_from_the_request_to_the_process(cluster: LocalCluster, page: Browser) -> None:
    cluster.apply(DEPLOYMENT.replace("web", "story"))
    page.go("timeline?resource=deployments&group=apps&namespace=default&name=story")
    page.until(lambda: len(page.all(".entry.step-process")) >= 2, "two processes", 30)
    steps = page.run("return [...document.querySelectorAll('.entry')].map((one) => one.dataset.step)")
    for chain in IN_ORDER:
        firsts = [steps.index(step) for step in chain]
        assert firsts == sorted(firsts), steps
    page.click(".entry.step-request .entry-line")
    page.find(".detail", "kuberaft-admin")
    page.shoot_all("timeline")
    page.click(".entry.step-request .entry-line")
    page.click(".entry.step-schedule .entry-line")
    table = page.find(".detail table.figures")
    page.run("arguments[0].scrollIntoView({block: 'center'})", table)
    page.shoot("timeline-scheduler")
    page.click("[data-tab=requests]")
    page.find(".row", "create deployments/story").click()
    page.find(".split-head h1", "default/story")
    page.shoot("timeline-requests")
    page.click("[data-tab=objects]")


def test_the_cluster_as_it_was(cluster: LocalCluster, page: Browser) -> None:
    cluster.apply(DEPLOYMENT.replace("web", "doomed"))
    cluster.apply(DEPLOYMENT.replace("web", "past"))
    cluster.kubectl("rollout", "status", "deployment/past")
    then = int(cluster.get("deployment", "past")["metadata"]["resourceVersion"])
    cluster.kubectl("scale", "deployment/past", "--replicas=3")
    cluster.kubectl("delete", "deployment/doomed")
    eventually(
        lambda: cluster.get("deployment", "past")["status"].get("readyReplicas") == 3, "three replicas"
    )
    page.go(f"timeline?tab=then&revision={then}")
    past = page.find(".then-row[data-name=past]", "2 of 2 ready")
    assert past.get_attribute("data-state") == "changed"
    page.find(".then-row[data-name=doomed][data-state=gone]")
    page.click(".then-row[data-name=past] .then-line")
    page.find(".change", "/spec/replicas")
    page.shoot_all("past")
    page.go("timeline?resource=deployments&group=apps&namespace=default&name=past&tab=revisions")
    page.find(".scrub", "revision")
    page.shoot_all("revisions")


def test_what_happens_is_shown_as_it_happens(cluster: LocalCluster, page: Browser) -> None:
    page.go("watch")
    page.find(".toolbar", "lines")
    cluster.apply(DEPLOYMENT.replace("web", "live"))
    page.until(lambda: any("live" in text for text in page.texts(".stream .row")), "rows of the new pods", 20)
    page.until(lambda: any("scheduler" in text for text in page.texts(".stream .source")), "a decision", 20)
    page.click(".stream .row", "default/live")
    page.find(".panel")
    page.shoot_all("watch")
    page.click("[aria-label=Close]")
    page.run("document.querySelector('.stream .list').scrollTop = 120")
    page.press("/")
    page.press("nothing is called so")
    page.find(".empty", "Nothing matches")
    page.press(ESCAPE)
    page.run("document.activeElement?.blur()")
    page.press(ESCAPE)
    page.find(".stream .row")
    for tab, selector in (
        ("events", ".stream .row"),
        ("controllers", "[data-controller]"),
        ("scheduler", ".decisions li"),
    ):
        page.click(f"[data-tab={tab}]")
        page.find(selector)
        page.shoot_all(f"watch-{tab}")


def test_rows_stay_where_they_are_during_a_click(cluster: LocalCluster, page: Browser) -> None:
    page.go("watch")
    page.find(".toolbar", "lines")
    cluster.kubectl("create", "configmap", "pressed")
    page.find(".stream .row", "configmaps/pressed")
    page.hold(".stream .row")
    cluster.kubectl("create", "configmap", "meanwhile")
    page.find(".newer")
    under = page.run("return document.querySelector('.stream .row:hover .words').textContent")
    page.release()
    assert page.find(".panel h3").text == under
    page.find(".stream .row", "configmaps/meanwhile")


def test_a_drill_is_started_watched_and_read(cluster: LocalCluster, page: Browser) -> None:
    page.go("drills")
    page.click("[data-drill=leader-kill] button", "Start")
    page.click(".ask button", "Start it")
    page.find("[data-state=passed]", "kept")
    page.shoot_all("drills")
    page.click("button.primary", "Open the report")
    frame = page.find(".report iframe")
    page.driver.switch_to.frame(frame)
    page.find("#said", "the hypothesis held")
    with_token = page.run("try { return String(sessionStorage.length) } catch { return 'no storage' }")
    assert with_token == "no storage"
    page.driver.switch_to.default_content()
    page.shoot_all("report")
    page.press(ESCAPE)
    page.until(lambda: not page.all(".report"), "the report is closed")


def test_keys_alone_lead_through_the_pages(cluster: LocalCluster, page: Browser) -> None:
    cluster.apply(DEPLOYMENT.replace("web", "keyed"))
    for number, name in enumerate(("cluster", "timeline", "watch", "drills"), 1):
        page.run("document.activeElement?.blur()")
        page.press(str(number))
        page.find(f"main[data-page={name}]")
    page.press("2")
    page.until(lambda: "CustomResourceDefinition" in page.texts("select option"), "kinds of every group")
    page.press("/")
    page.press("keyed", ESCAPE)
    page.find(".list .row")
    page.run("document.querySelector('.list').focus()")
    page.press("\ue015", "\ue007")  # down, enter
    page.find(".split-head h1", "Deployment")
    page.press("?")
    page.find(".dialog", "Keys")
    page.press(ESCAPE)
    page.until(lambda: not page.all(".dialog"), "the help is closed")
    page.press("t")
    assert page.run("return document.documentElement.dataset.theme") == "light"
    page.press("t", "t")
