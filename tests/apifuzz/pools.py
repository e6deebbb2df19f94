"""(P) Values that are odd or nearly right, by where they stand in a request. See `requests` and `documents`."""

from __future__ import annotations

import base64
import json
from typing import Any, Final

import cbor2

JSON, YAML, CBOR = "application/json", "application/yaml", "application/cbor"
PROTOBUF = "application/vnd.kubernetes.protobuf"
APPLY = "application/apply-patch+yaml"
BODIES = (JSON, JSON, JSON, YAML, CBOR, PROTOBUF)
PATCHES: Final = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    APPLY,
)
NAMES: Final = ("fuzz", "fuzz2", "default", "kubernetes", "kube-system", "cluster-admin", "nobody")

# One value a line would be many pages.
# fmt: off
_SELECTORS: Final = (
    *(
        "a=b",
        "a in (b,c)",
        "!a",
        "a>1",
        "a notin ()",
        "a,,b",
        "a=b=c",
        "(",
        "a in (b",
        "x/y=z",
        "a<" + "9" * 5000,
    ),
    *("a=" + "b" * 300, "é=1", "a in (,)", "==", "a!=b,c==d", "," * 500, "a,\x00", "!" * 50),
)
_FIELDS: Final = (
    *(
        "metadata.name=fuzz",
        "metadata.namespace=default",
        "metadata.name!=x",
        "status.phase=Running",
        "spec.x=1",
    ),
    *("metadata.name=a\\", "metadata.name=\\,", "=", "metadata.name=a=b", "metadata.name=" + "z" * 5000),
    *("involvedObject.uid=1", "type=Opaque", "metadata.name=..", "metadata.name=a/b,metadata.namespace=%2e"),
)
_VERSIONS: Final = (
    "0",
    "1",
    "-1",
    "x",
    "18446744073709551616",
    "9223372036854775807",
    "01",
    "+1",
    "9" * 5000,
    "١",
)
_INTEGERS: Final = ("0", "1", "2", "-1", "x", "1.5", "9223372036854775808", "9" * 5000, "", "٣", "1_0")
_BOOLEANS: Final = ("true", "false", "1", "0", "", "x", "TRUE")


