"""Writes ConfigMaps one after another and keeps the history: what was acknowledged, and when.

Each object has a name of its own. A write whose outcome is unknown (the connection broke, the leader
changed) is tried again under the same name, as a client would; AlreadyExists then means that the first try
had been stored.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from components.client.errors import ApiError
from components.client.kubeconfig import load
from components.client.resources import CONFIG_MAPS
from components.client.transport import ApiClient

RETRY_SECONDS = 0.02


@dataclass
class History:
    """`acknowledged` maps a name to the uid that the server returned; `times` are of the acknowledgements."""

    acknowledged: dict[str, str] = field(default_factory=dict)
    known_stored: set[str] = field(default_factory=set)
    times: list[float] = field(default_factory=list)

    def longest_gap(self) -> float:
        """The longest time in seconds without an acknowledged write."""
        return max((b - a for a, b in zip(self.times, self.times[1:], strict=False)), default=0.0)


async def write(kubeconfig: Path, prefix: str, count: int, history: History) -> None:
    """Store `count` objects named PREFIX-0 ...; runs until all are stored or it is cancelled."""
    loop = asyncio.get_running_loop()
    client = ApiClient(load(kubeconfig), user_agent="kuberaft-test", timeout=5.0)
    try:
        for number in range(count):
            name = f"{prefix}-{number}"
            while not await _store(client, name, history):  # noqa: ASYNC110 - not a wait, a retry
                await asyncio.sleep(RETRY_SECONDS)
            history.times.append(loop.time())
    finally:
        await client.close()


async def _store(client: ApiClient, name: str, history: History) -> bool:
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default"},
        "data": {"name": name},
    }
    try:
        stored = await client.create(CONFIG_MAPS, body)
    except ApiError as error:
        if error.is_already_exists:
            history.known_stored.add(name)
        return error.is_already_exists
    history.acknowledged[name] = stored["metadata"]["uid"]
    return True


async def stored_uids(kubeconfig: Path, prefix: str) -> dict[str, str]:
    """Name to uid of what is stored now."""
    client = ApiClient.from_kubeconfig(kubeconfig, user_agent="kuberaft-test")
    try:
        items = (await client.list(CONFIG_MAPS, "default"))["items"]
    finally:
        await client.close()
    found = {item["metadata"]["name"]: item["metadata"]["uid"] for item in items}
    return {name: uid for name, uid in found.items() if name.startswith(prefix)}


def assert_nothing_lost(history: History, stored: dict[str, str]) -> None:
    """Every acknowledged object is there, and is the very one that was acknowledged."""
    wrong = {name: uid for name, uid in history.acknowledged.items() if stored.get(name) != uid}
    assert not wrong, f"acknowledged but lost or replaced: {sorted(wrong)[:10]} of {len(wrong)}"
    assert history.known_stored <= stored.keys()
