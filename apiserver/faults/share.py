"""Which of the requests that match are met (P): a function of the share and of how many there were.

A probability is decided by a hash of seed and number, so that the same run is met at the same places again. Hash:
SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014), the generator's step and finish.
"""

from __future__ import annotations

from typing import Final

from apiserver.faults.rule import Share

_GAMMA: Final = 0x9E3779B97F4A7C15
_MASK: Final = (1 << 64) - 1


def due(share: Share, number: int) -> bool:
    """``number``: the how-manieth match this is, from 1. Of a ``first`` share any may be: the store counts these."""
    if share.probability is not None:
        return fraction(share.seed, number) < share.probability
    return share.every is None or number % share.every == 0


def fraction(seed: int, number: int) -> float:
    """In [0, 1), spread evenly over the numbers of a seed."""
    z = (seed + number * _GAMMA) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return ((z ^ (z >> 31)) >> 11) / (1 << 53)
