"""kr8s against a server of ours: the checks of `with_kr8s`."""

from __future__ import annotations

import pytest

from tests.clients import programs, with_kr8s
from tests.clients.here import Here

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def outcome(api: Here) -> dict[str, str]:
    return programs.run(with_kr8s, api.kubeconfig)


@pytest.mark.parametrize("name", programs.names(with_kr8s))
def test_kr8s(outcome: dict[str, str], name: str) -> None:
    if outcome[name]:
        pytest.fail(outcome[name], pytrace=False)
