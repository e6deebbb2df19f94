"""The storage that encrypts, over one in memory: seen from above nothing is different, seen from below all is."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiserver.config import ApiServerConfig, ConfigError
from apiserver.config_files.following import FollowedFile
from apiserver.registry.strategy import RegistryOptions
from apiserver.registry.table import Registry
from apiserver.storage.cacher import ResourceCache, TooOld
from apiserver.storage.encryption import setup
from apiserver.storage.encryption.configuration import GroupResource
from apiserver.storage.encryption.providers import load
from apiserver.storage.encryption.storage import EncryptedStorage, Owners
from apiserver.storage.interface import RevisionMismatch, Stored, Undecodable
from apiserver.storage.memory import MemoryStorage
from tests.support.virtual_time import run_virtual
from tests.unit.apiserver.storage.encryption.files import IDENTITY, KINDS, document, provider, rule, secrets

OWNERS = Owners({"/registry/secrets": ("", "secrets"), "/registry/pods": ("", "pods")})
KEY = "/registry/secrets/default/a"
VALUE = b'{"kind":"Secret","apiVersion":"v1","metadata":{"name":"a"},"data":{"p":"SECRETVALUE"}}'


def opened(inner: MemoryStorage, content: bytes, *, follows: bool = False) -> EncryptedStorage:
    return EncryptedStorage(inner, OWNERS, load(content), follows=follows)


def run(work: Coroutine[Any, Any, None]) -> None:
    run_virtual(work)


async def stored(storage: Any, key: str = KEY) -> Stored:
    found: Stored | None = (await storage.get(key))[0]
    assert found is not None
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_values_are_ciphertext_below_and_plain_above(kind: str) -> None:
    async def body() -> None:
        inner = MemoryStorage()
        storage = opened(inner, secrets(provider(kind, "k1"), IDENTITY))
        async with storage.watch("/registry/secrets/", 1) as watch:
            created = await storage.create(KEY, VALUE)
            updated = await storage.update(KEY, VALUE + b" ", created)
            with pytest.raises(RevisionMismatch) as lost:
                await storage.update(KEY, b"{}", created)
            assert lost.value.current == Stored(KEY, VALUE + b" ", updated)
            with pytest.raises(RevisionMismatch) as late:
                await storage.delete(KEY, created)
            assert late.value.current == Stored(KEY, VALUE + b" ", updated)
            below = (await stored(inner)).value
            assert below.startswith(f"k8s:enc:{kind}:v1:k1:".encode())
            assert b"SECRETVALUE" not in below
            assert await stored(storage) == Stored(KEY, VALUE + b" ", updated)
            assert (await storage.list("/registry/secrets/")).items == [Stored(KEY, VALUE + b" ", updated)]
            deleted = await storage.delete(KEY, updated)
            seen = [event for _ in range(3) for event in (await anext(aiter(watch))).events]
            sides = [(event.revision, event.value, event.previous) for event in seen]
            assert sides == [
                (created, VALUE, None),
                (updated, VALUE + b" ", VALUE),
                (deleted, None, VALUE + b" "),
            ]

    run(body())


def test_keys_are_replaced_while_everything_stays_readable() -> None:
    async def body() -> None:
        inner = MemoryStorage()
        old, new = provider("aesgcm", "old"), provider("secretbox", "new")
        await opened(inner, secrets(old)).create(KEY, VALUE)
        for content, stale in (
            (secrets(old, new), False),
            (secrets(new, old), True),
            (secrets({"aesgcm": {"keys": [*provider("aesgcm", "newer", "old")["aesgcm"]["keys"]]}}), True),
            (secrets(IDENTITY, old), True),
        ):
            found = await stored(opened(inner, content))
            assert (found.value, found.stale) == (VALUE, stale)
        storage = opened(inner, secrets(new, old))
        await storage.update(KEY, VALUE, (await stored(storage)).revision)
        assert (await stored(opened(inner, secrets(new)))).stale is False
        plain = opened(inner, secrets(IDENTITY, new))
        await plain.update(KEY, VALUE, (await stored(plain)).revision)
        assert (await stored(inner)).value == VALUE

    run(body())


def test_a_value_without_its_key_is_refused_and_left_as_it_is() -> None:
    async def body() -> None:
        inner = MemoryStorage()
        await opened(inner, secrets(provider("aesgcm", "lost"))).create(KEY, VALUE)
        before = await stored(inner)
        for content, text in (
            (secrets(provider("aesgcm", "k1")), "no matching key was found for the provided AES transformer"),
            (secrets(provider("secretbox", "k1")), "no matching prefix found"),
            (secrets(IDENTITY), "no matching prefix found"),
        ):
            storage = opened(inner, content)
            with pytest.raises(Undecodable, match=f"^{text}$"):
                await storage.get(KEY)
            with pytest.raises(Undecodable, match=f'^unable to transform key "{KEY}": {text}$'):
                await storage.list("/registry/secrets/")
            with pytest.raises(Undecodable, match=text):
                await storage.update(KEY, b"{}", before.revision + 7)
            async with storage.watch("/registry/secrets/", 1) as watch:
                with pytest.raises(Undecodable, match="unable to transform key"):
                    await anext(aiter(watch))
        assert await stored(inner) == before

    run(body())


@given(
    kind=st.sampled_from(KINDS),
    at=st.integers(0, 200),
    put=st.binary(max_size=3),
    cut=st.integers(0, 20),
)
def test_a_value_that_was_tampered_with_is_refused_or_never_what_it_was(
    kind: str, at: int, put: bytes, cut: int
) -> None:
    """Prefix and key name included. What was cut to plain JSON is another matter: identity is not configured."""

    async def body() -> None:
        inner = MemoryStorage()
        storage = opened(inner, secrets(provider(kind, "k1", "k2")))
        await storage.create(KEY, VALUE)
        before = await stored(inner)
        tampered = before.value[:at] + put + before.value[at + cut :]
        await inner.update(KEY, tampered, before.revision)
        try:
            found = await stored(storage)
        except Undecodable:
            assert (await stored(inner)).value == tampered
            return
        assert tampered == before.value or (kind == "aescbc" and found.value != VALUE)

    asyncio.run(body())


def test_the_watch_cache_says_at_once_what_it_cannot_read() -> None:
    async def body() -> None:
        inner = MemoryStorage()
        await opened(inner, secrets(provider("aesgcm", "lost"))).create(KEY, VALUE)
        for storage, text in (
            (opened(inner, secrets(provider("aesgcm", "k1"))), "no matching key was found"),
            (inner, "identity transformer tried to read encrypted data"),
        ):
            cache = ResourceCache(storage, "/registry/secrets/")
            with pytest.raises(Undecodable, match=f'unable to transform key "{KEY}": {text}'):
                await cache.ready()
            await cache.close()

    run(body())


def test_a_cache_goes_on_when_a_key_comes_back() -> None:
    async def body() -> None:
        inner = MemoryStorage()
        await opened(inner, secrets(provider("aesgcm", "lost"))).create(KEY, VALUE)
        storage = opened(inner, secrets(provider("aesgcm", "k1")), follows=True)
        cache = ResourceCache(storage, "/registry/secrets/")
        with pytest.raises(Undecodable):
            await cache.ready()
        storage.replace_providers(load(secrets(provider("aesgcm", "k1", "lost"))))
        await asyncio.sleep(5)
        await cache.ready()
        entry = cache.get(KEY)
        assert entry is not None
        assert b"SECRETVALUE" in entry.data
        await cache.close()

    run(body())


def test_a_cache_that_meets_a_foreign_key_says_so_at_once_and_keeps_what_it_has() -> None:
    async def body() -> None:
        inner = MemoryStorage()
        storage = opened(inner, secrets(provider("aesgcm", "k1")))
        created = await storage.create(KEY, VALUE)
        cache = ResourceCache(storage, "/registry/secrets/")
        await cache.ready()
        await opened(inner, secrets(provider("aesgcm", "k2"))).update(KEY, VALUE, created)
        with pytest.raises(Undecodable, match=f'unable to transform key "{KEY}"'):
            await cache.wait_current()
        entry = cache.get(KEY)
        assert entry is not None
        assert entry.revision == created
        await cache.close()

    run(body())


def test_a_past_that_cannot_be_read_is_too_old_to_resume_from() -> None:
    async def body() -> None:
        inner = MemoryStorage()
        old, new = provider("aesgcm", "old"), provider("aesgcm", "new")
        created = await opened(inner, secrets(old)).create(KEY, VALUE)
        await opened(inner, secrets(new, old)).update(KEY, VALUE, created)
        cache = ResourceCache(opened(inner, secrets(new)), "/registry/secrets/")
        await cache.ready()
        with pytest.raises(TooOld):
            await cache.history(created, "/registry/secrets/")
        assert cache.size == 1
        await cache.close()

    run(body())


class Asked(MemoryStorage):
    """Remembers what it has given out."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[Any] = []

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name not in ("get", "list", "create", "update", "delete", "watch"):
            return found

        def asked(*args: Any, **options: Any) -> Any:
            self.given.append(found(*args, **options))
            return self.given[-1]

        return asked


