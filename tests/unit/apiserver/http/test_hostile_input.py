"""Requests that once broke the server, over real connections: each is refused in the original's way."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import cbor2
import pytest

from apiserver.http.printers import common
from tests.support.served import CONFIG_MAPS, TABLE, Server, config_map, running

JSON, YAML, CBOR = "application/json", "application/yaml", "application/cbor"
JSON_PATCH, STRATEGIC = "application/json-patch+json", "application/strategic-merge-patch+json"
LONG = "9" * 5000
DEEP = b'{"a":' * 150 + b"1" + b"}" * 150
ROLE_BINDINGS = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    gates = frozenset({"CBORServingAndStorage"})
    with running(tmp_path_factory.mktemp("certs"), feature_gates=gates) as found:
        found.json("POST", CONFIG_MAPS, config_map("one"))
        yield found


def _token(document: Any) -> str:
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@pytest.mark.parametrize(
    ("query", "code", "text"),
    [
        (f"limit={LONG}", 400, "value out of range"),
        (f"timeoutSeconds=-{LONG}", 400, "value out of range"),
        (f"labelSelector=a%3E{LONG}", 400, "the value must be an integer"),
        (f"resourceVersion={LONG}", 400, "value out of range"),
        (f"continue={_token([])}", 400, "cannot unmarshal array into Go value of type storage.continueToken"),
        (f"continue={_token('x')}", 400, "cannot unmarshal string into Go value"),
        (f"continue={_token({'v': 'meta.k8s.io/v1', 'rv': 1, 'start': 5})}", 400,
         "cannot unmarshal number into Go struct field continueToken.start of type string"),
        (f"continue={_token({'v': 'meta.k8s.io/v1', 'rv': 1.5, 'start': 'a'})}", 400,
         "cannot unmarshal number 1.5 into Go struct field continueToken.rv of type int64"),
        (f"continue={_token({'v': 'meta.k8s.io/v1', 'rv': 2**70, 'start': 'a'})}", 400, "of type int64"),
        (f"continue={_token({'v': ['x'], 'rv': 1, 'start': 'a'})}", 400, "continueToken.v of type string"),
        (f"continue={_token(b'[' * 3000)}", 400, "exceeded max depth"),
        (f"continue={_token(LONG.encode())}", 400, "cannot unmarshal number"),
        (f"continue={_token(b'NaN')}", 400, "invalid character 'N' looking for beginning of value"),
    ],
)  # fmt: skip
def test_a_parameter_is_refused(server: Server, query: str, code: int, text: str) -> None:
    status, _, data = server.ask("GET", f"{CONFIG_MAPS}?{query}")
    assert (status, text in json.loads(data)["message"]) == (code, True), data


def _shared_values() -> bytes:
    """Ten lists that hold the one before ten times each, in 300 bytes: tag 28 shares, tag 29 refers."""
    lists = [b"\xd8\x1c\x81\x00"]
    lists += [b"\xd8\x1c\x8a" + b"\xd8\x1d" + bytes([n]) + (b"\xd8\x1d" + bytes([n])) * 9 for n in range(10)]
    return b"\xa1\x61a" + bytes([0x80 + len(lists)]) + b"".join(lists)


@pytest.mark.parametrize(
    ("media_type", "body", "code", "text"),
    [
        (JSON, b'{"apiVersion":5}', 400, "number into Go struct field .apiVersion of type string"),
        (JSON, b'{"kind":{}}', 400, "object into Go struct field .kind of type string"),
        (JSON, f'{{"data":{{"a":{LONG}}}}}'.encode(), 400, "Go value of type float64"),
        (JSON, b"[" * 100_000, 400, "exceeded max depth"),
        (JSON, DEEP, 400, "exceeded max depth"),
        (JSON, b"[" + b"{}," * 300_000 + b"{}]", 413, "more than 100000 values"),
        (YAML, f"data: {{a: {LONG}}}".encode(), 400, "error converting YAML to JSON"),
        (YAML, b"a: !!timestamp x", 400, "error converting YAML to JSON"),
        (YAML, b"? [1]\n: x", 400, "error converting YAML to JSON"),
        (YAML, b"a: !!set {x}", 400, "unsupported type: set"),
        (YAML, b"a: .nan", 400, "unsupported value: nan"),
        (YAML, b"5", 400, "cannot unmarshal number into Go value"),
        (YAML, b"null", 422, "name or generateName is required"),
        (YAML, b"[" * 3000, 400, "error converting YAML to JSON"),
        (YAML, b"a: b\n" * 200_000, 413, "more than 100000 values"),
        (YAML, b"a: &a [*a]", 413, "more than 100000 values"),
        (CBOR, b"\x81" * 5000, 400, "couldn't get version/kind"),
        (CBOR, _shared_values(), 400, "couldn't get version/kind"),
        (CBOR, cbor2.dumps({"a": float("nan")}), 400, "couldn't get version/kind"),
        (CBOR, cbor2.dumps({"a": float("-inf")}), 400, "couldn't get version/kind"),
    ],
)
def test_a_body_is_refused(server: Server, media_type: str, body: bytes, code: int, text: str) -> None:
    status, _, data = server.ask("POST", CONFIG_MAPS, body, Content_Type=media_type)
    assert (status, text in json.loads(data)["message"]) == (code, True), data


def test_yaml_is_read_as_json_would_be(server: Server) -> None:
    """Dates are texts, numbers and truth values as keys too; in the original as well."""
    text = b"metadata: {name: dates}\ndata: {a: 2020-01-01, 7: x, true: y}"
    _, _, data = server.ask("POST", CONFIG_MAPS, text, Content_Type=YAML)
    assert json.loads(data)["data"] == {"7": "x", "a": "2020-01-01", "true": "y"}


def test_a_content_encoding_means_nothing(server: Server) -> None:
    """As in the original, which reads the body as it is."""
    body = json.dumps(config_map("packed")).encode()
    status, _, _ = server.ask("POST", CONFIG_MAPS, body, Content_Type=JSON, Content_Encoding="br")
    assert status == 201


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"dryRun": 5}, "cannot unmarshal number into Go struct field DeleteOptions.dryRun of type []string"),
        ({"gracePeriodSeconds": "x"}, "string into Go struct field DeleteOptions.gracePeriodSeconds of type int64"),
        ({"preconditions": "x"}, "cannot unmarshal string into Go struct field DeleteOptions.preconditions"),
        ({"propagationPolicy": []}, "cannot unmarshal array into Go struct field DeleteOptions.propagationPolicy"),
    ],
)  # fmt: skip
def test_delete_options_are_refused(server: Server, body: Any, text: str) -> None:
    status, _, data = server.ask("DELETE", f"{CONFIG_MAPS}/one", body, Content_Type=JSON)
    assert (status, text in json.loads(data)["message"]) == (400, True), data


@pytest.mark.parametrize(
    ("media_type", "patch", "code", "text"),
    [
        (JSON_PATCH, ["x"], 400, "cannot unmarshal string into Go value of type handlers.jsonPatchOp"),
        (JSON_PATCH, [{"op": "copy", "path": "/data/b", "from": f"/data/{LONG}"}], 422, ""),
        (JSON_PATCH, [{"op": "remove", "path": f"/metadata/finalizers/{LONG}"}], 422, ""),
        (STRATEGIC, {"metadata": {"$setElementOrder/finalizers": ["a"], "finalizers": 5}}, 500,
         "expected a []interface {}, but received a int64"),
    ],
)  # fmt: skip
def test_a_patch_is_refused(server: Server, media_type: str, patch: Any, code: int, text: str) -> None:
    status, _, data = server.ask("PATCH", f"{CONFIG_MAPS}/one", patch, Content_Type=media_type)
    assert (status, text in json.loads(data)["message"]) == (code, True), data


def test_a_binding_whose_subject_says_nothing_binds_nobody(tmp_path_factory: pytest.TempPathFactory) -> None:
    """It must not take everybody's access away either, nor break the Table."""
    folder = tmp_path_factory.mktemp("rbac")
    (folder / "tokens").write_text('root,root,1,"system:masters"\nother,other,2,\n')
    modes = ("RBAC",)
    with running(folder, authorization_mode=modes, token_auth_file=folder / "tokens") as server:
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
        subjects: list[Any] = [{"namespace": "x"}, {"kind": "Robot", "name": "other"}]
        binding = {"metadata": {"name": "odd"}, "roleRef": role, "subjects": subjects}
        root = {"Authorization": "Bearer root"}
        stored, _ = server.ask("POST", ROLE_BINDINGS, binding, Content_Type=JSON, **root)[::2]
        status, _, _ = server.ask("GET", CONFIG_MAPS, Authorization="Bearer other")
        assert status == 403
        if stored == 201:
            status, _, data = server.ask("GET", ROLE_BINDINGS, Accept=TABLE, **root)
            assert (status, len(json.loads(data)["rows"])) == (200, 1)


