"""What clients may ask of exec, attach and port-forward, and how protocols are agreed on."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.kubelet.runtime.interface import Streams
from components.kubelet.server import handshake
from components.kubelet.server.portforward import ports
from components.kubelet.server.remotecommand import options, spdy


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 65535), st.integers(0, 65535)), max_size=5), st.integers(1, 9))
def test_window_sizes_arrive_however_they_are_cut(sizes: list[tuple[int, int]], cut: int) -> None:
    wire = "\n".join(json.dumps({"Width": w, "Height": h}) for w, h in sizes).encode()
    parser = options.Sizes()
    found = [size for start in range(0, len(wire), cut) for size in parser.feed(wire[start : start + cut])]
    assert found == sizes


def test_sizes_that_are_none_do_no_harm() -> None:
    parser = options.Sizes()
    assert parser.feed(b'{"Width": -1, "Height": 3} [] {"Width": "x"} {"Height": 9}') == [(0, 9)]
    assert parser.feed(b"not json") == []
    assert all(parser.feed(b"x" * 1000) == [] for _ in range(10))
    assert len(parser._text) <= 5096


def test_streams() -> None:
    assert options.streams({"input": "1", "output": "1"}) == Streams(stdin=True, stdout=True)
    assert options.streams({"tty": "1", "output": "1", "error": "1"}) == Streams(stdout=True, tty=True)
    with pytest.raises(ValueError, match="at least 1 of stdin, stdout, stderr"):
        options.streams({"tty": "1", "error": "1"})


@pytest.mark.parametrize(
    ("protocol", "expected"),
    [(options.V4, {"error", "stdout", "resize"}), (options.V2, {"error", "stdout"})],
)
def test_expected_spdy_streams(protocol: str, expected: set[str]) -> None:
    assert spdy.expected(Streams(stdout=True, tty=True), protocol) == expected


def test_statuses() -> None:
    text = options.written(options.exit_status(7), options.V4)
    status = json.loads(text)
    assert status["reason"] == "NonZeroExitCode"
    assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "7"}]
    assert json.loads(options.written(options.exit_status(0), options.V5))["status"] == "Success"
    assert options.written(options.success(), options.V1) == b""
    assert options.written(options.failure("no"), options.V1) == b"Internal error occurred: no"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["v4.channel.k8s.io"], "v4.channel.k8s.io"),
        (["v9, v4.channel.k8s.io , channel.k8s.io"], "v4.channel.k8s.io"),
        (["v9", "channel.k8s.io"], "channel.k8s.io"),
    ],
)
def test_a_common_protocol_is_found(values: list[str], expected: str) -> None:
    assert handshake.stream_protocol(values, options.SPDY_PROTOCOLS, 3) == expected


@pytest.mark.parametrize(
    ("values", "status", "text"),
    [
        (
            [],
            400,
            "unable to upgrade: header X-Stream-Protocol-Version does not exist in request with 3 headers",
        ),
        ([","], 400, "but no valid protocols"),
        (["v9"], 403, r"client supports \[v9\], server accepts \[v5.channel.k8s.io"),
    ],
)
def test_no_common_protocol(values: list[str], status: int, text: str) -> None:
    with pytest.raises(handshake.HandshakeError, match=text) as caught:
        handshake.stream_protocol(values, options.SPDY_PROTOCOLS, 3)
    assert caught.value.status == status


def test_websocket_protocols() -> None:
    assert handshake.websocket_protocol([], options.WEBSOCKET_PROTOCOLS) == ""
    offered = ["v5.channel.k8s.io, v4.channel.k8s.io"]
    assert handshake.websocket_protocol(offered, options.WEBSOCKET_PROTOCOLS) == options.V5
    with pytest.raises(handshake.HandshakeError):
        handshake.websocket_protocol(["chat"], options.WEBSOCKET_PROTOCOLS)


def test_ports() -> None:
    assert ports.of_query(["80,443", "8080"]) == [80, 443, 8080]
    for values, text in (
        ([], '"port" is required'),
        ([""], "cannot be empty"),
        (["x"], 'unable to parse "x" as a port: strconv.ParseUint: parsing "x": invalid syntax'),
        (["70000"], "value out of range"),
        (["0"], 'port "0" must be > 0'),
    ):
        with pytest.raises(ValueError, match=text):
            ports.of_query(values)
    assert ports.of_stream("80", "data") == 80
    for port, kind, text in (("", "data", "is required"), ("80", "", "is required"), ("80", "x", "invalid")):
        with pytest.raises(ValueError, match=text):
            ports.of_stream(port, kind)
    assert ports.request_id("", "error", 3) == ports.request_id("", "data", 5) == "3"
    assert ports.request_id("9", "data", 5) == "9"
