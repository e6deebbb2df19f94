"""Which form an answer takes."""

from __future__ import annotations

import pytest

from apiserver.api.errors import StatusError
from apiserver.http import negotiation
from apiserver.http.negotiation import CBOR, JSON, PROTOBUF, WITH_CBOR, YAML, Accepted

META = "g=meta.k8s.io"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, Accepted()),
        ("", Accepted()),
        ("*/*", Accepted()),
        (YAML, Accepted(YAML)),
        (f"{YAML};q=0.5,{JSON}", Accepted(JSON)),
        (f"{PROTOBUF},{JSON}", Accepted(JSON)),
        (f"{PROTOBUF},*/*", Accepted(JSON)),
        (PROTOBUF, Accepted(PROTOBUF)),
        (f"{JSON};pretty=1", Accepted(pretty=True)),
        (f"{JSON};stream=watch", Accepted()),
        (f"{JSON};as=Table;v=v1;{META}", Accepted(JSON, "Table")),
        (f"{JSON};as=Table;v=v1beta1;{META},{JSON}", Accepted(JSON, "Table", "v1beta1")),
        (f"{JSON};as=Table;v=v9;{META},{JSON}", Accepted()),
        (
            f"{PROTOBUF};as=PartialObjectMetadata;v=v1;{META}",
            Accepted(PROTOBUF, "PartialObjectMetadata"),
        ),
        ("text/html,application/yaml", Accepted(YAML)),
    ],
)
def test_the_first_clause_that_can_be_served_wins(accept: str | None, expected: Accepted) -> None:
    assert negotiation.negotiate(accept) == expected


@pytest.mark.parametrize(
    ("accept", "text"),
    [
        ("text/html", "406: Not Acceptable\n\nAvailable representations: "),
        (CBOR, "406: Not Acceptable\n\nAvailable representations: "),
        (f"{JSON};as=Nope;v=v1;{META}", "only the following media types are accepted: "),
        (f"{PROTOBUF};as=Table;v=v1;{META}", "only the following media types are accepted: "),
        (f"{JSON};stream=other", "only the following media types are accepted: "),
    ],
)
def test_nothing_that_can_be_served(accept: str, text: str) -> None:
    with pytest.raises(StatusError) as refused:
        negotiation.negotiate(accept)
    assert refused.value.code == 406
    assert (
        refused.value.message
        == text + "application/json, application/yaml, application/vnd.kubernetes.protobuf"
    )


def test_cbor_is_served_where_it_is_switched_on() -> None:
    assert negotiation.negotiate(CBOR, WITH_CBOR) == Accepted(CBOR)
    assert negotiation.content_type(CBOR, WITH_CBOR) == CBOR
    with pytest.raises(StatusError, match="accepted media types include"):
        negotiation.content_type(CBOR)


@pytest.mark.parametrize(
    ("asked", "agent", "expected"),
    [
        ("true", "", True),
        ("1", "", True),
        ("false", "curl/8", False),
        ("odd", "curl/8", False),
        (None, "curl/8", True),
        ("", "Mozilla/5.0 (X11)", True),
        (None, "kubectl/v1.36", False),
    ],
)
def test_line_breaks_for_people(asked: str | None, agent: str, expected: bool) -> None:
    assert negotiation.wants_pretty(asked, agent) is expected
