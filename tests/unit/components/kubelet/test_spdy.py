"""SPDY frames: what is sent arrives however it is cut; what is no SPDY is a clean error."""

from __future__ import annotations

import contextlib
import struct
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.kubelet.server.spdy.frames import (
    DICTIONARY,
    Data,
    Decoder,
    Encoder,
    Frame,
    GoAway,
    HeadersFrame,
    Ping,
    Reset,
    Settings,
    SpdyError,
    SynReply,
    SynStream,
    WindowUpdate,
)

ids = st.integers(1, 0x7FFF_FFFF)
numbers = st.integers(0, 0x7FFF_FFFF)
names = st.from_regex(r"\A[a-z][a-z0-9-]{0,20}\Z")
values = st.lists(
    st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=30), min_size=1, max_size=3
)
headers = st.dictionaries(names, values, max_size=5)
frames = st.one_of(
    st.builds(SynStream, ids, headers, st.booleans()),
    st.builds(SynReply, ids, headers, st.booleans()),
    st.builds(HeadersFrame, ids, headers, st.booleans()),
    st.builds(Data, ids, st.binary(max_size=300), st.booleans()),
    st.builds(Reset, ids, numbers),
    st.builds(Settings, st.dictionaries(st.integers(0, 0xFF_FFFF), numbers, max_size=4)),
    st.builds(Ping, numbers),
    st.builds(GoAway, numbers, numbers),
    st.builds(WindowUpdate, numbers, numbers),
)


def joined(found: list[Frame]) -> list[Frame]:
    """Pieces of one data frame put together again; `found` has no two data frames of a stream in a row."""
    out: list[Frame] = []
    for frame in found:
        last = out[-1] if out else None
        if isinstance(frame, Data) and isinstance(last, Data) and last.stream == frame.stream:
            out[-1] = Data(frame.stream, last.data + frame.data, frame.fin)
        else:
            out.append(frame)
    return out


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(frames, max_size=6), st.lists(st.integers(1, 40), min_size=1, max_size=20))
def test_frames_survive_any_cut(sent: list[Frame], cuts: list[int]) -> None:
    sent = joined(sent)
    encoder, decoder, found, position = Encoder(), Decoder(), list[Frame](), 0
    wire = b"".join(map(encoder.encode, sent))
    while position < len(wire):
        size = cuts[position % len(cuts)]
        found += decoder.feed(wire[position : position + size])
        position += size
    assert joined(found) == sent


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=200))
def test_anything_is_frames_or_a_clean_error(wire: bytes) -> None:
    with contextlib.suppress(SpdyError):  # any other exception fails the test
        Decoder().feed(wire)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(frames, min_size=1, max_size=4), st.data())
def test_a_changed_byte_is_a_clean_error_or_another_frame(sent: list[Frame], data: st.DataObject) -> None:
    encoder = Encoder()
    wire = bytearray(b"".join(map(encoder.encode, sent)))
    wire[data.draw(st.integers(0, len(wire) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(SpdyError):
        Decoder().feed(bytes(wire))


def test_the_dictionary_is_that_of_the_protocol() -> None:
    assert (len(DICTIONARY), zlib.adler32(DICTIONARY)) == (1423, 0xE3C6A7C2)


def test_a_large_data_frame_is_handed_on_before_it_is_complete() -> None:
    decoder = Decoder()
    head = struct.pack(">II", 1, 1 << 24 | 1 << 20)
    assert decoder.feed(head) == []
    assert decoder.feed(b"x" * 1000) == [Data(1, b"x" * 1000, False)]
    rest = decoder.feed(b"y" * ((1 << 20) - 1000))
    assert rest == [Data(1, b"y" * ((1 << 20) - 1000), True)]


@pytest.mark.parametrize(
    ("wire", "text"),
    [
        (struct.pack(">HHI", 0x8002, 6, 4) + b"\0\0\0\1", "version 2 is not SPDY/3.1"),
        (struct.pack(">HHI", 0x8003, 6, 3) + b"\0\0\0", "a frame of type 6 has the wrong length"),
        (struct.pack(">HHI", 0x8003, 1, 0xFF_FFFF), "a control frame of 16777215 bytes is too large"),
        (struct.pack(">II", 0, 1) + b"x", "stream id zero is disallowed"),
        (struct.pack(">HHI", 0x8003, 2, 8) + b"\0\0\0\1abcd", "headers: "),
        (struct.pack(">HHI", 0x8003, 4, 8) + b"\0\0\0\5abcd", "a frame of type 4 has the wrong length"),
    ],
)
def test_malformed_frames(wire: bytes, text: str) -> None:
    with pytest.raises(SpdyError, match=text):
        Decoder().feed(wire)


def block(data: bytes) -> bytes:
    compressor = zlib.compressobj(zdict=DICTIONARY)
    body = b"\0\0\0\1" + compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return struct.pack(">HHI", 0x8003, 2, len(body)) + body


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "wrong length"),
        (b"\0\0\0\2", "wrong length"),
        (b"\0\0\0\1\0\0\0\x7fab", "wrong length"),
        (b"\0\0\0\2" + b"\0\0\0\1a\0\0\0\0" * 2, "header 'a' appears twice"),
        (b"\0\0\0\1\0\0\0\1a" + struct.pack(">I", 1 << 20) + b"x" * (1 << 20), "headers are too large"),
    ],
)
def test_malformed_headers(data: bytes, text: str) -> None:
    with pytest.raises(SpdyError, match=text):
        Decoder().feed(block(data))


def test_an_unknown_kind_of_frame_is_skipped() -> None:
    wire = struct.pack(">HHI", 0x8003, 10, 2) + b"ab" + Encoder().encode(Ping(1))
    assert Decoder().feed(wire) == [Ping(1)]
