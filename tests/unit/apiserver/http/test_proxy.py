"""The proxies' pure parts: where a request goes, which headers go with it, how links come back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apiserver.http.proxy import headers
from apiserver.http.proxy.rewrite import Rewriter
from apiserver.http.proxy.target import Named, Target, is_proxyable, split_name, subpath

PREFIX = "/api/v1/namespaces/d/pods/p/proxy"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web", Named("", "web", "")),
        ("web:80", Named("", "web", "80")),
        ("https:web:main", Named("https", "web", "main")),
        (":web:", Named("", "web", "")),
        ("ftp:web:1", None),
        ("a:b:c:d", None),
        (":80", None),
    ],
)
def test_names(text: str, expected: Named | None) -> None:
    assert split_name(text) == expected


@pytest.mark.parametrize(
    ("address", "loopback", "expected"),
    [
        ("10.0.0.1", False, True),
        ("127.64.1.2", False, False),
        ("127.64.1.2", True, True),
        ("169.254.169.254", True, False),
        ("0.0.0.0", True, False),
        ("224.0.0.1", True, False),
        ("", True, False),
        ("fd00::1", False, True),
    ],
)
def test_addresses(address: str, loopback: bool, expected: bool) -> None:
    assert is_proxyable(address, allow_loopback=loopback) is expected


@pytest.mark.parametrize(
    ("parts", "path", "expected"),
    [
        ([], PREFIX, ""),
        ([], PREFIX + "/", "/"),
        (["a", "b"], PREFIX + "/a/b", "/a/b"),
        (["a b", "c"], PREFIX + "/a%20b/c/", "/a%20b/c/"),
        (["a", "..", "..", "b"], PREFIX + "/a/../../b", "/b"),
        (["é;x=1,2"], PREFIX + "/x", "/%C3%A9;x=1,2"),
    ],
)
def test_paths(parts: list[str], path: str, expected: str) -> None:
    assert subpath(["pods", "p", "proxy", *parts], path) == expected


def test_targets() -> None:
    assert Target("http", "10.0.0.1", 80, "/a", "q=1").url == "http://10.0.0.1/a?q=1"
    assert Target("https", "fd00::1", 8443, "").url == "https://[fd00::1]:8443/"


SENT = [
    ("Authorization", "Bearer secret"),
    ("Impersonate-User", "root"),
    ("Connection", "keep-alive, X-Hop"),
    ("X-Hop", "1"),
    ("Keep-Alive", "5"),
    ("x-forwarded-for", "1.1.1.1"),
    ("X-Forwarded-Uri", "/forged"),
    ("Cookie", "a"),
    ("Cookie", "b"),
]


def test_request_headers() -> None:
    assert headers.for_request(SENT, "2.2.2.2", "/u") == [
        ("Cookie", "a"),
        ("Cookie", "b"),
        ("X-Forwarded-For", "1.1.1.1, 2.2.2.2"),
        ("X-Forwarded-Uri", "/u"),
    ]
    kept = dict(headers.for_upgrade(SENT, ""))
    assert kept["Connection"] == "keep-alive, X-Hop"
    assert not kept.keys() & {"Authorization", "Impersonate-User"}


def test_response_headers() -> None:
    answered = [("Transfer-Encoding", "chunked"), ("Access-Control-Allow-Origin", "*"), ("X", "y")]
    assert headers.for_response(answered) == [("X", "y")]


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("/a/b?q=1#f", f"{PREFIX}/a/b?q=1#f"),
        ("/a/", f"{PREFIX}/a/"),
        ("a/b", "a/b"),
        ("http://10.0.0.1:80/x", f"{PREFIX}/x"),
        ("https://api:6443/x", f"https://api:6443{PREFIX}/x"),
        ("http://elsewhere/x", "http://elsewhere/x"),
        (f"{PREFIX}/x", f"{PREFIX}/x"),
        ("http://[broken", "http://[broken"),
    ],
)
def test_links(link: str, expected: str) -> None:
    assert Rewriter(PREFIX, "10.0.0.1:80", "api:6443").url(link) == expected


def test_pages() -> None:
    page = (
        "<!DOCTYPE html><!-- <a href='/no'> --><a class=x href='/yes?a=1&amp;b=2' title=\"/no\">t</a>"
        "<script src=/s.js>if (a < b) x = '<a href=\"/no\">'</script><IMG SRC=\"/i.png\"/><p href='/no'>1 < 2"
    )
    assert Rewriter(PREFIX, "x", "y").html(page) == (
        f'<!DOCTYPE html><!-- <a href=\'/no\'> --><a class=x href="{PREFIX}/yes?a=1&amp;b=2" title="/no">t</a>'
        f'<script src="{PREFIX}/s.js">if (a < b) x = \'<a href="/no">\'</script>'
        f"<IMG SRC=\"{PREFIX}/i.png\"/><p href='/no'>1 < 2"
    )


@settings(deadline=None)
@given(st.text(alphabet="<>a\"'/= !-hrefscript"))
def test_a_page_without_links_of_its_own_host_stays_as_it_is(page: str) -> None:
    assert Rewriter("", "x", "y").html(page.replace("href", "").replace("src", "")) == page.replace(
        "href", ""
    ).replace("src", "")
