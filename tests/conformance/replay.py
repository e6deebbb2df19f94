#!/usr/bin/env python3
"""Replay a recorded kube-apiserver behaviour corpus against a server and compare.

Python 3.11 standard library only.

    replay.py [--server URL] [--token T | --user-tokens FILE] [--ca FILE | --insecure]
              [--only REGEX] [-v] [--record] FILE.jsonl...

Exit status: 0 all passed, 1 something failed, 2 usage or connection error.
The server needs the users of kube/tokens.csv (as --token-auth-file), Node,RBAC authorization, the default
admission plugins plus NodeRestriction, service range 10.96.0.0/16, and no controllers acting on the objects.

A file holds one scenario per line: {"name", "steps", and options}. Steps run in order.
  Request step: method, path, query, body (object, or string sent as it is), headers (null removes one), user,
    set {"path in body": "captured variable"}, expect {code, headers, body} (filled in by --record).
    hide: true       set-up only: not compared, must succeed.
    capture          {"variable": "path in the answer"}; used later as {variable}. With mask: ["variable"] its
                     text is put back as {variable} in later answers.
    eventually: N    repeat for up to 10 s until the code is N (and until: {"path": value} holds).
  Watch step: watch (path), query, steps (run while the watch is open), expect {code, events};
    until_close (read until the server ends it), bookmarks: "all", unordered, timeout, quiet (recording: silence
    in seconds that ends the collection).
  Sleep step: {"sleep": seconds}.
  Options of a scenario or a step: compare full | subset | status-only (default full), ignore [paths], keep
    [paths] (recording keeps only these; use with subset), managedFields: true (else left out), mask_regex [[re, text]].
Variables: {ns} a fresh namespace (with ServiceAccount "default"), {id} a random name part, {repeat:x:1000}.
Whatever a scenario creates is removed after it.

Before comparing: uids, resourceVersions, timestamps after 2023, generated suffixes, cluster IPs, node ports,
tokens and ages become placeholders; Status causes and the parts of "[a, b]" in messages are unordered; Go struct
dumps and diffs inside messages are cut out; Table column descriptions are dropped.
"""

from __future__ import annotations

import argparse
import copy
import gzip
import http.client
import json
import os
import random
import re
import socket
import ssl
import string
import sys
import threading
import time
import urllib.parse

DEFAULT_TOKENS = {  # the users a corpus run expects; see tokens.csv
    "admin": "admintoken",
    "alice": "aliceToken",
    "bob": "bobToken",
    "carol": "carolToken",
    "node": "nodeToken",
    "node2": "node2Token",
}
USER_AGENT = "replay/1.0"  # becomes managedFields[].manager = "replay"
COMPARED_HEADERS = ("Content-Type", "Warning", "Allow", "Retry-After", "Content-Encoding")
EVENTUALLY_SECONDS = 10.0

