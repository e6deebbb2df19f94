"""Schemathesis over the OpenAPI v3 documents that the server gives out: what they say may be sent, is sent.

Operations come in an order of the seed, each with a few cases, as many as fit into the time.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import schemathesis
from hypothesis import HealthCheck, Phase

from tests.apifuzz.drive import Drive
from tests.apifuzz.pools import JSON
from tests.apifuzz.requests import TOKEN
from tests.apifuzz.seeds import NAMESPACE
from tests.apifuzz.server import fuzzed
from tests.apifuzz.wire import Request, Wire

CASES = 4
_NOT_ASKED = ("/proxy", "/exec", "/attach", "/portforward")
_AUTHORIZED = ((TOKEN[0].encode(), TOKEN[1].encode()),)


def main(seed: int, seconds: float) -> int:
    """Exit status."""
    with tempfile.TemporaryDirectory(prefix="apifuzz-") as folder, fuzzed(Path(folder)) as server:
        drive = Drive(server)
        operations = ask(drive, seed, seconds)
        drive.close()
        print(f"seed {seed}: {operations} operations, {drive.summary()}", file=sys.stderr)
        for text in drive.faults.values():
            print(f"\n--- a fault\n{text}", file=sys.stderr)
        return int(bool(drive.faults))


def ask(drive: Drive, seed: int, seconds: float) -> int:
    """How many operations were tried."""
    end, count = time.monotonic() + seconds, 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Hypothesis and Schemathesis, about what can be generated at all
        for operation in _operations(drive, random.Random(seed), end):
            _try(drive, operation, seed)
            drive.look()
            count += 1
    return count


def _operations(drive: Drive, rng: random.Random, end: float) -> Iterator[Any]:
    """A few of each document, over and over."""
    wire = Wire(drive.server.port)
    paths = [found["serverRelativeURL"] for found in _json(wire, "/openapi/v3")["paths"].values()]
    while time.monotonic() < end:
        for path in rng.sample(paths, len(paths)):
            document = _json(wire, path)
            chosen = [place for place in document["paths"] if not any(name in place for name in _NOT_ASKED)]
            document["paths"] = {
                place: document["paths"][place] for place in rng.sample(chosen, min(2, len(chosen)))
            }
            for found in schemathesis.openapi.from_dict(document).get_all_operations():
                if time.monotonic() > end:
                    wire.close()
                    return
                yield found.ok()
    wire.close()


def _json(wire: Wire, path: str) -> Any:
    return json.loads(wire.ask(Request("GET", path.encode(), _AUTHORIZED)).body)


def _try(drive: Drive, operation: Any, seed: int) -> None:
    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=CASES,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(operation.as_strategy())
    def go(case: Any) -> None:
        drive.ask(_request(case))

    go()


def _request(case: Any) -> Request:
    """Namespaces are that which there is: nothing can be made in another one."""
    if case.path_parameters and "namespace" in case.path_parameters:
        case.path_parameters["namespace"] = NAMESPACE
    sent = case.as_transport_kwargs(base_url="https://localhost")
    prepared = schemathesis_request(sent)
    body = prepared.body.encode() if isinstance(prepared.body, str) else prepared.body or b""
    media_type = str(prepared.headers.get("Content-Type") or JSON).encode()
    target = prepared.path_url.encode()
    return Request(prepared.method, target, (*_AUTHORIZED, (b"Content-Type", media_type)), body)


def schemathesis_request(sent: dict[str, Any]) -> Any:
    """The bytes that would be sent."""
    import requests

    known = {
        name: sent[name] for name in ("method", "url", "params", "json", "data", "headers") if name in sent
    }
    return requests.Request(**known).prepare()
