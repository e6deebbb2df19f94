"""Certificates that end in a drill: whose they are, where they are shown, and what the knocks say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from components.cluster import pki, plan
from components.cluster.addresses import Addresses
from components.cluster.errors import ClusterError
from components.cluster.layout import Layout
from components.cluster.topology import Store, Topology
from components.drills.checks import certificates
from components.drills.faults.certificates import Door as Shown
from components.drills.faults.certificates import Knocker, certificates_of, doors_of
from components.drills.observed import Knock, Observed
from components.drills.refusals import doors, unfit
from tests.support.virtual_time import run_virtual

TOPOLOGY, ADDRESSES = Topology(store=Store(client_port=True)), Addresses(0)
IDENTITIES = plan.identities(TOPOLOGY, ADDRESSES)
ENDED, RENEWED = 10.0, 20.0


@pytest.mark.parametrize(
    ("names", "paths"),
    [
        (["m2"], ["store/m2", "cluster/apiserver-m2"]),
        (["w1"], ["cluster/kubelet-w1"]),
        (["w1", "kube-scheduler", "w1"], ["cluster/kubelet-w1", "cluster/kube-scheduler"]),
        (["admin"], ["cluster/admin"]),
    ],
)
def test_whose_certificates_end(names: list[str], paths: list[str]) -> None:
    assert [identity.path for identity in certificates_of(IDENTITIES, names)] == paths


def test_a_certificate_that_there_is_not() -> None:
    with pytest.raises(ClusterError, match="there is no certificate 'kube-dns'"):
        certificates_of(IDENTITIES, ["kube-dns"])


def test_every_use_of_a_certificate_is_tried_by_who_has_a_good_one(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    found = doors_of(layout.pki, TOPOLOGY, ADDRESSES, certificates_of(IDENTITIES, ["m1", "w1", "admin"]))
    assert {door.name: (door.place, door.pair.name) for door in found} == {
        "store/m1 at port 2380": (("127.64.254.1", 2380), "etcdctl"),
        "store/m1 at port 2379": (("127.64.254.1", 2379), "etcdctl"),
        "store/m1 as a client": (("127.64.254.2", 2380), "m1"),
        "cluster/apiserver-m1 at port 6443": (("127.64.254.1", 6443), "apiserver-kubelet-client"),
        "cluster/kubelet-w1 at port 10250": (("127.64.250.1", 10250), "apiserver-kubelet-client"),
        "cluster/kubelet-w1 as a client": (("127.64.254.2", 6443), "kubelet-w1"),
        "cluster/admin as a client": (("127.64.254.2", 6443), "admin"),
    }


def test_a_certificate_can_be_issued_for_a_short_life(tmp_path: Path) -> None:
    now = datetime(2030, 1, 1, tzinfo=UTC)
    pki.ensure(tmp_path, IDENTITIES, now)
    chosen = certificates_of(IDENTITIES, ["w1"])
    pki.renew(tmp_path, chosen, now, timedelta(seconds=4))
    short = x509.load_pem_x509_certificate((tmp_path / "cluster/kubelet-w1.crt").read_bytes())
    other = x509.load_pem_x509_certificate((tmp_path / "cluster/kubelet-w2.crt").read_bytes())
    assert short.not_valid_after_utc - now == timedelta(seconds=4)
    assert other.not_valid_after_utc - now == pki.LEAF_LIFE
    assert pki.ensure(tmp_path, IDENTITIES, now) == ["cluster/kubelet-w1"]  # the next start mends it, too


def knocks(*errors: str, every: float = 1.0, door: str = "d") -> list[Knock]:
    return [Knock(n * every, n * every + 0.1, door, error) for n, error in enumerate(errors)]


GOOD = [*[""] * 11, *["ended"] * 12, *[""] * 3]
"""Still let in within the second in which it ends; refused until the renewal is taken up."""


def test_a_certificate_that_ends_and_is_renewed_as_it_should() -> None:
    (door,) = doors(knocks(*GOOD), ENDED, RENEWED)
    assert list(unfit(door)) == []
    assert door.refused == pytest.approx(12.0)
    seen = Observed(knocks=knocks(*GOOD), expired=ENDED, renewed=RENEWED)
    found = certificates(seen, [])
    assert (found.held, found.text) == (True, "refused: d for 12.0 s")


@pytest.mark.parametrize(
    ("errors", "said"),
    [
        (["ended", *GOOD[1:]], "was refused 1 times before its certificate had ended"),
        ([*GOOD[:15], "", *GOOD[16:]], "was let in 1 times although its certificate had ended"),
        ([""] * 26, "was never refused"),
        ([*GOOD, "still"], "is refused after the renewal: still"),
    ],
)
def test_what_is_wrong_with_a_certificate_is_named(errors: list[str], said: str) -> None:
    seen = Observed(knocks=knocks(*errors), expired=ENDED, renewed=RENEWED)
    found = certificates(seen, [])
    assert found.held is False
    assert any(said in line for line in found.offending)


def test_without_an_end_or_a_renewal_nothing_was_shown() -> None:
    assert certificates(Observed(knocks=knocks(*GOOD)), []).held is False
    assert certificates(Observed(knocks=knocks(*GOOD), expired=ENDED), []).held is False
    assert certificates(Observed(expired=ENDED, renewed=RENEWED), []).held is None


@given(st.lists(st.booleans(), min_size=1, max_size=30))
def test_how_long_it_was_refused_is_what_the_naive_twin_counts(shut: list[bool]) -> None:
    found = knocks(*("ended" if one else "" for one in shut))
    (door,) = doors(found, ENDED, RENEWED)
    first = next((n for n, one in enumerate(shut) if one and n + 0.1 >= ENDED), None)
    if first is None:
        assert door.refused == 0
        return
    opened = [n for n, one in enumerate(shut) if not one and n > first and n + 0.1 > RENEWED]
    assert door.refused == pytest.approx((opened or [len(shut) - 1])[0] - first)


class Latch(Shown):
    """A door without a network: shut until `opens`."""

    async def knock(self) -> str:
        return "" if len(SEEN.knocks) > 6 else "ended"


SEEN = Observed()


def test_knocking_ends_when_every_door_has_opened() -> None:
    SEEN.knocks.clear()
    latches = [Latch(name, ("", 0), Path(), Path()) for name in ("a", "b")]

    async def scene() -> None:
        async with Knocker(SEEN, latches) as knocker:
            assert knocker.shut(0.0) == ["a", "b"]
            await knocker.all_open(0.0)
            assert knocker.shut(0.0) == []

    run_virtual(scene())
    assert {knock.door for knock in SEEN.knocks if not knock.error} == {"a", "b"}
