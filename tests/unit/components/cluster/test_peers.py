"""Links between masters: what is refused. That they are cut is tested with real masters: `tests/robustness/drills`."""

from __future__ import annotations

import pytest

from components.cluster.addresses import Addresses
from components.cluster.errors import ClusterError
from components.cluster.peers import Peers


def test_links_without_proxies_cannot_be_cut() -> None:
    with pytest.raises(ClusterError, match="directly: no link can be cut"):
        Peers(Addresses(0), ["m1", "m2"], proxied=False).cut([("m1", "m2")], 1.0)


def test_a_master_that_there_is_not() -> None:
    with pytest.raises(ClusterError, match="no master 'm9'"):
        Peers(Addresses(0), ["m1", "m2"], proxied=True).cut([("m1", "m9")], 1.0)
