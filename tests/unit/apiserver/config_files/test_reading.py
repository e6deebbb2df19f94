"""Whatever a configuration file holds, it is taken whole or refused with a text; and files are followed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiserver.auth.structured import authorizer_setup, jwt_setup
from apiserver.config_files.following import FollowedFile
from apiserver.config_files.reading import ConfigFileError, decode, shapes
from apiserver.storage.encryption import providers
from tests.support.virtual_time import run_virtual

WORDS = (
    "",
    "a",
    "v1",
    "Webhook",
    "RBAC",
    "rbac",
    "5s",
    "-1h",
    "*.",
    "secrets",
    "https://a",
    "/a",
    "true",
    "claims.a",
)
JUNK = st.sampled_from([None, 1, -1.5, True, "x", [], {}, [None], {"x": {}}])


def values(name: str) -> st.SearchStrategy[Any]:
    """Documents of a shape, with junk here and there."""
    if name.startswith("[]"):
        right: st.SearchStrategy[Any] = st.lists(values(name[2:]), max_size=2)
    elif name in ("string", "Duration"):
        right = st.sampled_from(WORDS)
    elif name == "bool":
        right = st.booleans()
    elif name == "int32":
        right = st.integers(-5, 5)
    else:
        fields = {field: values(kind) for field, kind in shapes()[name].items()}
        right = st.fixed_dictionaries({}, optional=fields)
    return st.one_of(*[right] * 9, JUNK)


LOADERS: dict[str, Callable[[bytes], object]] = {
    "EncryptionConfiguration": lambda content: providers.load(content, bytes),
    "AuthenticationConfiguration": lambda content: jwt_setup.load(
        content, [], [], lambda _: None, lambda: 0.0
    ),
    "AuthorizationConfiguration": authorizer_setup.load,
}


@pytest.mark.parametrize("kind", LOADERS)
def test_every_document_is_taken_or_refused(kind: str) -> None:
    @given(values(kind))
    def check(document: Any) -> None:
        if isinstance(document, dict):
            document = {**document, "apiVersion": "apiserver.config.k8s.io/v1", "kind": kind}
        try:
            LOADERS[kind](json.dumps(document).encode())
        except ConfigFileError:
            return  # anything else fails the test

    check()


@given(st.binary(max_size=60))
def test_bytes_of_any_kind_are_refused(content: bytes) -> None:
    with pytest.raises(ConfigFileError):
        decode(content, "EncryptionConfiguration")


def test_nulls_are_as_if_they_were_not_there() -> None:
    document = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AuthorizationConfiguration",
        "authorizers": None,
    }
    assert "authorizers" not in decode(json.dumps(document).encode(), "AuthorizationConfiguration")


def test_a_changed_content_is_used_once_and_a_bad_one_is_told_once(tmp_path: Path) -> None:
    path, used = tmp_path / "file", list[bytes]()

    def use(content: bytes) -> None:
        if content == b"bad":
            raise KeyError("whatever goes wrong")
        used.append(content)

    async def body() -> None:
        file = FollowedFile("--encryption-provider-config", path, b"1", use)
        for content in (b"1", b"2", b"2", b"bad", b"bad", b"3", None, None, b"4"):
            path.unlink(missing_ok=True)
            if content is not None:
                path.write_bytes(content)
            await file.look()
        assert used == [b"2", b"3", b"4"]
        assert file.reloads == {"success": 3, "failure": 2}
        assert file.subject == "encryption"

    asyncio.run(body())


def test_a_file_is_looked_at_again_and_again() -> None:
    class Counting(FollowedFile):
        looks = 0

        async def look(self) -> None:
            self.looks += 1

    async def body() -> None:
        file = Counting("--flag", Path("/none"), b"", lambda _: None)
        following = asyncio.create_task(file.run())
        await asyncio.sleep(9)
        following.cancel()
        assert file.looks == 4

    run_virtual(body())
