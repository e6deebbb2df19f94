"""Recorded behaviour of etcd 3.6, replayed against three members of ours and against the real etcd of this machine.

    corpus/grpc      what a gRPC client sees, by family
    corpus/etcdctl   transcripts of etcdctl
    replay.py        plays them; as it came with the recordings

A replay mostly waits (for leases to end, for watches to stay silent), so the four run at the same time, each on a
cluster of its own. `NOT_IN_ETCD` names what a real cluster is not asked, and why; ours is asked everything.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.support.kvstore_cluster import KVSTORE, Cluster
from tests.support.tools import require_tool

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(150)]

HERE = Path(__file__).parent
REPLAY_SECONDS = 100
CONNECTED_SECONDS = 30.0
FAILED_PRECONDITION = 9
_DIVERGES = (
    "one member refuses this transaction and the others apply it: etcd's members (3.4, 3.6) then differ"
)
NOT_IN_ETCD = {
    "compact/txn-write-and-range": _DIVERGES,
    "txn/write-and-future-range": _DIVERGES,
}

MAY_LAG_IN_ETCD = {
    "lease/other-endpoint": (
        "the leader answers for a lease, under the revision that the asked follower has applied so far: on a busy "
        "machine that can be the one before; ours waits until it is there"
    ),
}


@dataclass(frozen=True)
class Outcome:
    """Names of scenarios that failed or were skipped; `words` is all that the replay said."""

    passed: int
    failed: set[str]
    skipped: set[str]
    words: str


def replay(command: tuple[str, ...], flags: tuple[str, ...], corpus: str, directory: Path) -> Outcome:
    directory.mkdir()
    with Cluster(command, directory) as cluster:
        for number in range(len(cluster.endpoints)):
            wait_until_members_may_change(cluster, number)
        files = sorted(map(str, (HERE / "corpus" / corpus).glob("*.jsonl")))
        tool = [sys.executable, str(HERE / "replay.py"), "--endpoints", ",".join(cluster.endpoints)]
        run = subprocess.run(
            [*tool, *flags, *files], capture_output=True, text=True, timeout=REPLAY_SECONDS, check=False
        )
    return _outcome(run.stdout + run.stderr)


def wait_until_members_may_change(cluster: Cluster, number: int) -> None:
    """Etcd refuses a change of members ("unhealthy cluster") until the member asked has been connected to all others
    for five seconds. To add a member that is there already changes nothing, and tells."""
    end = time.monotonic() + CONNECTED_SECONDS
    request = Request(
        f"http://{cluster.endpoints[number]}/v3/cluster/member/add",
        json.dumps({"peerURLs": [cluster.peers[number]]}).encode(),
    )
    while True:
        with pytest.raises(HTTPError) as refused:
            urlopen(request, timeout=10.0)
        answer = json.loads(refused.value.read())
        if answer["code"] == FAILED_PRECONDITION:
            return
        assert time.monotonic() < end, answer
        time.sleep(0.2)


def _outcome(words: str) -> Outcome:
    counts = re.search(r"^(\d+) passed, (\d+) failed$", words, re.MULTILINE)
    assert counts is not None, words
    skipped = set(re.findall(r"^skip ([^:]+):", words, re.MULTILINE))
    failed = set(re.findall(r"^FAIL (\S+)", words, re.MULTILINE))
    assert len(failed) == int(counts[2]), words
    return Outcome(int(counts[1]), failed, skipped, words)


@pytest.fixture(scope="module")
def replays(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, str], Future[Outcome]]]:
    """(server, corpus) -> the outcome to be; all that this machine has the programs for."""
    directory = tmp_path_factory.mktemp("etcd")
    programs: dict[str, tuple[str, ...]] = {"kvstore": KVSTORE}
    if (etcd := shutil.which("etcd")) is not None:
        programs["etcd"] = (etcd,)
    with ThreadPoolExecutor() as pool:
        running = {}
        for server, command in programs.items():
            ask_all = ("--all",) if server == "kvstore" else ()
            running[server, "grpc"] = pool.submit(
                replay, command, ask_all, "grpc", directory / f"{server}-grpc"
            )
            if shutil.which("etcdctl") is not None:
                running[server, "etcdctl"] = pool.submit(
                    replay, command, ("--etcdctl",), "etcdctl", directory / f"{server}-etcdctl"
                )
        yield running


@pytest.mark.parametrize("corpus", ["grpc", "etcdctl"])
def test_ours_does_all_that_was_recorded(
    replays: dict[tuple[str, str], Future[Outcome]], corpus: str
) -> None:
    if corpus == "etcdctl":
        require_tool("etcdctl")
    outcome = replays["kvstore", corpus].result()
    assert (outcome.failed, outcome.skipped) == (set(), set()), outcome.words
    assert outcome.passed == _scenarios(corpus)


@pytest.mark.parametrize("corpus", ["grpc", "etcdctl"])
def test_the_recordings_are_true_of_etcd(
    replays: dict[tuple[str, str], Future[Outcome]], corpus: str
) -> None:
    require_tool("etcd")
    require_tool("etcdctl")
    outcome = replays["etcd", corpus].result()
    assert outcome.failed <= MAY_LAG_IN_ETCD.keys(), outcome.words
    assert outcome.skipped <= NOT_IN_ETCD.keys(), outcome.words
    assert outcome.passed + len(outcome.failed) + len(outcome.skipped) == _scenarios(corpus)


def _scenarios(corpus: str) -> int:
    return sum(len(file.read_text().splitlines()) for file in (HERE / "corpus" / corpus).glob("*.jsonl"))