def _token(document: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


_V1 = "meta.k8s.io/v1"
_CONTINUE: Final = (
    *("x", "!", "", "e30", _token([]), _token(1), _token(None), _token("x"), _token({"v": _V1})),
    *(
        _token({"v": _V1, "rv": 1, "start": start})
        for start in ("a", "/a", "../a", "default/fuzz\0", 5, [], None)
    ),
    *(
        _token({"v": _V1, "rv": rv, "start": "a"})
        for rv in (-1, 0, 10**30, 1.5, "1", "x", [], {}, True, None)
    ),
    *(
        _token({"v": ["x"], "rv": 1, "start": "a"}),
        base64.urlsafe_b64encode(b"[" * 5000).decode().rstrip("="),
    ),
    *(
        base64.urlsafe_b64encode(b"\xff{}").decode().rstrip("="),
        base64.urlsafe_b64encode(b"9" * 4999).decode(),
    ),
)
QUERY: Final[dict[str, tuple[str, ...]]] = {
    "labelSelector": _SELECTORS,
    "fieldSelector": _FIELDS,
    "resourceVersion": _VERSIONS,
    "resourceVersionMatch": ("Exact", "NotOlderThan", "x", ""),
    "limit": _INTEGERS,
    "continue": _CONTINUE,
    "timeoutSeconds": _INTEGERS,
    "timeout": ("1s", "x", "-1s", "9" * 5000 + "h"),
    "watch": _BOOLEANS,
    "allowWatchBookmarks": _BOOLEANS,
    "sendInitialEvents": _BOOLEANS,
    "dryRun": ("All", "", "x"),
    "fieldValidation": ("Strict", "Warn", "Ignore", "x"),
    "fieldManager": ("m", "", "x" * 200, "\x00"),
    "force": _BOOLEANS,
    "pretty": _BOOLEANS,
    "gracePeriodSeconds": _INTEGERS,
    "propagationPolicy": ("Foreground", "Background", "Orphan", "x"),
    "orphanDependents": _BOOLEANS,
    "includeObject": ("None", "Metadata", "Object", "x"),
    "tailLines": _INTEGERS,
    "sinceTime": ("2020-01-01T00:00:00Z", "x"),
    "container": ("c", "x"),
}
_TABLE = ";as=Table;v=v1;g=meta.k8s.io"
ACCEPT: Final = (
    *("*/*", JSON, YAML, CBOR, PROTOBUF, f"{PROTOBUF},{JSON}", f"{JSON}{_TABLE},{JSON}", f"{YAML}{_TABLE}"),
    *(
        f"{JSON};as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
        f"{JSON};as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
    ),
    *(f"{CBOR}{_TABLE}", f"{PROTOBUF};as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,{JSON}", f"{CBOR}-seq"),
    *(
        "",
        ";",
        ",,,",
        "text/html",
        "application/*",
        f"{JSON};q=x",
        f"{JSON};q=nan",
        f"{JSON};q=-1,{YAML};q=inf",
    ),
    *(f"{JSON};stream=watch", "é", f"{JSON};as=Table;v=v9;g=x", "application/json;" * 500, "a" * 7000),
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
)
CONTENT_TYPES: Final = (
    JSON,
    YAML,
    CBOR,
    PROTOBUF,
    *PATCHES,
    "",
    "x",
    "text/plain",
    f"{JSON};charset=\xff",
    "é",
)
AUTHORIZATION: Final = (
    *(
        "Bearer admintoken",
        "Bearer aliceToken",
        "Bearer nodeToken",
        "Bearer ",
        "Bearer x",
        "bearer admintoken",
    ),
    *("Basic YTpi", "Bearer a.b.c", "Bearer \xff", "Bearer " + "a" * 7000, "Digest x", "Bearer a b"),
    "Bearer eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL2t1YmVybmV0ZXMuZGVmYXVsdC5zdmMifQ.",
    "Bearer eyJhbGciOiJSUzI1NiJ9.bnVsbA.YQ",
)
ENCODINGS: Final = ("gzip", "identity", "deflate", "br", "x", "gzip;q=0")
SEGMENTS: Final = (
    *(
        "..",
        ".",
        "",
        "%2e%2e",
        "%2F",
        "%00",
        "%ff",
        "%",
        "%zz",
        "a%20b",
        ";",
        "a:b",
        "é",
        "x" * 300,
        "status",
        "scale",
    ),
    *(
        "watch",
        "namespaces",
        "v1",
        "api",
        "apis",
        "proxy%2F",
        "+",
        "a%0d%0ab",
        "\\",
        "default",
        "~",
        "%C0%AF",
        "@",
    ),
    "*",
)
HEADERS: Final = ("If-None-Match", "Upgrade", "Expect", "Impersonate-User", "Range")
METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "BREW")
PLACES: Final = (
    *(
        "/",
        "/api",
        "/apis",
        "/api/v1",
        "/apis/apps",
        "/apis/apps/v1",
        "/healthz",
        "/livez/x",
        "/readyz",
        "/version",
    ),
    *("/openapi/v2", "/openapi/v3", "/openapi/v3/apis/apps/v1", "/metrics", "/logs", "/openid/v1/jwks"),
    *(
        "/.well-known/openid-configuration",
        "/swagger.json",
        "//",
        "/api/v1/",
        "/apis//v1/x",
        "/api/v1/watch/pods",
    ),
)
YAMLS: Final = (
    b"".join(
        b"x%d: &x%d [%b]\n" % (n, n, b",".join([b"*x%d" % (n - 1)] * 10) if n else b"a") for n in range(12)
    ),
    *(
        b"a: &a [*a]",
        b"&a {<<: *a}",
        b"? [1, 2]\n: x",
        b"? {a: 1}\n: x",
        b"1: x",
        b"2020-01-01: x",
        b"null: x",
    ),
    *(b"a: 2020-01-01", b"a: 2020-01-01T00:00:00Z", b"a: !!binary YQ==", b"a: !!set {x}"),
    b"a: !!python/name:os.system",
    *(
        b"a: .nan",
        b"a: .inf",
        b"a: 0o17",
        b"a: 1:30",
        b"a: 0x" + b"f" * 5000,
        b"a: " + b"9" * 5000,
        b"[" * 3000,
    ),
    *(
        b"--- a\n--- b",
        b"%YAML 9.9\n---\na",
        b"a: b: c",
        b"\t",
        b"a: !!omap [x: 1]",
        b"a: !!timestamp x",
        b"\xff",
    ),
    *(
        b"kind: ConfigMap\nkind: ConfigMap\nmetadata: {name: fuzz}",
        b"{a: " * 3000,
        b"!!map [x]",
        b"a: !!int x",
    ),
    *(
        b"a: 9999-99-99",
        b"a: 2020-13-01",
        b"a: 1:99:99",
        b"a: +",
        b"a: ~",
        b"a: !<tag:yaml.org,2002:float> x",
    ),
)
CBORS: Final = (
    *(
        b"",
        b"\xff",
        b"\x9f",
        b"\xbf",
        b"\x81" * 5000,
        b"\xd9\xd9\xf7" * 500,
        b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
    ),
    *(
        b"\x5b\x7f\xff\xff\xff\xff\xff\xff\xff",
        b"\xc2\x59\xff\xff",
        b"\xd8\x1c\x81\xd8\x1d\x00",
        b"\xf9\x7e\x00",
    ),
    *(
        b"\xa1\xf6\x01",
        b"\xa1\x80\x01",
        b"\xa1\xa0\x01",
        b"\xc0\x61x",
        b"\xc1\xfb" + b"\xff" * 8,
        b"\xd8\x23\x61(",
    ),
    *(
        b"\xc4\x82\x1b" + b"\x7f" * 8 + b"\x01",
        b"\xd8\x25\x41x",
        b"\xf7",
        b"\xe0",
        b"\xa1\x01\x02",
        b"\x7f\x61a\xff",
    ),
    *(cbor2.dumps({"a": 2**70}), cbor2.dumps({"a": float("nan")}), cbor2.dumps({"a": float("inf")})),
    *(
        b"\xd8\x1e\x82\x01\x00",
        b"\xd9\x01\x00\x81\x61a",
        b"\xd9\x01\x02\x81\x01",
        b"\xd8\x2b\x01",
        b"\xc3\x41\xff",
    ),
)
POINTERS: Final = (
    *(
        "",
        "/",
        "/metadata",
        "/metadata/name",
        "/metadata/labels/a",
        "/spec",
        "/data/a",
        "/data/-",
        "/spec/-",
        "/a~1b",
    ),
    *(
        "/~2",
        "/metadata/labels/a~",
        "/spec/containers/0",
        "/spec/containers/-1",
        "/spec/containers/-",
        "/x/y/z",
        "x",
    ),
    *(
        "/metadata/finalizers/-",
        "/spec/containers/" + "9" * 5000,
        "/metadata/name/x",
        "/spec/containers/01",
        "/kind",
    ),
    *("/metadata/managedFields", "/status", "/spec/template/spec/containers/0/image", "/metadata/name/0"),
)
DIRECTIVES: Final = ("$patch", "$retainKeys", "$setElementOrder/", "$deleteFromPrimitiveList/")
# fmt: on
