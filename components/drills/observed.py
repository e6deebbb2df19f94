"""What a run of a drill left behind to be judged (P): histories, samples, moments, requests.

Filled by `runner` while it runs; read by `measure`, `verdict` and the reports. Times of histories are nanoseconds
of the recorder's clock, all others seconds since `origin` (the same clock).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from msgspec import Struct

from components.drills.eras import Break
from kvstore.check.history import History

Kind = Literal["phase", "fault", "undone", "note"]
BILLION = 1_000_000_000


class Moment(Struct, frozen=True):
    """Something that happened. `fault` and `undone` of one step have its number."""

    time: float
    kind: Kind
    text: str
    step: int = -1


class Sample(Struct, frozen=True):
    """The cluster at one moment, as its supervisor (or its store) says."""

    time: float
    leader: str
    term: int
    masters: int
    nodes: int


class Request(Struct, frozen=True):
    """One request to the service: when it was answered (or failed), how long it took, by which pod."""

    time: float
    seconds: float
    pod: str
    error: str = ""


class Knock(Struct, frozen=True):
    """One new connection on which a certificate was shown, from `began` to its answer at `time`: at which `door`, and
    why it was refused, if it was.
    """

    began: float
    time: float
    door: str
    error: str = ""


class Upgraded(Struct, frozen=True):
    """One process with the versions that it said it had, and the program that it was started by."""

    name: str
    before: str
    after: str
    program: str


@dataclass
class Observed:
    """`begin`, `end`: the part in which outages count. `recovery`: seconds, None if it never came."""

    origin: int = 0
    begin: float = 0.0
    end: float = 0.0
    prefix: str = ""
    histories: dict[str, History] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    pods_before: dict[str, int] = field(default_factory=dict)
    """Pods of the service by uid, with the number of their restarts."""
    pods_after: dict[str, int] = field(default_factory=dict)
    recovery: float | None = None
    restored: Break | None = None
    address: str = ""
    """The one address of all masters, as the kubeconfig had it at the beginning."""
    knocks: list[Knock] = field(default_factory=list)
    expired: float | None = None
    """When the certificates had ended, and when they were renewed."""
    renewed: float | None = None
    upgraded: list[Upgraded] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """What the runner could not do, or what a client may never see: each fails the drill."""

    def seconds(self, time: int) -> float:
        """A history's time in seconds since the origin."""
        return (time - self.origin) / BILLION
