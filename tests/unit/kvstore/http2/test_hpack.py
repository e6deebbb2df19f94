"""The header decoder against the library's encoder, and against bytes that nobody encoded."""

from __future__ import annotations

import pytest
from hpack import Decoder as LibraryDecoder
from hpack import Encoder
from hypothesis import given
from hypothesis import strategies as st

from kvstore.http2.hpack import BadHeaders, Decoder, Header, literal

MAX_BYTES = 64 << 10

NAMES = st.sampled_from([":path", ":authority", "te", "user-agent", "grpc-timeout", "token", "x" * 300])
FIELDS = st.lists(st.tuples(NAMES, st.text(st.characters(max_codepoint=255), max_size=40)), max_size=12)
REQUEST = [(":method", "POST"), (":path", "/etcdserverpb.KV/Put"), ("content-type", "application/grpc")]


def reader() -> Decoder[list[Header]]:
    return Decoder(list, MAX_BYTES)


def pairs_of(fields: list[tuple[str, str]]) -> list[Header]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields]


def encoded(encoder: Encoder, fields: list[tuple[str, str]], *, huffman: bool = True) -> bytes:
    return encoder.encode(pairs_of(fields), huffman=huffman)


@given(blocks=st.lists(st.tuples(FIELDS, st.booleans(), st.none() | st.integers(0, 4096)), max_size=8))
def test_reads_what_another_library_wrote(
    blocks: list[tuple[list[tuple[str, str]], bool, int | None]],
) -> None:
    encoder, decoder = Encoder(), reader()
    for fields, huffman, table in blocks:
        if table is not None:
            encoder.header_table_size = table
        assert decoder.decode(encoded(encoder, fields, huffman=huffman)) == pairs_of(fields)


def test_a_repeated_block_is_not_read_again_unless_the_table_changed() -> None:
    encoder, decoder = Encoder(), reader()
    encoded(encoder, REQUEST)
    first = decoder.decode(encoded(Encoder(), REQUEST))
    again = encoded(encoder, REQUEST)
    assert decoder.decode(again) == first
    assert decoder.decode(again) is decoder.decode(again)
    decoder.decode(encoded(encoder, [("token", "another")]))
    assert decoder.decode(encoded(encoder, REQUEST)) == first


def test_a_long_head_is_read_and_not_kept() -> None:
    decoder = reader()
    short, long = literal("x", b"y" * 100), literal("x", b"y" * 5000)
    assert decoder.decode(short) is decoder.decode(short)
    assert decoder.decode(long) == decoder.decode(long)
    assert decoder.decode(long) is not decoder.decode(long)
    decoder.decode(encoded(Encoder(), [("x", "y" * 1000)], huffman=False))  # now an entry of the table
    assert decoder.decode(b"\xbe" * 40) is not decoder.decode(b"\xbe" * 40)


@given(st.lists(st.binary(max_size=60), max_size=6))
def test_any_other_bytes_are_refused_or_read_but_never_break_it(blocks: list[bytes]) -> None:
    decoder = reader()
    try:
        for block in blocks:
            decoder.decode(block)
    except BadHeaders:
        pass


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(b"\x80", id="index 0"),
        pytest.param(b"\xff\x00", id="an entry that is not there"),
        pytest.param(b"\xff\xff\xff\xff\xff\xff\x7f", id="an endless number"),
        pytest.param(b"\x3f\xe2\x1f", id="a table larger than offered"),
        pytest.param(b"\x00\x05abc", id="a string that is cut off"),
        pytest.param(b"\x00\x81\xff\x00", id="padding that is no end of a Huffman code"),
    ],
)
def test_refuses(block: bytes) -> None:
    with pytest.raises(BadHeaders):
        reader().decode(block)


def test_a_few_bytes_cannot_name_megabytes() -> None:
    decoder = reader()
    decoder.decode(encoded(Encoder(), [("x", "y" * 3900)], huffman=False))
    with pytest.raises(BadHeaders):
        decoder.decode(b"\xbe" * (MAX_BYTES // 3900 + 1))


@given(FIELDS, st.integers(0, 40_000))
def test_what_is_written_is_read_by_another_library(fields: list[tuple[str, str]], long: int) -> None:
    pairs = [*pairs_of(fields), (b"warning", b"w" * long)]
    block = b"".join(literal(name.decode("latin-1"), value) for name, value in pairs)
    assert list(LibraryDecoder(max_header_list_size=1 << 20).decode(block, raw=True)) == pairs
