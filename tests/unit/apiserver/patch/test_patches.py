"""The three patch formats on real types; results as a real API server gives them."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiserver.api.gvk import GroupVersionKind
from apiserver.patch import json_patch, merge, strategic
from apiserver.patch.errors import BadPatch, CannotApply, PatchFailure, TooLong
from apiserver.schema.schemas import Schemas

SCHEMAS = Schemas.load()
Object = dict[str, Any]


def strategic_apply(kind: str, document: Object, patch: Object) -> Object:
    group = {"Deployment": "apps"}.get(kind, "")
    before = copy.deepcopy((document, patch))
    result = strategic.apply(document, patch, SCHEMAS.type_of(GroupVersionKind(group, "v1", kind)))
    assert (document, patch) == before, "arguments are left as they are"
    return result


def pod_spec(document: Object, patch: Object) -> Object:
    result: Object = strategic_apply("Pod", {"spec": document}, {"spec": patch})["spec"]
    return result


A, B, C = {"name": "a", "image": "1"}, {"name": "b", "image": "1"}, {"name": "c", "image": "1"}


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        ([{"name": "a", "image": "2"}], [{"name": "a", "image": "2"}, B]),
        ([C], [C, A, B]),
        ([{"name": "a", "$patch": "delete"}], [B]),
        ([{"$patch": "replace"}, C], [C]),
        ([{"name": "b", "image": None}], [A, {"name": "b"}]),
        ([{"name": "b", "command": ["x"]}], [A, {**B, "command": ["x"]}]),
    ],
    ids=["merge", "new first", "delete", "replace", "null deletes", "atomic list inside"],
)
def test_list_merged_by_key(patch: list[Object], expected: list[Object]) -> None:
    assert pod_spec({"containers": [A, B]}, {"containers": patch}) == {"containers": expected}


def test_element_order_puts_server_only_elements_between() -> None:
    patch = {"$setElementOrder/containers": [{"name": "c"}, {"name": "a"}], "containers": [C]}
    assert pod_spec({"containers": [A, B]}, patch) == {"containers": [C, A, B]}


def test_element_order_alone_reorders() -> None:
    patch = {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}
    assert pod_spec({"containers": [A, B]}, patch) == {"containers": [B, A]}


def test_element_order_must_name_the_patch() -> None:
    patch = {"$setElementOrder/containers": [{"name": "d"}], "containers": [{"name": "zz", "image": "e"}]}
    with pytest.raises(PatchFailure) as info:
        pod_spec({"containers": [A]}, patch)
    assert str(info.value) == (
        "The order in patch list:\n[map[image:e name:zz]]\n"
        " doesn't match $setElementOrder list:\n[map[name:d]]\n"
    )


def test_lists_without_merge_strategy_are_replaced() -> None:
    tolerations = pod_spec({"tolerations": [{"key": "a"}]}, {"tolerations": [{"key": "b"}]})
    assert tolerations == {"tolerations": [{"key": "b"}]}


def test_primitive_lists_are_sets() -> None:
    def finalizers(current: list[str], patch: Object) -> Any:
        return strategic_apply("ConfigMap", {"metadata": {"finalizers": current}}, {"metadata": patch})

    added = finalizers(["x", "y"], {"finalizers": ["z", "y"]})
    assert sorted(added["metadata"]["finalizers"]) == ["x", "y", "z"]
    mixed = {"finalizers": ["z"], "$deleteFromPrimitiveList/finalizers": ["x"]}
    assert sorted(finalizers(["x", "y"], mixed)["metadata"]["finalizers"]) == ["y", "z"]
    assert finalizers(["x"], {"finalizers": None}) == {"metadata": {}}


def test_map_directives() -> None:
    labels = {"metadata": {"labels": {"a": "1", "b": "2"}}}
    replaced = {"metadata": {"labels": {"$patch": "replace", "c": "3"}}}
    assert strategic_apply("Pod", labels, replaced) == {"metadata": {"labels": {"c": "3"}}}
    assert strategic_apply("Pod", labels, {"metadata": {"$patch": "delete"}}) == {"metadata": {}}


def test_retain_keys_drops_the_others() -> None:
    document = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    assert strategic_apply("Deployment", document, patch) == {"spec": {"strategy": {"type": "Recreate"}}}
    with pytest.raises(BadPatch):
        strategic_apply("Deployment", document, {"spec": {"strategy": {"$retainKeys": [], "type": "x"}}})


def test_new_values_lose_nulls_and_directives() -> None:
    patch = {
        "spec": {"securityContext": {"runAsUser": None, "fsGroup": 1}, "containers": [{**A, "env": None}]}
    }
    assert strategic_apply("Pod", {}, patch) == {
        "spec": {"securityContext": {"fsGroup": 1}, "containers": [A]}
    }


_NAMES = st.sampled_from("abc")
_VALUES = st.sampled_from(["1", "2"])
_CONTAINERS = st.lists(
    st.fixed_dictionaries(
        {"name": _NAMES}, optional={"image": _VALUES, "args": st.lists(_VALUES, max_size=2)}
    ),
    max_size=3,
    unique_by=lambda container: container["name"],
)
_TOLERATIONS = st.lists(st.fixed_dictionaries({"key": _NAMES}), max_size=2)
_DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "containers": _CONTAINERS,
        "tolerations": _TOLERATIONS,
        "nodeSelector": st.dictionaries(_NAMES, _VALUES),
        "hostname": _VALUES,
    },
)
_CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "containers": st.lists(
            st.one_of(
                st.fixed_dictionaries(
                    {"name": _NAMES}, optional={"image": st.none() | _VALUES, "args": st.just([])}
                ),
                st.fixed_dictionaries({"name": _NAMES, "$patch": st.just("delete")}),
            ),
            max_size=3,
            unique_by=lambda container: container["name"],
        ),
        "tolerations": st.none() | _TOLERATIONS,
        "nodeSelector": st.none() | st.dictionaries(_NAMES, st.none() | _VALUES),
        "hostname": st.none() | _VALUES,
    },
)


def naive_strategic(document: Object, patch: Object) -> Object:
    """Containers by name, everything else as a merge patch has it."""
    merged: Object = naive_merge(document, {key: v for key, v in patch.items() if key != "containers"})
    if "containers" in patch:
        found = {container["name"]: container for container in document.get("containers", [])}
        for change in patch["containers"]:
            if change.get("$patch"):
                found.pop(change["name"], None)
            else:
                found[change["name"]] = naive_merge(found.get(change["name"], {}), change)
        merged["containers"] = list(found.values())
    return merged


def by_name(document: Object) -> Object:
    return {**document, "containers": {each["name"]: each for each in document.get("containers", [])}}


@given(_DOCUMENTS, _CHANGES)
def test_strategic_patch_is_what_its_twin_makes(document: Object, patch: Object) -> None:
    result = pod_spec(document, patch)
    assert by_name(result) == by_name(naive_strategic(document, patch))
    assert by_name(pod_spec(result, patch)) == by_name(result), "a patch applied twice is one applied once"


@pytest.mark.parametrize(
    ("containers", "message"),
    [
        ([{"image": "nokey"}], "map: map[image:nokey] does not contain declared merge key: name"),
        (
            [{"name": "c", "$patch": "bogus"}],
            "unknown patch type: bogus in map: map[$patch:bogus name:c]",
        ),
    ],
)
def test_errors_in_elements(containers: list[Object], message: str) -> None:
    with pytest.raises(PatchFailure) as info:
        pod_spec({"containers": [A]}, {"containers": containers})
    assert str(info.value) == message


names = st.lists(st.sampled_from("abcdef"), unique=True, max_size=6)


@given(names, names)
def test_merging_by_key_is_union_and_idempotent(server: list[str], wanted: list[str]) -> None:
    document = {"containers": [{"name": n, "image": "old"} for n in server]}
    patch = {"containers": [{"name": n, "image": "new"} for n in wanted]}
    once = pod_spec(document, patch)
    assert {c["name"]: c["image"] for c in once["containers"]} == (
        dict.fromkeys(server, "old") | dict.fromkeys(wanted, "new")
    )
    assert pod_spec(once, patch) == once


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["", "x", "y"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)
json_objects = st.dictionaries(st.sampled_from("abc"), json_values, max_size=3)


def naive_merge(target: Any, patch: Any) -> Any:
    """The pseudocode of RFC 7396, section 2."""
    if not isinstance(patch, dict):
        return patch
    target = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        else:
            target[name] = naive_merge(target.get(name), value)
    return target


@given(json_objects, json_objects)
def test_merge_patch_is_the_rfc(document: Object, patch: Object) -> None:
    assert merge.apply(document, patch) == naive_merge(document, patch)


def test_replacing_a_member_that_is_not_there_adds_it() -> None:
    steps = [
        {"op": "add", "path": "/a", "value": {}},
        {"op": "replace", "path": "/a/b", "value": [1]},
        {"op": "replace", "path": "/a/b/0", "value": 2},
    ]
    assert json_patch.apply({}, steps) == {"a": {"b": [2]}}
    with pytest.raises(CannotApply):
        json_patch.apply({"a": [1]}, [{"op": "replace", "path": "/a/1", "value": 2}])


def test_json_patch_applies_operations_in_order() -> None:
    document = {"a": [1, 2], "b": {"x/y": 1}}
    operations = [
        {"op": "test", "path": "/b/x~1y", "value": 1},
        {"op": "add", "path": "/a/-", "value": 3},
        {"op": "move", "from": "/b", "path": "/c"},
    ]
    assert json_patch.apply(document, operations) == {"a": [1, 2, 3], "c": {"x/y": 1}}
    assert document == {"a": [1, 2], "b": {"x/y": 1}}


@pytest.mark.parametrize(
    "operations",
    [
        [{"op": "test", "path": "/a", "value": 2}],
        [{"op": "remove", "path": "/none"}],
        [{"op": "replace", "path": "/none/x", "value": 1}],
        [{"op": "weird", "path": "/a"}],
        [{"path": "/a"}],
        [{"op": "add", "path": "a", "value": 1}],
    ],
)
def test_json_patch_that_does_not_fit_is_unprocessable(operations: Any) -> None:
    with pytest.raises(CannotApply):
        json_patch.apply({"a": 1}, operations)


def test_json_patch_that_is_no_list_or_too_long() -> None:
    with pytest.raises(
        BadPatch, match=r"cannot unmarshal object into Go value of type \[\]handlers.jsonPatchOp"
    ):
        json_patch.apply({}, {"op": "add"})
    with pytest.raises(TooLong, match="allowed maximum operations in a JSON patch is 10000, got 10001"):
        json_patch.apply({}, [{}] * 10_001)


def test_copies_that_double_the_document_are_stopped_early() -> None:
    doubling = [{"op": "copy", "from": "/a", "path": f"/a/k{step}"} for step in range(40)]
    with pytest.raises(CannotApply, match="accumulated size increase of copy"):
        json_patch.apply({"a": {"text": "x" * 100}}, doubling)
    copied = json_patch.apply({"a": 1}, [{"op": "copy", "from": "/a", "path": "/b"}])
    assert copied == {"a": 1, "b": 1}