def test_other_resources_get_the_very_work_of_the_storage_behind() -> None:
    async def body() -> None:
        inner = Asked()
        storage = opened(inner, secrets(provider("aesgcm", "k1")))
        pod = "/registry/pods/default/a"
        works: list[Any] = [storage.create(pod, VALUE), storage.get(pod), storage.list("/registry/pods/")]
        works += [storage.update(pod, VALUE, 2), storage.delete(pod, 3)]
        watch = storage.watch("/registry/pods/", 1)
        assert all(ours is theirs for ours, theirs in zip([*works, watch], inner.given, strict=True))
        for work in works:
            await work
        async with watch:
            pass

    run(body())


def test_a_rule_that_comes_later_holds_for_watches_that_are_open() -> None:
    async def body() -> None:
        inner = MemoryStorage()
        storage = opened(inner, secrets(provider("aesgcm", "k1")), follows=True)
        pod = "/registry/pods/default/a"
        async with storage.watch("/registry/pods/", 1) as watch:
            storage.replace_providers(load(document(rule(["*.*"], provider("aesgcm", "k2"), IDENTITY))))
            await storage.create(pod, VALUE)
            assert (await anext(aiter(watch))).events[0].value == VALUE
        assert (await stored(inner, pod)).value.startswith(b"k8s:enc:aesgcm:v1:k2:")

    run(body())


