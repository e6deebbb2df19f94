"""Masters are restarted in turn while clients ask and watch: nobody may notice. `make rolling-restart` is longer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.robustness.rolling.__main__ import TOPOLOGY
from tests.robustness.rolling.drill import Size, drill
from tests.robustness.rolling.history import Seen
from tests.support.local_cluster import LocalCluster

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


@pytest.fixture
def masters(tmp_path: Path) -> Iterator[LocalCluster]:
    """Three masters and no worker."""
    cluster = LocalCluster(tmp_path / "cluster")
    try:
        cluster.up(TOPOLOGY)
        yield cluster
    finally:
        cluster.close()


def test_no_client_notices_that_all_masters_are_restarted(masters: LocalCluster) -> None:
    verdict = asyncio.run(drill(masters, Size()))
    print(verdict)
    assert verdict.problems == []
    assert all(one.answered > 50 for one in verdict.requests)


def test_the_judge_sees_what_may_not_be() -> None:
    def seen(*revisions: int, lists: int = 1) -> list[str]:
        return Seen("w", lists, list(revisions)).problems([5, 7, 9])

    assert seen(5, 7, 9) == []
    assert seen(5, 6, 7, 9) == []
    assert seen(5, 9) == ["w: missed 1 of 3, first 7"]
    assert seen(5, 7, 7, 9) == ["w: 1 events twice or out of order"]
    assert seen(5, 7, 9, lists=2) == ["w: listed 2 times"]
