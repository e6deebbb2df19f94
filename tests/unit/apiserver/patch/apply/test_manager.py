"""Updates and applies as the field manager records them: laws, and the recorded cases one by one."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiserver.patch.apply import scale
from apiserver.patch.apply.compare import same
from apiserver.patch.apply.fieldset import paths
from apiserver.patch.apply.last_applied import ANNOTATION
from apiserver.patch.apply.manager import FieldManager
from apiserver.patch.apply.typed import field_set
from apiserver.patch.apply.updater import Conflict, Filter, Updater, keep_all
from apiserver.patch.errors import BadPatch, PatchFailure
from apiserver.registry.reset_fields import kept
from tests.unit.apiserver.patch.apply.test_walks import flat
from tests.unit.apiserver.patch.apply.types import ATOM, CONFIGS, SPECS, OneVersion, thing

Object = dict[str, Any]
EMPTY: Object = {"apiVersion": "v1", "kind": "Thing", "metadata": {}, "spec": {}}
EARLY, LATE = "2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z"


def manager(subresource: str = "", reset: Filter = keep_all) -> FieldManager:
    return FieldManager(Updater(OneVersion(), reset), "v1", "Thing", subresource, EMPTY)


def stored(obj: Object) -> Object:
    """As the registry makes it of a new object."""
    obj = copy.deepcopy(obj)
    obj["metadata"]["uid"] = "u"
    return obj


def created(name: str = "maker", **spec: Any) -> Object:
    return stored(manager().update(None, thing(**spec), name, EARLY))


def apply(live: Object | None, name: str, force: bool = False, now: str = LATE, **spec: Any) -> Object:
    return manager().apply(live, thing(**spec), name, force, now)


def owners(obj: Object) -> dict[str, Any]:
    """By manager and operation what it owns of the spec."""
    entries = obj["metadata"].get("managedFields", [])
    return {f"{entry['manager']} {entry['operation']}": entry["fieldsV1"].get("f:spec") for entry in entries}


def bare(obj: Object) -> Object:
    return {key: value for key, value in obj.items() if key != "metadata"}


# --- laws ---


@given(CONFIGS, CONFIGS)
def test_applying_twice_is_applying_once(live: Any, config: Any) -> None:
    once = apply(created(**live), "a", force=True, **config)
    twice = apply(once, "a", force=True, now="2025-01-01T00:00:00Z", **config)
    assert once == twice


@given(CONFIGS, CONFIGS)
def test_an_apply_owns_what_it_mentions_and_takes_effect(live: Any, config: Any) -> None:
    after = apply(created(**live), "a", force=True, **config)
    entry = owners(after).get("a Apply")
    assert (entry or {}) == field_set(thing(**config), ATOM).get("f:spec", {})
    again = manager().apply(after, thing(**config), "b", False, LATE)
    assert same(bare(again), bare(after)), "who says the same has no conflict and changes nothing"


@given(CONFIGS, CONFIGS)
def test_removing_an_applier_removes_what_it_alone_owned(mine: Any, others: Any) -> None:
    other = stored(apply(None, "other", **others))
    both = apply(other, "me", force=True, **mine)
    without = apply(both, "me", force=True)
    left = field_set({"spec": without.get("spec")}, ATOM)
    owned = {name: fields for name, fields in owners(both).items() if name.startswith("other")}
    expected = owned.get("other Apply") or {}
    assert (left.get("f:spec") or {}) == expected
    assert set(owners(without)) <= {"other Apply"}


_DISJOINT = (
    st.fixed_dictionaries({}, optional={"replicas": st.integers(1, 3), "args": st.lists(st.text("x"))}),
    st.fixed_dictionaries({}, optional={"selector": st.dictionaries(st.text("k"), st.text("v"))}),
    st.fixed_dictionaries({}, optional={"tags": st.lists(st.sampled_from("ab"), unique=True, max_size=1)}),
)


@given(st.tuples(*_DISJOINT), st.permutations([0, 1, 2]))
def test_the_order_of_independent_appliers_does_not_matter(configs: Any, order: list[int]) -> None:
    def result(sequence: list[int]) -> Object:
        live = stored(manager().update(None, thing(anything=1), "maker", EARLY))
        for at in sequence:
            live = apply(live, f"a{at}", **configs[at])
        return live

    first, second = result([0, 1, 2]), result(order)
    assert bare(first) == bare(second)
    assert owners(first) == owners(second)


@given(SPECS, SPECS, SPECS)
def test_nobody_owns_what_is_not_there(first: Any, second: Any, third: Any) -> None:
    obj = stored(apply(created(**first), "a", force=True, **second))
    new = {**obj, "spec": third}
    after = manager().update(obj, new, "w", LATE)
    for fields in owners(after).values():
        assert _all_members(fields or {}) <= _flat(third).keys()


def _flat(spec: Any) -> dict[str, Any]:
    flat_spec = flat(spec, ATOM.fields["spec"]) if spec else {}
    return {"/".join(path): value for path, value in flat_spec.items() if path}


def _all_members(fields: Any) -> set[str]:
    return {"/".join(path) for path in paths(fields)}


@given(CONFIGS, CONFIGS)
def test_an_update_takes_what_it_changes_and_no_more(first: Any, second: Any) -> None:
    """Against the twin that knows every path."""
    obj = created(**first)
    mine = _all_members(owners(obj).get("maker Update") or {})
    after = manager().update(obj, {**obj, "spec": second}, "w", LATE)
    before, now = _flat(first), _flat(second)
    changed = {path for path in before.keys() | now.keys() if before.get(path) != now.get(path)}
    found = owners(after)
    assert _all_members(found.get("maker Update") or {}) == mine - changed
    expected = {path for path in changed if now.get(path, "container") != "container" or path not in before}
    if mine:  # nothing is recorded of what nobody was ever recorded for
        assert _all_members(found.get("w Update") or {}) == expected & now.keys()


# --- updates ---


def test_a_creator_owns_what_it_says() -> None:
    obj = created(replicas=1, args=["x"])
    assert obj["metadata"]["managedFields"] == [
        {
            "manager": "maker",
            "operation": "Update",
            "apiVersion": "v1",
            "time": EARLY,
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:spec": {"f:args": {}, "f:replicas": {}}},
        }
    ]


def test_a_writer_takes_what_it_changes_and_its_entries_are_one() -> None:
    obj = created(replicas=1, args=["x"])
    changed = manager().update(obj, {**obj, "spec": {"replicas": 2, "args": ["x"]}}, "w", LATE)
    assert owners(changed) == {"maker Update": {"f:args": {}}, "w Update": {"f:replicas": {}}}
    more = manager().update(changed, {**changed, "spec": {"replicas": 2}}, "w", LATE)
    assert owners(more) == {"w Update": {"f:replicas": {}}}


def test_nothing_changed_bumps_no_time() -> None:
    obj = created(replicas=1)
    assert manager().update(obj, copy.deepcopy(obj), "maker", LATE) == obj


def test_a_client_that_knows_no_managed_fields_loses_none() -> None:
    obj = created(replicas=1)
    assert manager().update(obj, thing(replicas=1), "w", LATE)["metadata"]["managedFields"]


@pytest.mark.parametrize("entries", [[], [{}]], ids=["empty list", "empty entry"])
def test_managers_can_be_forgotten(entries: Any) -> None:
    obj = created(replicas=1)
    new = {**obj, "spec": {"replicas": 2}, "metadata": {**obj["metadata"], "managedFields": entries}}
    after = manager().update(obj, new, "w", LATE)
    assert "managedFields" not in after["metadata"]
    assert "managedFields" not in manager().update(after, {**after, "spec": {}}, "w", LATE)["metadata"]


def test_managers_are_not_forgotten_through_a_subresource() -> None:
    obj = created(replicas=1)
    new = {**obj, "metadata": {**obj["metadata"], "managedFields": []}}
    assert manager("status").update(obj, new, "w", LATE) == obj


def test_a_client_may_write_entries_but_not_nonsense() -> None:
    obj = created(replicas=1, args=["x"])
    entry = copy.deepcopy(obj["metadata"]["managedFields"][0])
    entry["fieldsV1"]["f:spec"].pop("f:args")
    new = {**obj, "metadata": {**obj["metadata"], "managedFields": [entry]}}
    assert owners(manager().update(obj, new, "w", LATE)) == {"maker Update": {"f:replicas": {}}}
    for broken in ({"operation": "Steal"}, {"apiVersion": ""}, {"fieldsType": "V9"}, {"fieldsV1": {"q": {}}}):
        bad = {**obj, "metadata": {**obj["metadata"], "managedFields": [{**entry, **broken}]}}
        assert manager().update(obj, bad, "w", LATE) == obj


def test_the_oldest_writers_become_one() -> None:
    obj = created(replicas=1, args=["x"])
    for at in range(12):
        env = {**obj["spec"].get("anything", {}), f"k{at}": at}
        new = {**obj, "spec": {**obj["spec"], "anything": env}}
        obj = manager().update(obj, new, f"w{at:02}", f"2024-02-{at + 1:02}T00:00:00Z")
    entries = obj["metadata"]["managedFields"]
    assert len(entries) == 10
    assert [entry["manager"] for entry in entries][:2] == ["ancient-changes", "w03"]
    assert entries[0]["time"] == "2024-02-03T00:00:00Z"
    assert set(entries[0]["fieldsV1"]["f:spec"]) == {"f:args", "f:replicas", "f:anything"}


def test_identity_is_nobodys() -> None:
    obj = thing()
    obj["metadata"] |= {"uid": "u", "labels": {"a": "b"}}
    after = manager().update(None, obj, "w", EARLY)
    assert after["metadata"]["managedFields"][0]["fieldsV1"] == {
        "f:metadata": {"f:labels": {".": {}, "f:a": {}}}
    }


def test_what_the_strategy_resets_is_nobodys() -> None:
    reset = kept("g", "Thing", "", has_status=True)
    after = manager(reset=reset).update(None, {**thing(replicas=1), "status": {"replicas": 1}}, "w", EARLY)
    assert after["metadata"]["managedFields"][0]["fieldsV1"] == {"f:spec": {"f:replicas": {}}}
    new = {**after, "spec": {"replicas": 2}, "status": {"replicas": 2}}
    through_status = manager("status", kept("g", "Thing", "status", has_status=True))
    after = through_status.update(stored(after), new, "w", LATE)
    assert owners({"metadata": {"managedFields": after["metadata"]["managedFields"][:1]}}) == {
        "w Update": {"f:replicas": {}}
    }
    assert after["metadata"]["managedFields"][1]["subresource"] == "status"


def test_only_containers_resources_are_owned_through_resize() -> None:
    fields = {"f:spec": {"f:containers": {'k:{"name":"c"}': {".": {}, "f:image": {}, "f:resources": {}}}}}
    assert kept("", "Pod", "resize", has_status=True)(fields) == {
        "f:spec": {"f:containers": {'k:{"name":"c"}': {".": {}, "f:resources": {}}}}
    }


# --- applies ---


def test_a_conflict_names_who_and_what() -> None:
    obj = apply(created(replicas=1, args=["x"]), "other", args=["x"])
    with pytest.raises(Conflict) as failure:
        apply(obj, "me", replicas=2, args=["y"])
    found = [(who.shown(), path) for who, path in failure.value.conflicts]
    assert found == [
        ('"maker" using v1', ("f:spec", "f:args")),
        ('"maker" using v1', ("f:spec", "f:replicas")),
        ('"other"', ("f:spec", "f:args")),
    ]
    forced = apply(obj, "me", force=True, replicas=2, args=["y"])
    assert owners(forced) == {"me Apply": {"f:args": {}, "f:replicas": {}}}


def test_who_shares_a_field_keeps_it_when_another_lets_go() -> None:
    obj = stored(apply(None, "a", replicas=1, args=["x"]))
    obj = apply(obj, "b", replicas=1)
    assert "time" not in next(e for e in obj["metadata"]["managedFields"] if e["manager"] == "b")
    obj = apply(obj, "a")
    assert obj["spec"] == {"replicas": 1}
    assert owners(obj) == {"b Apply": {"f:replicas": {}}}
    assert "spec" not in apply(obj, "b")


def test_all_that_was_there_before_the_first_apply_has_an_owner() -> None:
    obj = stored(thing(replicas=1, args=["x"]))
    after = apply(obj, "a", replicas=1)
    assert owners(after) == {
        "a Apply": {"f:replicas": {}},
        "before-first-apply Update": {"f:args": {}, "f:replicas": {}},
    }


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"kind": "Other"}, BadPatch, "invalid object type: /v1, Kind=Other"),
        ({"apiVersion": ""}, BadPatch, "invalid object type: /, Kind=Thing"),
        ({"apiVersion": 65535}, BadPatch, "invalid object type: /, Kind=Thing"),
        ({"kind": ["Thing"]}, BadPatch, "invalid object type: /v1, Kind="),
        ({"apiVersion": "g/v1"}, BadPatch, "invalid object type: g/v1, Kind=Thing"),
        ({"metadata": {"managedFields": []}}, BadPatch, "metadata.managedFields must be nil"),
        (
            {"spec": {"replicas": "x"}},
            PatchFailure,
            "failed to create typed patch object (/t; /v1, Kind=Thing): "
            ".spec.replicas: expected numeric (int or float), got string",
        ),
    ],
    ids=["kind", "no version", "a number", "a list", "version", "managedFields", "type"],
)
def test_what_cannot_be_applied(change: Object, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as failure:
        manager().apply(None, {**thing(), **change}, "a", False, LATE)
    assert str(failure.value) == message


def test_a_version_that_is_gone_is_forgotten() -> None:
    obj = created(replicas=1)
    old = {**obj["metadata"]["managedFields"][0], "apiVersion": "v0", "manager": "old"}
    obj["metadata"]["managedFields"].append(old)
    assert set(owners(manager().update(obj, {**obj, "spec": {"replicas": 2}}, "w", LATE))) == {"w Update"}
    assert set(owners(apply(obj, "a", force=True, replicas=2))) == {"a Apply"}


# --- from client-side apply ---


def annotated(config: Object) -> Object:
    obj = copy.deepcopy(config)
    obj["metadata"]["annotations"] = {ANNOTATION: json.dumps(config)}
    return stored(manager().update(None, obj, "kubectl-client-side-apply", EARLY))


def test_kubectl_takes_over_what_it_applied_itself() -> None:
    obj = annotated(thing(replicas=1))
    after = manager().apply(obj, thing(replicas=2), "kubectl", False, LATE)
    assert after["spec"] == {"replicas": 2}
    text = after["metadata"]["annotations"][ANNOTATION]
    assert text == '{"apiVersion":"v1","kind":"Thing","metadata":{"name":"t"},"spec":{"replicas":2}}\n'
    with pytest.raises(Conflict):
        manager().apply(obj, thing(replicas=2), "somebody", False, LATE)


def test_kubectl_does_not_take_what_changed_since() -> None:
    obj = annotated(thing(replicas=1))
    scaled = manager().update(obj, {**obj, "spec": {"replicas": 5}}, "scaler", LATE)
    with pytest.raises(Conflict) as failure:
        manager().apply(scaled, thing(replicas=2), "kubectl", False, LATE)
    assert [who.name for who, _ in failure.value.conflicts] == ["scaler"]


# --- scale ---


def test_who_scales_takes_the_replicas() -> None:
    paths = {"v1": scale.IN_SCALE}
    entries = created("maker", replicas=1, args=["x"])["metadata"]["managedFields"]
    seen = scale.to_scale(entries, paths)
    assert seen is not None
    assert [(e["manager"], e["apiVersion"]) for e in seen] == [("maker", "autoscaling/v1")]
    assert scale.to_parent(entries, seen, "v1", paths) == entries
    taken = [{**seen[0], "manager": "scaler", "subresource": "scale"}]
    after = scale.to_parent(entries, taken, "v1", paths)
    assert owners({"metadata": {"managedFields": after}}) == {
        "maker Update": {"f:args": {}},
        "scaler Update": {"f:replicas": {}},
    }
    assert scale.to_parent(after, scale.to_scale(after, paths), "v1", paths) == after