# ------------------------------------------------------------------ normalisation

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TIME = re.compile(
    r"(?:202[4-9]|20[3-9]\d)-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(?:Z| \+0000 UTC|[+-]\d\d:\d\d)"
)
JWT = re.compile(r"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
SERVICE_IP = re.compile(r"\b10\.96\.\d{1,3}\.\d{1,3}\b")
API_ACCESS = re.compile(r"\bkube-api-access-[a-z0-9]{5}\b")
SA_TOKEN_SUFFIX = re.compile(r"\b(default-token|default-dockercfg)-[a-z0-9]{5}\b")
TABLE_PORT = re.compile(r":(3[0-2]\d{3})/")
RV_IN_TEXT = (
    re.compile(r"(ResourceVersion in (?:precondition|object meta): )\d+"),
    re.compile(r"(ResourceVersion in (?:the precondition|record) \()\d+"),
    re.compile(r"((?:Too large|too old|too large) resource version: )\d+(, current: )?\d*( \(\d+\))?", re.I),
    re.compile(r"(resourceVersion[^0-9]{0,20})\d{2,}"),
)
AGE_COLUMNS = {"age", "last seen", "first seen", "duration", "lastseen", "firstseen", "last schedule"}
DURATION = re.compile(r"^(?:\d+(?:y|d|h|ms|m|s))+$")
NODE_PORT_KEYS = {"nodePort", "healthCheckNodePort"}
MESSAGE_LIST = re.compile(r"^(.*?: )\[(.*)\](.*)$", re.S)
QUOTED_OBJECT = re.compile(r'Invalid value: "(?:\{|map\[)(?:\\.|[^"\\])*"')
GO_SCHEME = re.compile(r'in scheme "[^"]+"')
GO_DIFF = re.compile(r"\n@@ -.*", re.S)
STRUCT_START = re.compile(r"value: (?=\[?\{)")


def has_go_names(v):
    """True when a decoded value shows Go's internal field names, which another implementation has no use for."""
    if isinstance(v, dict):
        return any(k[:1].isupper() for k in v) or any(has_go_names(x) for x in v.values())
    return isinstance(v, list) and any(has_go_names(x) for x in v)


def cut_structs(s):
    out, pos = "", 0
    for m in STRUCT_START.finditer(s):
        if m.end() < pos:
            continue
        try:
            value, end = json.JSONDecoder().raw_decode(s, m.end())
        except ValueError:
            continue
        if has_go_names(value):
            out += s[pos : m.end()] + "<struct>"
            pos = end
    return out + s[pos:]


class Masker:
    """Replaces run-specific text (namespace, random id, captured values) and volatile values."""

    def __init__(self, literals, patterns=()):
        self.patterns = [(re.compile(a), b) for a, b in patterns]
        # literals: list of (actual text, placeholder); longest first so that prefixes do not win
        self.literals = sorted(((a, p) for a, p in literals if a), key=lambda x: -len(x[0]))

    def text(self, s):
        for actual, placeholder in self.literals:
            if actual in s:
                s = s.replace(actual, placeholder)
        s = UUID.sub("<uid>", s)
        s = JWT.sub("<jwt>", s)
        s = TIME.sub(lambda m: "<microtime>" if m.group(1) and len(m.group(1)) == 7 else "<time>", s)
        s = SERVICE_IP.sub("<clusterIP>", s)
        s = API_ACCESS.sub("kube-api-access-<rand>", s)
        s = SA_TOKEN_SUFFIX.sub(r"\1-<rand>", s)
        for rx in RV_IN_TEXT:
            s = rx.sub(r"\1<rv>", s)
        for rx, text in self.patterns:
            s = rx.sub(text, s)
        if " value: " in s:
            s = cut_structs(QUOTED_OBJECT.sub('Invalid value: "<object>"', s))
        return GO_DIFF.sub("\n<diff>", GO_SCHEME.sub('in scheme "<scheme>"', s))

    def walk(self, o, key=None):
        if isinstance(o, dict):
            return self.obj(o)
        if isinstance(o, list):
            return [self.walk(v, key) for v in o]
        if isinstance(o, str):
            if key == "resourceVersion" and o not in ("", "0"):
                return "<rv>"
            if key == "continue" and o:
                return "<continue>"
            if key == "token" and len(o) > 40:
                return "<jwt>"
            return self.text(o)
        if key in NODE_PORT_KEYS and isinstance(o, int) and 30000 <= o <= 32767:
            return "<nodePort>"
        return o

    def obj(self, o):
        out = {}
        for k, v in o.items():
            out[self.text(k)] = self.walk(v, k)
        md = out.get("metadata")
        if isinstance(md, dict):
            gen = md.get("generateName")
            name = md.get("name")
            if gen and isinstance(name, str) and name.startswith(gen) and len(name) - len(gen) == 5:
                md["name"] = gen + "<rand>"
            mf = md.get("managedFields")
            if isinstance(mf, list):
                md["managedFields"] = sorted(
                    mf,
                    key=lambda e: (
                        json.dumps(
                            [e.get("manager"), e.get("operation"), e.get("subresource"), e.get("apiVersion")]
                        )
                        if isinstance(e, dict)
                        else str(e)
                    ),
                )
        # ServiceAccount projection: a distribution may add its own CA source; leave it out of the comparison
        src = out.get("sources")
        if isinstance(src, list):
            out["sources"] = [
                s
                for s in src
                if not (
                    isinstance(s, dict)
                    and isinstance(s.get("configMap"), dict)
                    and s["configMap"].get("name") == "openshift-service-ca.crt"
                )
            ]
        if out.get("kind") == "Status":
            normalise_status(out)
        if out.get("kind") == "Table":
            normalise_table(out)
        if out.get("kind") == "APIResourceList" and isinstance(out.get("resources"), list):
            out["resources"] = sorted(out["resources"], key=lambda r: str(r.get("name")))
            if "{id}" in str(out.get("groupVersion")):  # a hash over the random group name
                for r in out["resources"]:
                    r.pop("storageVersionHash", None)
        return out


def normalise_status(o):
    details = o.get("details")
    causes = details.get("causes") if isinstance(details, dict) else None
    if isinstance(causes, list):
        details["causes"] = sorted(causes, key=lambda c: json.dumps(c, sort_keys=True))


def normalise_table(o):
    cols = [str(c.get("name", "")).lower() for c in o.get("columnDefinitions") or [] if isinstance(c, dict)]
    for c in o.get("columnDefinitions") or []:
        c.pop("description", None)
    for row in o.get("rows") or []:
        cells = row.get("cells") if isinstance(row, dict) else None
        for i, v in enumerate(cells or []):
            if not isinstance(v, str):
                continue
            if i < len(cols) and cols[i] in AGE_COLUMNS and DURATION.match(v):
                cells[i] = "<age>"
            else:
                cells[i] = TABLE_PORT.sub(":<nodePort>/", v)
        obj = row.get("object") if isinstance(row, dict) else None
        gen = (obj or {}).get("metadata", {}).get("generateName") if isinstance(obj, dict) else None
        if gen and cells and isinstance(cells[0], str) and cells[0].startswith(gen):
            cells[0] = gen + "<rand>"


def strip_managed_fields(o):
    if isinstance(o, dict):
        md = o.get("metadata")
        if isinstance(md, dict):
            md.pop("managedFields", None)
        for v in o.values():
            strip_managed_fields(v)
    elif isinstance(o, list):
        for v in o:
            strip_managed_fields(v)


# ------------------------------------------------------------------ paths inside documents


def split_path(path):
    """'a.b[0].c' or 'a.*.c'; a dot inside a key is written '\\.'."""
    parts = []
    for p in re.split(r"(?<!\\)\.", path):
        p = p.replace("\\.", ".")
        m = re.match(r"^(.*?)((?:\[\d+\])*)$", p)
        if m.group(1):
            parts.append(m.group(1))
        parts += [int(x) for x in re.findall(r"\[(\d+)\]", m.group(2))]
    return parts


def lookup(doc, path):
    for p in split_path(path):
        try:
            doc = doc[p]
        except (KeyError, IndexError, TypeError):
            return None
    return doc


def drop_path(doc, parts):
    if not parts:
        return
    p, rest = parts[0], parts[1:]
    if p == "*":
        for v in doc.values() if isinstance(doc, dict) else doc if isinstance(doc, list) else []:
            drop_path(v, rest)
        if not rest and isinstance(doc, (dict, list)):
            doc.clear()
        return
    try:
        if rest:
            drop_path(doc[p], rest)
        elif isinstance(doc, dict):
            doc.pop(p, None)
        elif isinstance(doc, list):
            del doc[p]
    except (KeyError, IndexError, TypeError):
        pass


def keep_paths(doc, paths):
    """The part of doc reachable by the given paths ('*' keeps going through list items or values)."""

    def pick(d, parts):
        if not parts:
            return True, copy.deepcopy(d)
        p, rest = parts[0], parts[1:]
        if p == "*":
            if isinstance(d, list):
                got = [pick(v, rest) for v in d]
                return True, [v for ok, v in got if ok]
            if isinstance(d, dict):
                got = {k: pick(v, rest) for k, v in d.items()}
                return True, {k: v for k, (ok, v) in got.items() if ok}
            return False, None
        try:
            ok, v = pick(d[p], rest)
        except (KeyError, IndexError, TypeError):
            return False, None
        return (True, {p: v}) if ok and isinstance(p, str) else (ok, [v] if ok else None)

    def merge(a, b):
        if isinstance(a, dict) and isinstance(b, dict):
            for k, v in b.items():
                a[k] = merge(a[k], v) if k in a else v
            return a
        if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
            return [merge(x, y) for x, y in zip(a, b)]
        return b

    out = {}
    for path in paths:
        ok, v = pick(doc, split_path(path))
        if ok:
            out = merge(out, v)
    return out


# ------------------------------------------------------------------ comparison


def show(v, limit=160):
    s = json.dumps(v, sort_keys=True, ensure_ascii=False)
    return s if len(s) <= limit else s[:limit] + "..."


def unordered(message):
    """A message with the parts of its first "[a, b]" list sorted."""
    m = MESSAGE_LIST.match(message)
    return m.group(1) + repr(sorted(m.group(2).split(", "))) + m.group(3) if m else message


def diff(exp, got, path, subset, out):
    if (
        path.endswith("message")
        and isinstance(exp, str)
        and isinstance(got, str)
        and unordered(exp) == unordered(got)
    ):
        return
    if isinstance(exp, dict) and isinstance(got, dict):
        for k in exp:
            p = f"{path}.{k}" if path else str(k)
            if k not in got:
                out.append(f"{p}: expected {show(exp[k])}, got nothing")
            else:
                diff(exp[k], got[k], p, subset, out)
        if not subset:
            for k in got:
                if k not in exp:
                    p = f"{path}.{k}" if path else str(k)
                    out.append(f"{p}: expected nothing, got {show(got[k])}")
        return
    if isinstance(exp, list) and isinstance(got, list):
        if subset:
            for i, e in enumerate(exp):
                if not any(not trial(e, g) for g in got):
                    named = [
                        g
                        for g in got
                        if isinstance(e, dict)
                        and isinstance(g, dict)
                        and "name" in e
                        and g.get("name") == e["name"]
                    ]
                    if named:
                        diff(e, named[0], f"{path}[name={e['name']}]", subset, out)
                    else:
                        out.append(f"{path}: no element like {show(e)} among {len(got)}")
            return
        if len(exp) != len(got):
            out.append(
                f"{path}: expected {len(exp)} elements, got {len(got)}: expected {show(exp)}, got {show(got)}"
            )
        for i in range(min(len(exp), len(got))):
            diff(exp[i], got[i], f"{path}[{i}]", subset, out)
        return
    if type(exp) is not type(got) and not (
        isinstance(exp, (int, float))
        and isinstance(got, (int, float))
        and not isinstance(exp, bool)
        and not isinstance(got, bool)
    ):
        out.append(f"{path}: expected {show(exp)}, got {show(got)}")
    elif exp != got:
        out.append(f"{path}: expected {show(exp)}, got {show(got)}")


def trial(exp, got):
    out = []
    diff(exp, got, "", True, out)
    return out


# ------------------------------------------------------------------ HTTP


class Response:
    def __init__(self, code, headers, body):
        self.code = code
        self.headers = headers
        self.raw = body
        if headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        text = body.decode("utf-8", "replace")
        try:
            self.doc = json.loads(text) if text else None
        except ValueError:
            self.doc = text


class Client:
    """Keep-alive HTTPS or HTTP client; one connection per calling thread."""

    def __init__(self, server, tokens, ca=None, timeout=30.0):
        u = urllib.parse.urlsplit(server)
        self.host, self.port = u.hostname, u.port or (443 if u.scheme == "https" else 80)
        self.prefix = u.path.rstrip("/")
        self.tokens = tokens
        self.timeout = timeout
        self.context = None
        if u.scheme == "https":
            if ca:
                self.context = ssl.create_default_context(cafile=ca)
            else:
                self.context = ssl.create_default_context()
                self.context.check_hostname = False
                self.context.verify_mode = ssl.CERT_NONE
        self.conn = None

    def connect(self, timeout=None):
        t = timeout or self.timeout
        if self.context:
            c = http.client.HTTPSConnection(self.host, self.port, timeout=t, context=self.context)
        else:
            c = http.client.HTTPConnection(self.host, self.port, timeout=t)
        c.connect()
        c.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return c

    def headers(self, user, extra):
        h = {"User-Agent": USER_AGENT, "Accept": "application/json"}
        if user and user != "anonymous":
            token = self.tokens.get(user)
            if token is None:
                raise SystemExit(f"replay: no token for user {user!r}; name it in --user-tokens")
            h["Authorization"] = "Bearer " + token
        for k, v in (extra or {}).items():
            if v is None:
                h.pop(k, None)
            else:
                h[k] = v
        return h

    def request(self, method, target, body=None, user="admin", headers=None):
        h = self.headers(user, headers)
        data = None
        if body is not None:
            data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            if not any(k.lower() == "content-type" for k in h):
                h["Content-Type"] = "application/json"
        for attempt in (0, 1):
            fresh = self.conn is None
            if fresh:
                self.conn = self.connect()
            try:
                self.send(self.conn, method, self.prefix + target, data, h)
                r = self.conn.getresponse()
                raw = r.read()
                res = Response(r.status, collect_headers(r), raw)
                if r.will_close:
                    self.close()
                return res
            except (http.client.HTTPException, ConnectionError, ssl.SSLError, BrokenPipeError):
                self.close()
                if fresh or attempt:
                    raise

    @staticmethod
    def send(conn, method, target, data, headers):
        conn.putrequest(method, target, skip_accept_encoding=True)
        for k, v in headers.items():
            for one in v if isinstance(v, list) else [v]:
                conn.putheader(k, one)
        if data is not None:
            conn.putheader("Content-Length", str(len(data)))
        elif method in ("POST", "PUT", "PATCH"):
            conn.putheader("Content-Length", "0")
        conn.endheaders(data)

    def close(self):
        if self.conn:
            self.conn.close()
            self.conn = None


def collect_headers(r):
    out = {}
    for name in COMPARED_HEADERS:
        vals = r.headers.get_all(name) or []
        if name == "Warning":
            vals = sorted(v.strip() for v in ",\0".join(vals).split(",\0")) if vals else []
            if vals:
                out[name] = vals
        elif vals:
            out[name] = vals[0]
    if "Content-Type" in out:
        out["Content-Type"] = out["Content-Type"].replace("; ", ";")
    return out


class WatchStream(threading.Thread):
    """Reads one watch in the background and keeps its events."""

    def __init__(self, client, target, user, headers):
        super().__init__(daemon=True)
        self.client, self.target = client, target
        self.hdrs = client.headers(user, headers)
        self.events, self.code, self.error_doc, self.resp_headers = [], None, None, {}
        self.opened, self.closed = threading.Event(), threading.Event()
        self.cond = threading.Condition()
        self.conn = None

    def run(self):
        try:
            self.conn = self.client.connect(timeout=60)
            self.client.send(self.conn, "GET", self.client.prefix + self.target, None, self.hdrs)
            r = self.conn.getresponse()
            self.code, self.resp_headers = r.status, collect_headers(r)
            if r.status != 200:
                raw = r.read()
                try:
                    self.error_doc = json.loads(raw)
                except ValueError:
                    self.error_doc = raw.decode("utf-8", "replace")
                return
            self.opened.set()
            while True:
                line = r.readline()
                if not line:
                    return
                line = line.strip()
                if not line:
                    continue
                try:
                    ev = json.loads(line)
                except ValueError:
                    ev = {"type": "<not JSON>", "object": line.decode("utf-8", "replace")}
                with self.cond:
                    self.events.append(ev)
                    self.cond.notify_all()
        except (OSError, http.client.HTTPException, ValueError, AttributeError):
            pass
        finally:
            self.opened.set()
            self.closed.set()
            with self.cond:
                self.cond.notify_all()

    def stop(self):
        try:
            if self.conn and self.conn.sock:
                self.conn.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.join(2)


# ------------------------------------------------------------------ running scenarios

REPEAT = re.compile(r"\{repeat:([^:{}]+):(\d+)\}")
COLLECTION = re.compile(r"^(/api/v1|/apis/[^/]+/[^/]+)(?:/namespaces/[^/]+)?/[^/]+$")
OBJECT = re.compile(r"^(/api/v1|/apis/[^/]+/[^/]+)(?:/namespaces/[^/]+)?/[^/]+/[^/]+$")


def rand(n):
    return random.choice(string.ascii_lowercase) + "".join(
        random.choice("bcdfghjklmnpqrstvwxz2456789") for _ in range(n - 1)
    )


class Failure(Exception):
    pass


class Run:
    """One scenario: variables, steps in order, cleanup."""

    def __init__(self, client, scenario, record, verbose):
        self.client, self.sc, self.record, self.verbose = client, scenario, record, verbose
        text = json.dumps({k: v for k, v in scenario.items() if k != "name"})
        self.uses_ns = "{ns}" in text
        self.vars = {"ns": "rp-" + rand(10), "id": rand(10)}
        self.masks = [(self.vars["ns"], "{ns}"), (self.vars["id"], "{id}")]
        self.created, self.problems = [], []

    # -- variables
    def fill(self, v):
        if isinstance(v, str):
            if "{repeat:" in v:  # '{repeat:x:70000}' keeps big bodies out of the corpus files
                v = REPEAT.sub(lambda m: m.group(1) * int(m.group(2)), v)
            return re.sub(
                r"\{([A-Za-z][A-Za-z0-9_]*)\}",
                lambda m: str(self.vars[m.group(1)]) if m.group(1) in self.vars else m.group(0),
                v,
            )
        if isinstance(v, list):
            return [self.fill(x) for x in v]
        if isinstance(v, dict):
            return {self.fill(k): self.fill(x) for k, x in v.items()}
        return v

    def body_of(self, step):
        body = self.fill(step.get("body"))
        for path, name in (step.get("set") or {}).items():  # put a captured document or number into the body
            parts, d = split_path(path), body
            for p in parts[:-1]:
                d = d[p]
            d[parts[-1]] = copy.deepcopy(self.vars[name]) if name in self.vars else self.fill(name)
        return body

    def target(self, step):
        path = self.fill(step["path"])
        q = self.fill(step.get("query") or {})
        pairs = []
        for k, v in q.items():
            for one in v if isinstance(v, list) else [v]:
                pairs.append((k, one))
        return path, urllib.parse.quote(path, safe="/:%,~") + (
            "?" + urllib.parse.urlencode(pairs) if pairs else ""
        )

    # -- namespace and cleanup
    def setup(self):
        if not self.uses_ns:
            return
        ns = self.vars["ns"]
        r = self.client.request(
            "POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ns}}
        )
        if r.code != 201:
            raise Failure(f"could not create namespace {ns}: {r.code} {show(r.doc)}")
        r = self.client.request(
            "POST",
            f"/api/v1/namespaces/{ns}/serviceaccounts",
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}},
        )
        if r.code not in (201, 409):
            raise Failure(f"could not create service account: {r.code} {show(r.doc)}")
        self.created.append(f"/api/v1/namespaces/{ns}/serviceaccounts/default")

    def note_created(self, method, path, query, res):
        if res.code != 201 or "dryRun" in (query or {}) or not isinstance(res.doc, dict):
            return
        name = (res.doc.get("metadata") or {}).get("name")
        if not name:
            return
        if method == "POST" and COLLECTION.match(path):
            if not path.endswith(("reviews", "/bindings")):
                self.created.append(f"{path}/{name}")
        elif method in ("PUT", "PATCH") and OBJECT.match(path):
            self.created.append(path)

    def remove(self, path):
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "gracePeriodSeconds": 0,
            "propagationPolicy": "Background",
        }
        r = self.client.request("DELETE", path, body)
        if r.code in (404, 405) or not isinstance(r.doc, dict):
            return
        md = r.doc.get("metadata") or {}
        if md.get("finalizers") and md.get("deletionTimestamp"):
            if "customresourcecleanup.apiextensions.k8s.io" in md["finalizers"]:
                deadline = time.monotonic() + 5
                while time.monotonic() < deadline and self.client.request("GET", path).code == 200:
                    time.sleep(0.05)
                return
            self.client.request(
                "PATCH",
                path,
                {"metadata": {"finalizers": None}},
                headers={"Content-Type": "application/merge-patch+json"},
            )

    def cleanup(self):
        for path in reversed(self.created):
            try:
                if re.match(r"^/api/v1/namespaces/[^/]+$", path):
                    self.remove_namespace(path.rsplit("/", 1)[1])
                else:
                    self.remove(path)
            except (OSError, http.client.HTTPException) as e:
                print(f"  cleanup of {path}: {e}", file=sys.stderr)
        if self.uses_ns:
            self.remove_namespace(self.vars["ns"])

    def remove_namespace(self, ns):
        p = f"/api/v1/namespaces/{ns}"
        self.client.request("DELETE", p)
        r = self.client.request("GET", p)
        if r.code == 200 and isinstance(r.doc, dict):  # no namespace controller: finalise it here
            if (r.doc.get("metadata") or {}).get("finalizers"):
                self.client.request(
                    "PATCH",
                    p,
                    {"metadata": {"finalizers": None}},
                    headers={"Content-Type": "application/merge-patch+json"},
                )
                r = self.client.request("GET", p)
            if r.code == 200:
                doc = r.doc
                doc.setdefault("spec", {})["finalizers"] = []
                self.client.request("PUT", p + "/finalize", doc)

    # -- steps
    def run(self):
        try:
            self.setup()
            for i, step in enumerate(self.sc["steps"]):
                self.step(step, f"step {i + 1}")
        except Failure as e:
            self.problems.append(str(e))
        finally:
            self.cleanup()
        return self.problems

    def step(self, step, label):
        if "sleep" in step:
            time.sleep(step["sleep"])
        elif "watch" in step:
            self.watch(step, label)
        else:
            self.call(step, label)

    def call(self, step, label):
        method = step["method"]
        path, target = self.target(step)
        body = self.body_of(step) if "body" in step else None
        user, headers = step.get("user", "admin"), self.fill(step.get("headers"))
        want = step.get("eventually")
        deadline = time.monotonic() + EVENTUALLY_SECONDS
        while True:
            try:
                res = self.client.request(method, target, body, user, headers)
            except (OSError, http.client.HTTPException) as e:
                raise Failure(f"{label} {method} {path}: {type(e).__name__}: {e}")
            self.note_created(method, path, step.get("query"), res)
            if (
                want is None
                or (res.code == want and self.condition(step, res))
                or time.monotonic() > deadline
            ):
                break
            time.sleep(0.05)
        if self.verbose:
            print(f"    {label} {method} {target} -> {res.code}")
        if step.get("hide"):  # set-up only: not compared, must be 2xx (or the given code)
            if not (res.code == want if want else res.code < 300):
                self.capture(step, res)
                raise Failure(f"{label} {method} {path}: set-up request got {res.code} {show(res.doc, 400)}")
            self.capture(step, res)
            return
        if self.record and want is not None and res.code != want:
            raise Failure(
                f"{label} {method} {path}: eventually {want}, but got {res.code} {show(res.doc, 300)}"
            )
        self.capture(step, res)
        got = self.normal(step, res.code, res.headers, res.doc)
        if self.record:
            step["expect"] = got
        else:
            self.compare(step, got, f"{label} {method} {step['path']}")

    @staticmethod
    def condition(step, res):
        """'until': {path: value} on the answer, e.g. a condition that a controller sets."""
        return all(lookup(res.doc, p) == v for p, v in (step.get("until") or {}).items())

    def capture(self, step, res):
        for name, path in (step.get("capture") or {}).items():
            v = res.doc if path == "" else lookup(res.doc, path)
            if v is None and not self.record:
                raise Failure(f"capture {name}: no {path} in the answer: {res.code} {show(res.doc)}")
            if v is None:
                raise Failure(f"record: capture {name}: no {path} in {show(res.doc, 300)}")
            self.vars[name] = v
            if isinstance(v, str) and len(v) >= 6 and not v.isdigit() and name in (step.get("mask") or []):
                self.masks.append((v, "{" + name + "}"))

    def mode(self, step):
        return step.get("compare") or self.sc.get("compare") or "full"

    def flag(self, step, name):
        return step.get(name, self.sc.get(name, False))

    def normal(self, step, code, headers, doc):
        mode = self.mode(step)
        if mode == "status-only":
            out = {"code": code}
            if isinstance(doc, dict) and doc.get("kind") == "Status" and "reason" in doc:
                out["reason"] = doc["reason"]
            return out
        masker = Masker(self.masks, self.flag(step, "mask_regex") or ())
        doc = masker.walk(copy.deepcopy(doc))
        if not self.flag(step, "managedFields"):
            strip_managed_fields(doc)
        for path in (self.sc.get("ignore") or []) + (step.get("ignore") or []):
            drop_path(doc, split_path(path))
        keep = step.get("keep") or self.sc.get("keep")
        if keep and self.record and isinstance(doc, dict):
            doc = keep_paths(doc, keep)
        out = {"code": code}
        hs = {k: masker.walk(v) for k, v in headers.items()}
        if hs:
            out["headers"] = hs
        out["body"] = doc
        return out

    def compare(self, step, got, label):
        exp = step.get("expect")
        if exp is None:
            raise Failure(f"{label}: no expectation recorded")
        exp = copy.deepcopy(exp)
        mode, out = self.mode(step), []
        if exp.get("code") != got.get("code"):
            out.append(f"code: expected {exp.get('code')}, got {got.get('code')}")
        if mode == "status-only":
            diff(exp, got, "", False, out) if not out else out.append(
                f"reason: expected {exp.get('reason')}, got {got.get('reason')}"
            )
        else:
            diff(exp.get("headers", {}), got.get("headers", {}), "header", mode == "subset", out)
            diff(exp.get("body"), got.get("body"), "", mode == "subset", out)
        self.problems += [f"{label}: {d}" for d in out]

    def watch(self, step, label):
        path, target = self.target(
            {"path": step["watch"], "query": dict({"watch": "true"}, **(step.get("query") or {}))}
        )
        w = WatchStream(self.client, target, step.get("user", "admin"), self.fill(step.get("headers")))
        w.start()
        w.opened.wait(5 if step.get("steps") else 10)
        try:
            for i, inner in enumerate(step.get("steps") or []):
                self.step(inner, f"{label}.{i + 1}")
            events = self.collect(step, w)
        finally:
            w.stop()
        if self.verbose:
            print(f"    {label} WATCH {target} -> {w.code} {[e.get('type') for e in events]}")
        masker = Masker(self.masks, self.flag(step, "mask_regex") or ())
        if w.code is None:
            raise Failure(f"{label} WATCH {path}: no answer")
        if w.code != 200:
            got = self.normal(step, w.code, w.resp_headers, w.error_doc)
        else:
            evs = []
            for e in events:
                e = masker.walk(copy.deepcopy(e))
                if not self.flag(step, "managedFields"):
                    strip_managed_fields(e)
                for p in (self.sc.get("ignore") or []) + (step.get("ignore") or []):
                    drop_path(e.get("object"), split_path(p))
                evs.append(e)
            if step.get("unordered"):
                evs.sort(key=lambda e: json.dumps(e, sort_keys=True))
            got = {"code": 200, "headers": {k: v for k, v in w.resp_headers.items()}, "events": evs}
            if step.get("until_close"):
                got["closed"] = w.closed.is_set()
        if self.record:
            step["expect"] = got
            return
        exp = step.get("expect")
        if exp is None:
            raise Failure(f"{label}: no expectation recorded")
        lab = f"{label} WATCH {step['watch']}"
        if "events" not in exp or "events" not in got:
            self.compare(step, got, lab)
            return
        out = []
        types = ([e.get("type") for e in exp["events"]], [e.get("type") for e in got["events"]])
        if types[0] != types[1]:
            out.append(f"event types: expected {types[0]}, got {types[1]}")
        for i, (a, b) in enumerate(zip(exp["events"], got["events"])):
            diff(a, b, f"events[{i}]", self.mode(step) == "subset", out)
        if exp.get("closed") != got.get("closed"):
            out.append(f"stream closed by server: expected {exp.get('closed')}, got {got.get('closed')}")
        self.problems += [f"{lab}: {d}" for d in out]

    def collect(self, step, w):
        """Events seen: until as many as recorded (then a short grace for extra ones), a close, or the timeout."""

        def wanted():
            evs = w.events
            if step.get("bookmarks") == "all":
                return evs
            return [
                e
                for e in evs
                if e.get("type") != "BOOKMARK"
                or ((e.get("object") or {}).get("metadata", {}).get("annotations") or {}).get(
                    "k8s.io/initial-events-end"
                )
            ]

        timeout = step.get("timeout", 8)
        deadline = time.monotonic() + timeout
        expect = None if self.record else (step.get("expect") or {}).get("events")
        with w.cond:
            if step.get("until_close"):
                while not w.closed.is_set() and time.monotonic() < deadline:
                    w.cond.wait(0.2)
            elif self.record:
                quiet, seen = time.monotonic(), -1
                while not w.closed.is_set() and time.monotonic() < deadline:
                    if len(w.events) != seen:
                        seen, quiet = len(w.events), time.monotonic()
                    if time.monotonic() - quiet > step.get("quiet", 1.0):
                        break
                    w.cond.wait(0.1)
            else:
                while (
                    len(wanted()) < len(expect or [])
                    and not w.closed.is_set()
                    and time.monotonic() < deadline
                ):
                    w.cond.wait(0.1)
                grace = time.monotonic() + 0.3
                while time.monotonic() < grace and not w.closed.is_set():
                    w.cond.wait(0.1)
            evs = list(wanted())
        if step.get("bookmarks") == "all":  # how many periodic bookmarks arrive is timing: keep one of a run
            evs = [
                e
                for i, e in enumerate(evs)
                if i == 0 or e.get("type") != "BOOKMARK" or evs[i - 1].get("type") != "BOOKMARK"
            ]
        return evs


