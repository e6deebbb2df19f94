"""What a patch document itself gets wrong, and how objects made by a strategic patch are refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from apiserver.api.errors import StatusError
from apiserver.api.gvk import GroupVersionKind
from apiserver.http.handlers.patch import JSON_PATCH, MERGE_PATCH, document_complaints
from apiserver.schema.schemas import Schemas

SCHEMAS = Schemas.load()
DEPLOYMENT = GroupVersionKind("apps", "v1", "Deployment")


@pytest.mark.parametrize(
    ("media_type", "raw", "complaints"),
    [
        (MERGE_PATCH, '{"a":1,"a":2}', ['duplicate field "a"']),
        (MERGE_PATCH, '{"a":{"b":1,"b":2}}', ['duplicate field "a.b"']),
        (JSON_PATCH, '[{"op":"add","path":"/a","value":1}]', []),
        (JSON_PATCH, '[{"op":"add","op":"add","path":"/a"}]', ['json patch duplicate field "[0].op"']),
        (JSON_PATCH, '[{"op":"add","path":"/a","x":1}]', ['json patch unknown field "[0].x"']),
        (JSON_PATCH, "{}", []),
    ],
)
def test_complaints(media_type: str, raw: str, complaints: list[str]) -> None:
    assert document_complaints(raw.encode(), json.loads(raw), media_type) == complaints


@pytest.mark.parametrize(
    ("spec", "decoder", "converter"),
    [
        (
            {"replicas": "x"},
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
            "unrecognized type: int32",
        ),
        (
            {"template": 1},
            "json: cannot unmarshal number into Go struct field DeploymentSpec.spec.template of type "
            "v1.PodTemplateSpec",
            "cannot restore struct from: int64",
        ),
        (
            {"template": {"metadata": {"labels": []}}},
            "json: cannot unmarshal array into Go struct field ObjectMeta.spec.template.metadata.labels of type "
            "map[string]string",
            "cannot restore map from slice",
        ),
        (
            {"template": {"spec": {"containers": True}}},
            "json: cannot unmarshal bool into Go struct field PodSpec.spec.template.spec.containers of type "
            "[]v1.Container",
            "cannot restore slice from bool",
        ),
    ],
)
def test_types_that_do_not_fit(spec: dict[str, Any], decoder: str, converter: str) -> None:
    for converting, expected in ((False, decoder), (True, converter)):
        with pytest.raises(StatusError) as refused:
            SCHEMAS.check(DEPLOYMENT, {"spec": spec}, converting=converting)
        assert refused.value.message.endswith(f"cannot be handled as a Deployment: {expected}")
