"""What a real kube-apiserver 1.36 answered, and we answered the same, we keep answering the same."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance.corpus_runner import FIRST_FAMILIES, known_passing, run_family, scenarios
from tests.conformance.server import api_server

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with api_server() as url:
        yield url


@pytest.mark.parametrize("family", sorted(known_passing()))
def test_no_passing_scenario_breaks(server: str, family: str) -> None:
    expected = set(known_passing()[family])
    broken = {name: diffs for name, diffs in run_family(server, family) if diffs and name in expected}
    assert not broken


def test_enough_of_the_first_families_pass() -> None:
    """The share that the README states."""
    total = sum(len(scenarios(family)) for family in FIRST_FAMILIES)
    passing = sum(len(known_passing().get(family, [])) for family in FIRST_FAMILIES)
    assert passing / total >= 0.6, f"{passing} of {total}"
