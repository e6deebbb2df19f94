"""Ports for real processes: nobody gets one that somebody else got before, whether it has been taken or not."""

from __future__ import annotations

from tests.support.kvstore_cluster import free_ports


def test_a_port_is_given_once() -> None:
    given = [port for _ in range(400) for port in free_ports(2)]
    assert len(set(given)) == len(given)
