"""Event folding and delivery."""

from __future__ import annotations

import asyncio

from components.client.errors import ConnectionFailed
from components.client.events import EventRecorder
from components.client.resources import EVENTS
from components.client.testing import Action, FakeApi
from tests.support.virtual_time import run_virtual

POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "x", "uid": "u"}}


def test_repetitions_become_a_count() -> None:
    async def main() -> None:
        api = FakeApi()
        recorder = EventRecorder(api, "kubelet", "n1")
        for _ in range(3):
            recorder.event(POD, "Warning", "BackOff", "again")
        recorder.event(POD, "Normal", "Started", "ok")
        await recorder.close()
        events = {e["reason"]: e for e in api.all(EVENTS)}
        assert (events["BackOff"]["count"], events["Started"]["count"]) == (3, 1)
        assert events["BackOff"]["involvedObject"]["uid"] == "u"
        assert events["BackOff"]["source"] == {"component": "kubelet", "host": "n1"}

    run_virtual(main())


def test_many_similar_events_become_one() -> None:
    async def main() -> None:
        api = FakeApi()
        recorder = EventRecorder(api, "kubelet")
        for number in range(15):
            recorder.event(POD, "Warning", "Failed", f"try {number}")
        await recorder.close()
        events = api.all(EVENTS)
        assert len(events) == 10
        combined = [e for e in events if e["message"].startswith("(combined from similar events): ")]
        assert [e["count"] for e in combined] == [6]

    run_virtual(main())


def test_one_object_cannot_flood_the_server() -> None:
    async def main() -> None:
        api = FakeApi()
        recorder = EventRecorder(api, "kubelet")
        for _ in range(100):
            recorder.event(POD, "Warning", "BackOff", "again")
        await recorder.close()
        assert len(api.actions) == 25

    run_virtual(main())


def test_event_deleted_at_the_server_is_created_again() -> None:
    async def main() -> None:
        api = FakeApi()
        recorder = EventRecorder(api, "kubelet")
        recorder.event(POD, "Normal", "Pulled", "m")
        await asyncio.sleep(1)
        await api.delete_collection(EVENTS)
        recorder.event(POD, "Normal", "Pulled", "m")
        await recorder.close()
        assert [e["count"] for e in api.all(EVENTS)] == [2]

    run_virtual(main())


def test_server_that_is_away_delays_events_and_a_full_queue_drops_them() -> None:
    async def main() -> None:
        api = FakeApi()
        down = [True]

        def refuse(action: Action) -> None:
            if down:
                raise ConnectionFailed("refused")

        api.reactors.append(refuse)
        recorder = EventRecorder(api, "kubelet")
        for number in range(1100):
            recorder.event({**POD, "metadata": {"name": f"p{number}", "namespace": "x"}}, "Normal", "R", "m")
        await asyncio.sleep(5)
        down.clear()
        await asyncio.sleep(30)
        assert len(api.all(EVENTS)) == 1000
        await recorder.close()

    run_virtual(main())