# ------------------------------------------------------------------ command line


def load_tokens(path):
    """A JSON object {user: token} or a kube-apiserver token CSV; node users are known as 'node', 'node2'."""
    text = open(path, encoding="utf-8").read()
    if text.lstrip().startswith("{"):
        return json.loads(text)
    out = {}
    alias = {"system:node:n1": "node", "system:node:n2": "node2"}
    for line in text.splitlines():
        parts = [p.strip() for p in line.split(",")]
        if len(parts) >= 2 and not line.startswith("#"):
            out[parts[1]] = parts[0]
            out[alias.get(parts[1], parts[1])] = parts[0]
    return out


def dump_scenario(sc):
    return json.dumps(sc, ensure_ascii=False, separators=(",", ":"))


def main(argv=None):
    ap = argparse.ArgumentParser(description="Replay recorded kube-apiserver behaviour and compare.")
    ap.add_argument("files", nargs="+", metavar="FILE.jsonl")
    ap.add_argument("--server", default=os.environ.get("REPLAY_SERVER", "https://127.0.0.1:6443"))
    ap.add_argument("--token", help="token of the admin user (group system:masters)")
    ap.add_argument("--user-tokens", metavar="FILE", help="JSON {user: token} or token CSV for all users")
    tls = ap.add_mutually_exclusive_group()
    tls.add_argument("--ca", metavar="FILE", help="check the server certificate against this CA")
    tls.add_argument(
        "--insecure",
        action="store_true",
        help="do not check the server certificate (the default without --ca)",
    )
    ap.add_argument(
        "--record",
        action="store_true",
        help="fill in the expectations from this server and rewrite the files",
    )
    ap.add_argument("--only", metavar="REGEX", help="only scenarios whose name matches")
    ap.add_argument(
        "--max-diffs", type=int, default=12, help="diff lines shown per scenario (default 12, 0 = all)"
    )
    ap.add_argument("-v", "--verbose", action="store_true")
    a = ap.parse_args(argv)

    tokens = dict(DEFAULT_TOKENS)
    if a.user_tokens:
        tokens.update(load_tokens(a.user_tokens))
    if a.token:
        tokens["admin"] = a.token
    client = Client(a.server, tokens, ca=a.ca)
    try:
        r = client.request("GET", "/version")
    except (OSError, http.client.HTTPException) as e:
        print(f"replay: cannot reach {a.server}: {e}", file=sys.stderr)
        return 2
    if r.code != 200:
        print(f"replay: GET /version on {a.server} answers {r.code}: wrong token?", file=sys.stderr)
        return 2

    only = re.compile(a.only) if a.only else None
    total_ok = total_bad = 0
    for path in a.files:
        scenarios = []
        with open(path, encoding="utf-8") as f:
            for n, line in enumerate(f, 1):
                if line.strip():
                    try:
                        scenarios.append(json.loads(line))
                    except ValueError as e:
                        print(f"replay: {path}:{n}: {e}", file=sys.stderr)
                        return 2
        ok = bad = 0
        started = time.monotonic()
        for sc in scenarios:
            if only and not only.search(sc["name"]):
                continue
            if a.verbose:
                print(f"  {sc['name']}")
            try:
                problems = Run(client, sc, a.record, a.verbose).run()
            except (OSError, http.client.HTTPException) as e:
                client.close()
                problems = [f"{type(e).__name__}: {e}"]
            if problems:
                bad += 1
                print(f"FAIL {sc['name']}")
                shown = problems if a.max_diffs == 0 else problems[: a.max_diffs]
                for p in shown:
                    print(f"    {p}")
                if len(shown) < len(problems):
                    print(f"    ... {len(problems) - len(shown)} more (--max-diffs 0 shows all)")
            else:
                ok += 1
        if a.record:
            tmp = path + ".tmp"
            with open(tmp, "w", encoding="utf-8") as f:
                f.writelines(dump_scenario(sc) + "\n" for sc in scenarios)
            os.replace(tmp, path)
        print(
            f"{os.path.basename(path)}: {ok} {'recorded' if a.record else 'passed'}, {bad} failed ({time.monotonic() - started:.1f}s)"
        )
        total_ok += ok
        total_bad += bad
    print(f"{total_ok} {'recorded' if a.record else 'passed'}, {total_bad} failed")
    return 1 if total_bad else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
