from __future__ import annotations

from components.client.expectations import EXPIRES_AFTER, Expectations


def test_creations_and_deletions_are_counted_down() -> None:
    expectations = Expectations(lambda: 0.0)
    assert expectations.satisfied("rs")
    expectations.expect_creations("rs", 2)
    expectations.creation_observed("rs")
    assert not expectations.satisfied("rs")
    expectations.creation_observed("rs")
    expectations.creation_observed("rs")
    assert expectations.satisfied("rs")
    expectations.expect_deletions("rs", ["a", "b"])
    expectations.deletion_observed("rs", "a")
    expectations.deletion_observed("rs", "a")
    expectations.deletion_observed("rs", "other")
    assert expectations.outstanding("rs") == (0, frozenset({"b"}))
    expectations.deletion_observed("rs", "b")
    assert expectations.satisfied("rs")


def test_expectations_expire_and_are_deleted() -> None:
    now = [0.0]
    expectations = Expectations(lambda: now[0])
    expectations.expect_creations("rs", 1)
    now[0] = EXPIRES_AFTER
    assert not expectations.satisfied("rs")
    now[0] += 1
    assert expectations.satisfied("rs")
    expectations.expect_creations("rs", 1)
    expectations.delete("rs")
    assert expectations.satisfied("rs")
