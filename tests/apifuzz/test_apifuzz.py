"""A few seconds of every fuzzer; `make apifuzz SECONDS=600` is the long form, in which stalls and growth count, too."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.apifuzz import documents
from tests.apifuzz.__main__ import DECODERS
from tests.apifuzz.drive import Drive
from tests.apifuzz.openapi import ask
from tests.apifuzz.requests import request
from tests.apifuzz.server import fuzzed
from tests.apifuzz.targets import TARGETS

pytestmark = pytest.mark.e2e
SEED = 20260701
MUTATIONS, OPENAPI_SECONDS = 300, 5


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drive]:
    """The server must live to the end, and have logged nothing as an error."""
    with fuzzed(tmp_path_factory.mktemp("server")) as server:
        made = Drive(server)
        yield made
        assert made.look() == []
        made.close()
        print(made.summary())


def test_requests_as_a_real_server_got_them_and_worse(drive: Drive) -> None:
    """Seeded: thousands of them, cheaply."""
    rng = random.Random(SEED)
    for _ in range(1500):
        asked = request(rng)
        assert drive.ask(asked) is None, str(asked)
    assert drive.look() == []
    assert drive.codes.keys() >= {200, 201, 400, 404, 409, 415, 422}, "too little of the server is reached"


@settings(max_examples=60, phases=[Phase.generate, Phase.shrink], suppress_health_check=list(HealthCheck))
@given(rng=st.randoms(use_true_random=False))
def test_requests_that_hypothesis_finds(drive: Drive, rng: random.Random) -> None:
    """The same generator; what fails is made small."""
    asked = request(rng)
    assert drive.ask(asked) is None, str(asked)
    assert drive.look() == []


def test_what_the_openapi_documents_allow(drive: Drive) -> None:
    print(f"seed {SEED}: {ask(drive, SEED, OPENAPI_SECONDS)} operations")
    assert drive.faults == {}


@pytest.mark.parametrize("name", TARGETS)
def test_valid_input_is_taken(name: str) -> None:
    fuzzed_target = TARGETS[name]
    target = fuzzed_target.target()
    for content in fuzzed_target.seeds():
        target(content)
        target(content[: len(content) // 2])


def test_every_decoder_can_be_named() -> None:
    assert tuple(TARGETS) == DECODERS


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_but_clear_refusals(name: str) -> None:
    """Of what is nearly valid; `make apifuzz` has atheris find its way further in."""
    rng, target = random.Random(SEED), TARGETS[name].target()
    contents = TARGETS[name].seeds()
    for _ in range(MUTATIONS):
        target(_damaged(rng, rng.choice(contents)))


def _damaged(rng: random.Random, content: bytes) -> bytes:
    for _ in range(rng.randint(1, 4)):
        at, length = rng.randint(0, len(content)), rng.choice((0, 1, 1, 2, 20))
        new = rng.choice((rng.randbytes(rng.randint(0, 4)), content[at : at + 30], *documents.DAMAGE))
        content = content[:at] + new + content[at + length :]
    return content[:8192]
