"""docs/kvstore.md names every flag and every metric, and none that is not there."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from kvstore.server import flags
from kvstore.server.metrics import Metrics
from tests.unit.kvstore.server.test_web import FakeMember

TEXT = (Path(__file__).parents[4] / "docs/kvstore.md").read_text()


def test_every_flag_is_documented() -> None:
    assert [name for name in flags.table() if f"`--{name}`" not in TEXT] == []
    rows = re.findall(r"^\| `--([\w-]+)` \| (?:`([^`]*)`)? ?\|", TEXT, re.MULTILINE)
    supported = {flag.name: flag.default for flag in flags.table().values() if flag.help}
    assert dict(rows) == supported


def test_every_metric_is_documented_and_real() -> None:
    metrics = Metrics(FakeMember(), "3.6.0")  # type: ignore[arg-type]
    shown = asyncio.run(metrics.text()).decode()
    found = dict(re.findall(r"^# TYPE (\S+) (\w+)$", shown, re.MULTILINE))
    ours = {name: kind for name, kind in found.items() if not name.startswith("process_")}
    assert dict(re.findall(r"^\| `([a-z]\w+)` \| (\w+) \|$", TEXT, re.MULTILINE)) == ours


def test_metrics_are_etcds() -> None:
    """Names and types as etcd 3.6 has them (recorded from a running one)."""
    metrics = Metrics(FakeMember(), "3.6.0")  # type: ignore[arg-type]
    shown = asyncio.run(metrics.text()).decode()
    known = dict(
        line.split() for line in (Path(__file__).parent / "etcd_metrics.txt").read_text().splitlines()
    )
    found = dict(re.findall(r"^# TYPE (\S+) (\w+)$", shown, re.MULTILINE))
    assert {name: known.get(name) for name in found} == found