def test_what_is_not_served_is_not_counted_by_name(server: Server) -> None:
    """Or any client could fill the memory with labels."""
    server.ask("GET", "/apis/made/up/v1/things/x")
    server.ask("GET", "/apis/made.up/v1/namespaces/default/things/x/parts")
    server.ask("GET", f"{CONFIG_MAPS}/one/parts")
    _, _, data = server.ask("GET", "/metrics")
    assert b"configmaps" in data
    assert b"things" not in data
    assert b"made.up" not in data
    assert b"parts" not in data


def test_cbor_that_shares_values_is_read(server: Server) -> None:
    shared = b"\xa2\x68metadata\xa1\x64name\x66shared\x64data\xa2\x61a\xd8\x1c\x61x\x61b\xd8\x1d\x00"
    status, _, data = server.ask("POST", CONFIG_MAPS, shared, Content_Type=CBOR, Accept=CBOR)
    assert status == 201, data
    assert cbor2.loads(data) is not None


def test_warnings_do_not_outgrow_the_headers(server: Server) -> None:
    """The original's limits: all are cut when together they are longer than 4 kB."""
    unknown = {f"{'f' * 100}{number}": "x" for number in range(3000)}
    status, headers, _ = server.ask("POST", CONFIG_MAPS, config_map("odd") | unknown, Content_Type=JSON)
    told = headers.getall("Warning")
    assert status == 201
    assert told[0].startswith('299 - "unknown field \\"fff')
    assert 4000 < sum(map(len, told)) < 7000


def test_fields_that_come_twice_are_told(server: Server) -> None:
    body = b'{"metadata":{"name":"twice"},"data":{"a:b":"1","a:b":"2\\":"}}'
    _, headers, _ = server.ask("POST", CONFIG_MAPS, body, Content_Type=JSON)
    assert headers.getall("Warning") == ['299 - "duplicate field \\"data.a:b\\""']


def test_a_selector_that_is_none_is_shown_as_an_error() -> None:
    assert common.selector({"matchLabels": {"a": "not valid"}}) == "<error>"


def test_a_selector_of_many_values_is_read(server: Server) -> None:
    """Clients that know hundreds of names ask so; 8 kB, aiohttp's limit, are not enough."""
    names = ",".join(f"name-{number}" for number in range(2000))
    assert server.json("GET", f"{CONFIG_MAPS}?labelSelector=app in ({names})")["items"] == []


@pytest.mark.parametrize(
    "sent",
    [
        b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\nzz\r\n",
    ],
)
def test_what_is_no_http_is_not_logged(server: Server, sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """With a traceback for each, any client could fill the log."""
    assert server.raw(sent).startswith(b"HTTP/1.0 400 ")
    assert [record for record in caplog.records if record.exc_info] == []
