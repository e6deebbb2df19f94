"""docs/robustness.md names every fault, every rule, every field and every known bug."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kvstore.check import history, watches
from tests.robustness.harness.run import FAULTS

ROOT = Path(__file__).parents[4]
TEXT = (ROOT / "docs/robustness.md").read_text()


def test_faults_and_rules() -> None:
    rules = [rule.__name__ for rule in (*watches.ALONE, *watches.WITH_MODEL)]
    named = set(re.findall(r"`([a-z-]+)`", TEXT)) | set(re.findall(r"^\| (\w+) \|", TEXT, re.MULTILINE))
    assert [name for name in (*(fault.name for fault in FAULTS), *rules) if name not in named] == []


@pytest.mark.parametrize(
    "record",
    [
        history.Call,
        history.Watch,
        history.Watched,
        history.Start,
        history.Result,
        history.Put,
        history.Range,
        history.Txn,
    ],
)
def test_fields(record: type[history.Call]) -> None:
    missing = [name for name in record.__struct_encode_fields__ if not re.search(rf"\b{name}\b", TEXT)]
    assert missing == []


def test_known_bugs() -> None:
    source = (ROOT / "tests/robustness/test_known_bugs.py").read_text()
    tested = {n for name in re.findall(r"def test_([\d_]+)_", source) for n in name.split("_")}
    assert tested == set(re.findall(r"\[(\d{5})\]\(https://github.com/etcd-io", TEXT))
    assert len(tested) == 13
