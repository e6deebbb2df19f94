"""Tokens by a clock that is told."""

from __future__ import annotations

import pytest

from kvstore.auth.passwords import new_secret
from kvstore.auth.tokens import Tokens, index_of, token_of


def test_use_renews_a_token_and_idleness_ends_it() -> None:
    tokens = Tokens(ttl=10)
    tokens.assign("a.1", "u", 0)
    assert tokens.user("a.1", 9) == "u"
    assert tokens.user("a.1", 18) == "u"
    assert tokens.user("a.1", 28) is None
    assert tokens.user("a.1", 28) is None
    assert tokens.user("b.1", 0) is None


def test_idle_tokens_take_no_memory() -> None:
    tokens = Tokens(ttl=10)
    for second in range(1000):
        tokens.assign(f"x.{second}", "u", second)
    assert len(tokens) <= 12


def test_tokens_go_with_their_user() -> None:
    tokens = Tokens()
    tokens.assign("a.1", "u", 0)
    tokens.assign("b.2", "v", 0)
    tokens.drop_user("u")
    assert (tokens.user("a.1", 1), tokens.user("b.2", 1)) == (None, "v")
    tokens.clear()
    assert tokens.user("b.2", 1) is None


@pytest.mark.parametrize(
    ("token", "index"),
    [
        ("ab.12", 12),
        ("", None),
        ("ab", None),
        ("a.b", None),
        ("a.1.2", None),
        ("a.²", None),
        ("a." + "9" * 30, None),
    ],
)
def test_a_token_names_the_entry_it_comes_from(token: str, index: int | None) -> None:
    assert index_of(token) == index


def test_secrets_differ() -> None:
    assert len({new_secret() for _ in range(100)}) == 100
    assert index_of(token_of(new_secret(), 7)) == 7