def test_a_long_list_leaves_others_their_turn() -> None:
    async def body() -> None:
        inner = MemoryStorage()
        storage = opened(inner, secrets(provider("aesgcm", "k1")))
        for number in range(600):
            await storage.create(f"/registry/secrets/default/{number:03}", VALUE)
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        task = asyncio.create_task(other())
        assert len((await storage.list("/registry/secrets/")).items) == 600
        task.cancel()
        assert turns >= 1

    run(body())


def test_owners_of_keys() -> None:
    owners = setup.owners(Registry.default(RegistryOptions()))
    for key, owner in (
        ("/registry/secrets/default/a", ("", "secrets")),
        ("/registry/secrets/", ("", "secrets")),
        ("/registry/services/specs/default/a", ("", "services")),
        ("/registry/services/endpoints/default/a", ("", "endpoints")),
        ("/registry/minions/n1", ("", "nodes")),
        ("/registry/deployments/default/a", ("apps", "deployments")),
        ("/registry/events/default/a", ("", "events")),
        ("/registry/leases/kube-system/a", ("coordination.k8s.io", "leases")),
        (
            "/registry/apiextensions.k8s.io/customresourcedefinitions/a.b",
            ("apiextensions.k8s.io", "customresourcedefinitions"),
        ),
        ("/registry/example.com/widgets/default/a", ("example.com", "widgets")),
    ):
        assert owners.of(key) == GroupResource(*owner)
    for key in (
        "/registry/masterleases/1.2.3.4",
        "/registry/ranges/servicenodeports/30000",
        "/registry/health",
    ):
        assert owners.of(key) is None


def config(path: Path | None, *, follows: bool = False) -> ApiServerConfig:
    return ApiServerConfig(
        encryption_provider_config=path, encryption_provider_config_automatic_reload=follows
    )


def test_without_the_flag_nothing_stands_before_the_storage() -> None:
    inner, followed = MemoryStorage(), list[FollowedFile]()
    registry = Registry.default(RegistryOptions())
    assert setup.encrypted(config(None), inner, registry, followed) is inner
    assert followed == []


def test_a_file_that_cannot_be_used_is_told_with_its_flag(tmp_path: Path) -> None:
    registry = Registry.default(RegistryOptions())
    empty, wrong = tmp_path / "empty", tmp_path / "wrong"
    empty.touch()
    wrong.write_text("kind: x")
    for path, text in (
        (
            tmp_path / "none",
            'error reading encryption provider configuration file ".*none": open .*: no such file',
        ),
        (empty, 'encryption provider configuration file ".*empty" is empty'),
        (wrong, "error while parsing file: Object 'ApiVersion' is missing"),
    ):
        with pytest.raises(ConfigError, match=f"^--encryption-provider-config.*{text}"):
            setup.encrypted(config(path), MemoryStorage(), registry, [])
    with pytest.raises(ConfigError, match="automatic-reload must be set with --encryption-provider-config"):
        config(None, follows=True).check()


def test_the_file_is_read_again_and_a_bad_one_changes_nothing(tmp_path: Path) -> None:
    async def body() -> None:
        inner, followed, path = MemoryStorage(), list[FollowedFile](), tmp_path / "file"
        path.write_bytes(secrets(provider("aesgcm", "k1")))
        registry = Registry.default(RegistryOptions())
        storage = setup.encrypted(config(path, follows=True), inner, registry, followed)
        (file,) = followed
        created = await storage.create(KEY, VALUE)
        for content, prefix in (
            (secrets(provider("aesgcm", "k2", "k1")), b"k8s:enc:aesgcm:v1:k2:"),
            (b"kind: broken", b"k8s:enc:aesgcm:v1:k2:"),
            (secrets(IDENTITY, provider("aesgcm", "k2")), b"{"),
        ):
            path.write_bytes(content)
            await file.look()
            created = await storage.update(KEY, VALUE, created)
            assert (await stored(inner)).value.startswith(prefix)
        path.unlink()
        await file.look()
        assert (await stored(storage)).value == VALUE
        assert file.reloads == {"success": 2, "failure": 2}

    asyncio.run(body())
