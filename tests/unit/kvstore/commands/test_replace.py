"""When a member may be replaced, and how it is named."""

from __future__ import annotations

import pytest

from kvstore.commands.replacing import Wanted, find, initial_cluster, is_safe
from kvstore.rpc.proto import rpc_pb2

MEMBERS = [
    rpc_pb2.Member(ID=0xA1, name="m1", peerURLs=["http://a:1"]),
    rpc_pb2.Member(ID=0xB2, name="m2", peerURLs=["http://b:1", "http://b:2"]),
]


@pytest.mark.parametrize(
    ("voters", "others_up", "old_up", "safe"),
    [
        (1, 0, True, True),
        (2, 1, True, True),
        (2, 1, False, False),  # no majority now
        (2, 0, True, False),
        (3, 2, False, True),
        (3, 1, True, True),
        (3, 1, False, False),
        (4, 2, True, True),
        (4, 2, False, False),
        (5, 2, True, True),
        (5, 2, False, False),
    ],
)
def test_the_majority_on_the_way(voters: int, others_up: int, old_up: bool, safe: bool) -> None:
    assert is_safe(voters, others_up, old_up) is safe
    majority_between = (voters + 1) // 2 + 1
    assert not safe or others_up + old_up + 1 >= majority_between


@pytest.mark.parametrize(("text", "name"), [("m2", "m2"), ("a1", "m1"), ("00000000000000b2", "m2")])
def test_a_member_is_found_by_name_or_id(text: str, name: str) -> None:
    found = find(MEMBERS, text)
    assert found is not None
    assert found.name == name


def test_no_member_of_that_name() -> None:
    assert find(MEMBERS, "m3") is None
    assert find(MEMBERS, "") is None


def test_the_flag_for_the_new_member() -> None:
    wanted = Wanted("m1", ("http://c:1",), 1.0)
    assert initial_cluster(MEMBERS, wanted) == "m1=http://a:1,m2=http://b:1,m2=http://b:2,NAME=http://c:1"
