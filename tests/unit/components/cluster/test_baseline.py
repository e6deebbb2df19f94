"""The way back to a baseline, compared with a naive one: everything that is not kept up is as it was."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from components.cluster.baseline import Kept, differing, plan, unfinished

PREFIXES = (
    "namespaces",
    "configmaps/default",
    "deployments/default",
    "pods/default",
    "events/default",
    "leases/kube-system",
    "masterleases",
    "apiextensions.k8s.io/customresourcedefinitions",
)
State = dict[bytes, tuple[int, bytes]]


def value(spec: int, status: int | None = None, **metadata: Any) -> bytes:
    obj = {"kind": "X", "metadata": {"uid": "u", **metadata}, "spec": spec}
    return json.dumps({**obj, "status": status} if status is not None else obj).encode()


def after(state: State, baseline: State) -> State:
    """The state once the plan is carried out; checks that each change expects what is there."""
    kept = {key: Kept(*pair) for key, pair in baseline.items()}
    revisions = {key: revision for key, (revision, _) in state.items()}
    values = {key: state[key][1] for key in differing(kept, revisions)}
    made = dict(state)
    for key, new, expected in plan(kept, revisions, values):
        assert expected == revisions.get(key, 0)
        made.pop(key, None)
        if new is not None:
            made[key] = (9999, new)
    return made


keys = st.builds(lambda p, n: f"/registry/{p}/{n}".encode(), st.sampled_from(PREFIXES), st.sampled_from("ab"))
objects = st.builds(value, st.integers(0, 2), st.none() | st.integers(0, 2), generation=st.integers(1, 2))
states = st.dictionaries(keys, st.tuples(st.integers(1, 9), objects))


@st.composite
def pairs(draw: st.DrawFn) -> tuple[State, State]:
    """A baseline and a later state: a revision above 9 where something was written."""
    baseline, state = draw(states), {}
    for key, kept in baseline.items():
        match draw(st.sampled_from(("same", "written", "gone"))):
            case "same":
                state[key] = kept
            case "written":
                state[key] = (draw(st.integers(10, 20)), draw(objects))
    for key, (_, data) in draw(states).items():
        if key not in baseline:
            state[key] = (draw(st.integers(10, 20)), data)
    return baseline, state


def mine(key: bytes, baseline: State) -> bool:
    """Whether the cluster keeps it up itself."""
    leader = key.startswith(b"/registry/leases/kube-system/") and key in baseline
    return leader or key.startswith(b"/registry/masterleases/")


def essence(data: bytes) -> Any:
    obj = json.loads(data)
    return {**obj, "status": None, "metadata": {**obj["metadata"], "generation": 0}}


@given(pairs())
def test_what_was_written_is_undone_and_nothing_else(pair: tuple[State, State]) -> None:
    baseline, state = pair
    made = after(state, baseline)
    for key in {*baseline, *state}:
        if mine(key, baseline):
            assert made.get(key) == state.get(key)
        elif key.startswith(b"/registry/events/"):
            assert (key in made) == (key in state and key in baseline)
        else:
            assert (key in made) == (key in baseline)
            if key in baseline:
                assert essence(made[key][1]) == essence(baseline[key][1])
    assert after(made, baseline) == made or all(made[k][0] != 9999 for k in made)


def test_a_status_stays_and_so_does_an_object_that_differs_in_nothing_else() -> None:
    key = b"/registry/minions/w1"
    before: State = {key: (1, value(1, 1))}
    assert after({key: (12, value(1, 2, generation=7))}, before) == {key: (12, value(1, 2, generation=7))}
    made = json.loads(after({key: (12, value(2, 2))}, before)[key][1])
    assert (made["spec"], made["status"]) == (1, 2)


def test_the_rules_of_an_aggregated_role_are_its_controllers() -> None:
    key, role = b"/registry/clusterroles/view", {"metadata": {"uid": "u"}, "aggregationRule": {"a": 1}}
    before: State = {key: (1, json.dumps({**role, "rules": None}).encode())}
    filled = json.dumps({**role, "rules": [1]}).encode()
    assert after({key: (12, filled)}, before) == {key: (12, filled)}
    broken = json.dumps({**role, "aggregationRule": {"a": 2}, "rules": [2]}).encode()
    made = json.loads(after({key: (12, broken)}, before)[key][1])
    assert (made["aggregationRule"], made["rules"]) == ({"a": 1}, [2])


def test_what_is_not_json_is_put_back_as_it_was() -> None:
    before: State = {b"/registry/secrets/default/a": (1, b"k8s:enc:1")}
    assert after({b"/registry/secrets/default/a": (12, b"k8s:enc:2")}, before) == {
        b"/registry/secrets/default/a": (9999, b"k8s:enc:1")
    }


def test_deletions_are_in_an_order_that_controllers_do_not_undo() -> None:
    added = [
        "apiextensions.k8s.io/customresourcedefinitions/a.b",
        "pods/default/a",
        "replicasets/default/a",
        "deployments/default/a",
        "namespaces/a",
        "b/as/default/a",
    ]
    changes = plan({}, {f"/registry/{path}".encode(): 12 for path in added}, {})
    assert [change.key.decode().removeprefix("/registry/") for change in changes] == [
        "namespaces/a",
        "deployments/default/a",
        "replicasets/default/a",
        "b/as/default/a",
        "pods/default/a",
        "apiextensions.k8s.io/customresourcedefinitions/a.b",
    ]


def test_a_cluster_is_whole_when_its_controllers_have_made_what_they_make() -> None:
    left = unfinished({})
    assert "/registry/serviceaccounts/default/default" in left
    whole = {key.encode(): Kept(1, b"{}") for key in left}
    assert unfinished(whole) == []
    whole[b"/registry/minions/w1"] = Kept(1, b'{"spec":{"taints":[{"key":"node.kubernetes.io/not-ready"}]}}')
    assert unfinished(whole) == ["/registry/minions/w1"]
