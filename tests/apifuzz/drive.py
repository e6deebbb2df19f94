"""Asks a fuzzed server one request after another and judges it: answers, what it logs, its loop and its memory."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from tests.apifuzz.judge import fault
from tests.apifuzz.server import Fuzzed
from tests.apifuzz.watchdog import STALL
from tests.apifuzz.wire import NoAnswer, Request, Wire

EVERY = 50
LARGE = 1 << 14
"""The connection may be ended while such a body is on its way."""
_OURS = re.compile(r'File "[^"]*/(apiserver/[^"]+)", line (\d+)')


class Drive:
    """``faults`` by place, each with the request that showed it first."""

    def __init__(self, server: Fuzzed) -> None:
        self.server = server
        self.faults: dict[str, str] = {}
        self.codes: Counter[int] = Counter()
        self.stalls: list[tuple[float, float, str]] = []
        self._wire = Wire(server.port)
        self._asked: list[Request] = []

    def close(self) -> None:
        self._wire.close()

    def ask(self, request: Request) -> str | None:
        """What is wrong with the answer."""
        self._asked = [*self._asked, request][-EVERY:]
        try:
            answer = self._wire.ask(request)
        except NoAnswer as exc:
            why = None if len(request.body) >= LARGE else f"no answer: {exc}"
        except TimeoutError:
            self._wire.close()
            why = "no answer in time"
        else:
            self.codes[answer.code] += 1
            why = fault(answer, request.method)
        if why is not None:
            self._note(why, f"{why}\n{request}")
        return why

    def look(self) -> list[str]:
        """What the server logged as errors since it was last looked at; keeps its stalls. Raises when it is gone."""
        report = self.server.report()
        for text in report.errors:
            self._note(_place(text), text + "".join(f"\nasked: {request}" for request in self._asked[-3:]))
        self.stalls += report.stalls
        return report.errors

    def _note(self, key: str, text: str) -> None:
        self.faults.setdefault(key[:120], text)

    def summary(self) -> dict[str, Any]:
        longest = max((used for used, _, _ in self.stalls), default=0.0)
        return {
            "requests": self.codes.total(),
            "codes": dict(sorted(self.codes.items())),
            f"stalls over {STALL * 1000:.0f} ms": len(self.stalls),
            "longest, ms": round(longest * 1000),
            "resident, MiB": self.server.report().rss >> 20,
            "faults": len(self.faults),
        }


def _place(text: str) -> str:
    """The innermost line of ours in a traceback."""
    frames = _OURS.findall(text)
    return ":".join(frames[-1]) if frames else text.strip().splitlines()[-1]
