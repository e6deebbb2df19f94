"""Shuffle sharding (P): the hand of queues that a flow is dealt.

Two flows share a whole hand almost never, so one flow that fills all its queues leaves the others some. As the
original's ``util/shufflesharding``: the hash is a number in a mixed radix, whose digits pick without repetition.
"""

from __future__ import annotations

import hashlib


def flow_hash(schema: str, distinguisher: str) -> int:
    """64 bits that name a flow, the same in every server."""
    digest = hashlib.sha256(schema.encode() + b"\x00" + distinguisher.encode()).digest()
    return int.from_bytes(digest[:8], "little")


def deal(value: int, queues: int, hand_size: int) -> list[int]:
    """``hand_size`` different indexes below ``queues``; ``hand_size <= queues``."""
    hand: list[int] = []
    for dealt in range(hand_size):
        value, card = divmod(value, queues - dealt)
        for earlier in sorted(hand):
            if card >= earlier:
                card += 1
        hand.append(card)
    return hand
