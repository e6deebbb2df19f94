"""Tricks with paths, names, namespaces and labels: what is served is what was asked about and allowed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.attacks.stage import ALICE, CANARY, NS, Stage

HERS, CONFIG_MAPS = "hers", f"{NS}/hers/configmaps"
SECRET = "default/secrets/plain"
ELSEWHERE = "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiIuLi9kZWZhdWx0In0"  # start: ../default


@pytest.fixture(scope="module")
def own(stage: Stage) -> Stage:
    """A namespace in which alice may do everything with configmaps; the secret is in another."""
    stage.create(NS, {"metadata": {"name": HERS}})
    stage.allow("maps", HERS, [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]}])
    stage.create(CONFIG_MAPS, {"metadata": {"name": "one"}})
    return stage


@pytest.mark.parametrize(
    ("path", "codes"),
    [
        (f"{NS}/{SECRET}", {403}),
        (f"{NS}/hers/../{SECRET}", {403, 404}),
        (f"{NS}/hers/configmaps/../../{SECRET}", {403, 404}),
        (f"{NS}/hers/configmaps/one/../../../{SECRET}", {403, 404}),
        (f"{NS}/hers%2f..%2f{SECRET}", {403, 404}),
        (f"{NS}/hers%2F%2E%2E%2F{SECRET}", {403, 404}),
        (f"{NS}/hers%252f..%252f{SECRET}", {403, 404}),
        (f"{NS}/hers/configmaps%2f..%2f..%2fdefault%2fsecrets%2fplain", {403, 404}),
        (f"{NS}/hers/configmaps/..%2f..%2f{SECRET}", {403, 404}),
        (f"{NS}/hers/configmaps/%2e%2e/%2e%2e/{SECRET}", {403, 404}),
        (f"//api/v1/namespaces/{SECRET}", {403, 404}),
        (f"/api//v1/namespaces/{SECRET}", {403, 404}),
        (f"/api/v1//namespaces/{SECRET}", {403, 404}),
        (f"{NS}//{SECRET}", {403, 404}),
        (f"{NS}/default//secrets/plain", {403, 404}),
        (f"{NS}/default/secrets//plain", {403, 404}),
        (f"{NS}/default/secrets/plain/", {403, 404}),
        (f"/./api/v1/namespaces/{SECRET}", {403, 404}),
        (f"/healthz/..{NS}/{SECRET}", {403, 404}),
        (f"/version/../api/v1/namespaces/{SECRET}", {403, 404}),
        (f"/version/..%2fapi%2fv1%2fnamespaces%2f{SECRET}", {403, 404}),
        (f"/API/V1/namespaces/{SECRET}", {403, 404}),
        (f"{NS}/DEFAULT/secrets/plain", {403, 404}),
        (f"{NS}/default/SECRETS/plain", {403, 404}),
        (f"{NS}/default/Secret/plain", {403, 404}),
        (f"{NS}/default/secret/plain", {403, 404}),
        (f"{NS}/default/secrets;hers/plain", {403, 404}),
        (f"{NS};x=y/{SECRET}", {403, 404}),
        (f"{NS}/default./secrets/plain", {403, 404}),
        (f"{NS}/default%20/secrets/plain", {403, 404}),
        (f"{NS}/default%00/secrets/plain", {400, 403, 404}),
        (f"{NS}/hers%00/../{SECRET}", {400, 403, 404}),
        (f"{NS}/default/secrets/plain%3fx", {403, 404}),
        (f"{NS}/default/secrets/pl%61in", {403}),
        (f"/api/v1/watch/namespaces/{SECRET}", {403}),
        ("/api/v1/watch/secrets", {403}),
        ("/api/v1/secrets?fieldSelector=metadata.namespace%3Dhers", {403}),
        (f"{NS}/default/secrets?fieldSelector=metadata.name%3Dplain", {403}),
        (f"{NS}/hers/configmaps?continue={ELSEWHERE}", {400, 410}),
        (f"{NS}/hers/services/x:y/proxy/../../../../{SECRET}", {403, 404}),
        (f"{NS}/hers/configmaps/one/status/../../../{SECRET}", {403, 404}),
    ],
)  # fmt: skip
def test_no_way_around_leads_to_another_namespace(own: Stage, path: str, codes: set[int]) -> None:
    answer = own.ask("GET", path, token=ALICE)
    assert answer.code in codes, answer
    assert CANARY not in answer.text
    assert "Y2FuYXJ5LTNhMWY3N2MwNWU" not in answer.text  # in base64


def test_spellings_are_not_aliases(own: Stage) -> None:
    """For whoever may everything a path is one thing, or nothing; but never another spelling of something."""
    for path in (f"{NS}/hers/../{SECRET}", f"/api//v1/namespaces/{SECRET}", f"{NS}/DEFAULT/secrets/plain",
                 f"{NS}/default/Secrets/plain", f"{NS}/default./secrets/plain", f"{NS}/default;/secrets/plain",
                 f"{NS}/hers%2f..%2f{SECRET}", f"{NS}/default/secrets/plain."):  # fmt: skip
        answer = own.ask("GET", path)
        assert (answer.code, "Y2FuYXJ5" in answer.text) == (404, False), path


@pytest.mark.parametrize(
    "name",
    ["..", ".", "a/b", "../../default/secrets/plain", "..%2f", "A", "a.", ".a", "a b", "a\n", "a\0", "é", "x" * 254,
     "a;b", "a\\b", "", "%00", "one%2f.."],
)  # fmt: skip
def test_a_name_is_a_name(own: Stage, name: str) -> None:
    answer = own.ask("POST", CONFIG_MAPS, {"metadata": {"name": name}}, ALICE)
    assert answer.code == 422, answer
    prefixed = own.ask("POST", CONFIG_MAPS, {"metadata": {"generateName": name or "/"}}, ALICE)
    assert prefixed.code in (201, 422), prefixed
    if prefixed.code == 201:  # what is made of it is a good name, as "a." and four letters are
        assert prefixed.body["metadata"]["name"].startswith(name[:8])


@pytest.mark.parametrize(
    ("method", "path", "metadata", "code"),
    [
        ("POST", CONFIG_MAPS, {"name": "x", "namespace": "default"}, 400),
        ("POST", CONFIG_MAPS, {"name": "x", "namespace": "hers/../default"}, 400),
        ("POST", CONFIG_MAPS, {"name": "x", "namespace": "HERS"}, 400),
        ("PUT", f"{CONFIG_MAPS}/one", {"name": "one", "namespace": "default"}, 400),
        ("PUT", f"{CONFIG_MAPS}/one", {"name": "two"}, 400),
        ("PUT", f"{CONFIG_MAPS}/one", {"name": "one", "uid": "another"}, 409),
        ("PATCH", f"{CONFIG_MAPS}/one", {"namespace": "default"}, 400),
        ("PATCH", f"{CONFIG_MAPS}/one", {"name": "two"}, 400),
    ],
)
def test_a_body_stays_where_its_path_says(
    own: Stage, method: str, path: str, metadata: dict[str, Any], code: int
) -> None:
    headers = {"Content_Type": "application/merge-patch+json"} if method == "PATCH" else {}
    answer = own.ask(method, path, {"metadata": metadata}, ALICE, **headers)
    assert answer.code == code, answer
    assert own.ask("GET", f"{NS}/default/configmaps/x").code == 404


@pytest.mark.parametrize(
    "labels",
    [{"a/b/c": "x"}, {"": "x"}, {"/a": "x"}, {"a": "x\ny"}, {"a": "../x"}, {"a": "x" * 64}, {"-a": "x"}, {"a": "x."},
     {"A" * 64: "x"}, {"é": "x"}, {"a": "é"}, {"a" * 254 + "/b": "x"}],
)  # fmt: skip
def test_a_label_is_a_label(own: Stage, labels: dict[str, str]) -> None:
    answer = own.ask("POST", CONFIG_MAPS, {"metadata": {"name": "labelled", "labels": labels}}, ALICE)
    assert answer.code == 422, answer


@pytest.mark.parametrize("selector", ["a=b=c", "a in b", "a in (", "!", "a,,b", "a=(b)", "=", "a/b/c"])
def test_a_selector_is_a_selector(own: Stage, selector: str) -> None:
    answer = own.ask("GET", f"{CONFIG_MAPS}?labelSelector={selector.replace(' ', '%20')}", token=ALICE)
    assert answer.code == 400, answer


def test_names_that_begin_alike_are_not_confused(own: Stage) -> None:
    own.create(NS, {"metadata": {"name": "he"}})
    assert own.ask("GET", f"{NS}/he/configmaps").body["items"] == []
    assert own.ask("GET", f"{NS}/he/configmaps", token=ALICE).code == 403
    assert own.ask("GET", f"{CONFIG_MAPS}/on", token=ALICE).code == 404
    assert own.ask("GET", f"{NS}/hers/configmap", token=ALICE).code == 403
