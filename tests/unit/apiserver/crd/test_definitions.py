"""What definitions may say, in the original's words."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import pytest
import yaml

from tests.unit.apiserver.crd.definitions import (
    Object,
    about_schema,
    complaints,
    created,
    definition,
    established,
    strategy,
    version,
)

STRING = {"type": "string"}


def inside(field: Object) -> Object:
    """A schema with one field, ``a``."""
    return {"type": "object", "properties": {"a": field}}


def test_a_plain_definition_is_defaulted_and_fine() -> None:
    stored = created(definition())
    assert stored["spec"]["names"] == {
        "plural": "widgets",
        "kind": "Widget",
        "singular": "widget",
        "listKind": "WidgetList",
    }
    assert stored["spec"]["conversion"] == {"strategy": "None"}
    assert stored["status"]["storedVersions"] == ["v1"]
    assert complaints(definition()) == []


SCHEMAS = yaml.safe_load((Path(__file__).parent / "schemas.yaml").read_text())


@pytest.mark.parametrize("case", SCHEMAS, ids=[case["name"] for case in SCHEMAS])
def test_schemas(case: Object) -> None:
    assert about_schema(case["schema"]) == case["errors"]


def rules(*given: Object) -> list[str]:
    schema = {"type": "object", "properties": {"a": STRING}, "x-kubernetes-validations": list(given)}
    found = about_schema(schema)
    return [text.removeprefix("x-kubernetes-validations") for text in found]


def test_rules() -> None:
    assert rules({"rule": "self.a == 'x'"}) == []
    assert rules({"rule": " "}) == ["[0].rule: Required value: rule is not specified"]
    assert rules({"rule": "true\n", "message": "a\nb"}) == [
        '[0].message: Invalid value: "a\\nb": must not contain line breaks'
    ]
    assert rules({"rule": "true", "reason": "Odd"})[0].startswith('[0].reason: Unsupported value: "Odd"')
    assert rules({"rule": "true", "fieldPath": ".b"}) == [
        '[0].fieldPath: Invalid value: ".b": must be a valid path'
    ]
    assert rules({"rule": "self.b == 1"}) == [
        '[0].rule: Invalid value: {"Rule":"self.b == 1"}: compilation failed: '
        "ERROR: <input>:1:5: undefined field 'b'\n | self.b == 1\n | ....^"
    ]
    assert rules({"rule": "self.a"})[0].endswith("cel expression must evaluate to a bool")
    assert rules({"rule": "true", "messageExpression": "1"})[0].endswith(
        "messageExpression must evaluate to a string"
    )
    assert rules({"rule": "true", "optionalOldSelf": True}) == [
        "[0].optionalOldSelf: Invalid value: true: may not be set if oldSelf is not used in rule"
    ]


def test_rules_see_kind_and_name_of_the_object_alone() -> None:
    assert rules({"rule": "self.metadata.name.startsWith('a') && self.kind == 'Widget'"}) == []
    assert "undefined field 'labels'" in rules({"rule": "has(self.metadata.labels)"})[0]


def test_old_values_of_items_that_cannot_be_found_again() -> None:
    item = {"type": "string", "maxLength": 9, "x-kubernetes-validations": [{"rule": "self == oldSelf"}]}
    assert about_schema(inside({"type": "array", "maxItems": 9, "items": item})) == [
        "properties[a].items.x-kubernetes-validations[0].rule: "
        'Invalid value: "self == oldSelf": oldSelf cannot be used on the uncorrelatable portion of the schema '
        "within properties[a]"
    ]


def test_a_rule_of_before_need_not_compile() -> None:
    old = created(
        definition(version(schema={"type": "object", "x-kubernetes-validations": [{"rule": "self.x"}]}))
    )
    assert strategy().validate_update(deepcopy(old), old) == []


def test_names_and_versions() -> None:
    assert complaints(definition(version(), version("v2"))) == [
        "spec.versions: Invalid value: "
        '[{"Name":"v1","Served":true,"Storage":true,"Schema":{"OpenAPIV3Schema":{"Type":"object"}}},'
        '{"Name":"v2","Served":true,"Storage":true,"Schema":{"OpenAPIV3Schema":{"Type":"object"}}}]: '
        "must have exactly one version marked as storage version"
    ]
    assert complaints(definition(group="example"))[1:] == [
        'spec.group: Invalid value: "example": should be a domain with at least one dot'
    ]
    assert complaints(definition(version("1v")))[0].startswith(
        'spec.versions[0].name: Invalid value: "1v": a DNS-1035'
    )
    assert complaints(definition(version(deprecationWarning="old"))) == [
        'spec.versions[0].deprecationWarning: Invalid value: "old": can only be set for deprecated versions'
    ]
    assert complaints(definition(preserveUnknownFields=True))[-1].startswith(
        "spec.preserveUnknownFields: Invalid value: true: cannot set to true"
    )


def test_schemas_that_differ_are_told_apart() -> None:
    first, second = version(schema={}), version("v2", {"type": "string"}, storage=False)
    assert [text.partition(":")[0] for text in complaints(definition(first, second))] == [
        "spec.versions[0].schema.openAPIV3Schema.type",
        "spec.versions[1].schema.openAPIV3Schema.type",
    ]


def test_subresources_columns_and_fields() -> None:
    schema = inside({"type": "string"})
    scale = {"specReplicasPath": "spec.x", "statusReplicasPath": ".spec.y"}
    assert about_schema(schema, subresources={"scale": scale}) == [
        'spec.subresources.scale.specReplicasPath: Invalid value: "spec.x": must be a simple json path starting with .',
        'spec.subresources.scale.statusReplicasPath: Invalid value: ".spec.y": should be a json path under .status',
    ]
    assert about_schema(
        schema, additionalPrinterColumns=[{"name": "A", "type": "text", "jsonPath": "a"}]
    ) == [
        'spec.additionalPrinterColumns[0].type: Invalid value: "text": '
        "must be one of boolean,date,integer,number,string",
        'spec.additionalPrinterColumns[0].JSONPath: Invalid value: "a": must be a simple json path starting with .',
    ]
    fields = [{"jsonPath": ".a"}, {"jsonPath": ".a"}, {"jsonPath": ".b"}, {"jsonPath": ".metadata"}]
    assert [text.split(": ", 1)[1] for text in about_schema(schema, selectableFields=fields)] == [
        'Duplicate value: ".a"',
        'Invalid value: ".b": is an invalid path: does not refer to a valid field',
        'Invalid value: ".metadata": is an invalid path: does not refer to a valid field',
    ]


def webhook(url: str, *reviews: str) -> Object:
    config = {"clientConfig": {"url": url}, "conversionReviewVersions": list(reviews)}
    return {"strategy": "Webhook", "webhook": config}


@pytest.mark.parametrize(
    ("conversion", "expected"),
    [
        ({"strategy": "Odd"}, 'strategy: Unsupported value: "Odd": supported values: "None", "Webhook"'),
        (
            {"strategy": "None", "webhook": {"conversionReviewVersions": ["v1"]}},
            "conversionReviewVersions: Forbidden: should not be set when strategy is not set to Webhook",
        ),
        (
            {"strategy": "Webhook"},
            "webhookClientConfig: Required value: required when strategy is set to Webhook",
        ),
        (
            webhook("http://x", "v1"),
            "webhookClientConfig.url: Invalid value: \"http\": 'https' is the only allowed URL scheme",
        ),
        (
            webhook("https://x", "v9"),
            'conversionReviewVersions: Invalid value: ["v9"]: must include at least one of v1, v1beta1',
        ),
    ],
)
def test_conversion(conversion: Object, expected: str) -> None:
    assert complaints(definition(conversion=conversion))[0].startswith(f"spec.conversion.{expected}")


def updates(change: Object, old: Object) -> list[str]:
    new = deepcopy(old)
    new["spec"].update(change)
    chosen = strategy()
    chosen.default(new)
    chosen.prepare_for_update(new, old)
    return [error.message() for error in chosen.validate_update(new, old)]


def test_updates() -> None:
    old = established(definition())
    assert updates({"scope": "Cluster"}, old) == ['spec.scope: Invalid value: "Cluster": field is immutable']
    assert updates({"scope": "Cluster"}, created(definition())) == []
    assert updates({"versions": [version("v2")]}, old)[0].startswith(
        'status.storedVersions[0]: Invalid value: "v1": missing from spec.versions; v1 was previously a storage version'
    )
    assert updates({"versions": [version(storage=False), version("v2")]}, old) == []


def test_a_new_storage_version_is_recorded() -> None:
    old = established(definition())
    new = deepcopy(old)
    new["spec"]["versions"] = [version(storage=False), version("v2")]
    strategy().prepare_for_update(new, old)
    assert new["status"]["storedVersions"] == ["v1", "v2"]
    assert new["metadata"]["generation"] == 2


def test_a_deletion_waits_for_the_instances() -> None:
    obj = established(definition())
    assert strategy().begin_deletion(obj, "2026-01-01T00:00:00Z")
    assert obj["metadata"]["finalizers"] == ["customresourcecleanup.apiextensions.k8s.io"]
    assert obj["status"]["conditions"][-1]["reason"] == "InstanceDeletionPending"
    assert not strategy().begin_deletion(obj, "2026-01-01T00:00:01Z")


def test_schemas_may_not_be_nested_without_end() -> None:
    schema: Object = {"type": "string"}
    for _ in range(70):
        schema = inside(schema)
    assert complaints(definition(version(schema=schema))) == [
        "spec.validation.openAPIV3Schema: Forbidden: schemas may not be nested more than 64 levels deep"
    ]
