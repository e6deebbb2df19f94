"""Round robin and session affinity."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from components.proxy.balancer import Balancer
from components.proxy.rules import Backend, Target

A, B, C = Target("127.64.1.1", 80), Target("127.64.1.2", 80), Target("127.64.1.3", 80)


def backend(*targets: Target, affinity: int | None = None) -> Backend:
    return Backend("ns", "svc", targets, affinity)


def test_clients_take_turns() -> None:
    balancer = Balancer(backend(A, B, C))
    assert [balancer.order("c", 0)[0] for _ in range(4)] == [A, B, C, A]


def test_affinity_lasts_for_its_time_and_no_longer() -> None:
    balancer = Balancer(backend(A, B, affinity=10))
    first = balancer.order("c", 0)[0]
    balancer.connected("c", first, 0)
    assert [balancer.order("c", t)[0] for t in (1, 5, 10)] == [first] * 3
    assert {balancer.order("c", t)[0] for t in (11, 12)} == {A, B}


def test_without_affinity_nothing_is_remembered() -> None:
    balancer = Balancer(backend(A, B))
    balancer.connected("c", A, 0)
    assert {balancer.order("c", 0)[0] for _ in range(2)} == {A, B}


def test_removed_target_is_forgotten() -> None:
    balancer = Balancer(backend(A, B, affinity=10))
    balancer.connected("c", A, 0)
    assert balancer.retarget(backend(B, affinity=10)) == {A}
    assert balancer.order("c", 1) == [B]
    balancer.connected("c", A, 1)  # a connection that was already being opened
    assert balancer.order("c", 1) == [B]


@given(st.lists(st.sampled_from("abcdef"), max_size=40), st.integers(1, 4))
def test_order_is_always_a_permutation_of_the_targets(clients: list[str], count: int) -> None:
    targets = tuple(Target(f"127.64.1.{i}", 80) for i in range(count))
    balancer = Balancer(backend(*targets, affinity=5))
    for now, client in enumerate(clients):
        order = balancer.order(client, now)
        assert sorted(order) == list(targets)
        balancer.connected(client, order[-1], now)
        assert balancer.order(client, now)[0] == order[-1]
