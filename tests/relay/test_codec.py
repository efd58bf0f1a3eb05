"""The frame format: any segmentation, and errors that say where."""

import io
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight_sidecar.frames.codec import (
    HEADER,
    HEADER_BYTES,
    KINDS,
    MAX_PAYLOAD_BYTES,
    NO_DELAY,
    Frame,
    FrameDecoder,
    FrameError,
    encode,
)
from sidelight_sidecar.frames.file import FrameFileReader, FrameFileWriter

FRAMES = st.lists(
    st.tuples(
        st.integers(0, 2**32 - 1),
        st.sampled_from(sorted(KINDS)),
        st.integers(0, 2**64 - 1),
        st.integers(0, 2**32 - 1),
        st.binary(max_size=300),
    ),
    max_size=20,
)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return [data[a:b] for a, b in itertools.pairwise(places)]


@given(FRAMES, st.lists(st.integers(0, 10_000), max_size=40))
def test_decoder_gives_back_what_was_encoded_under_any_segmentation(
    frames: list[Frame], cuts: list[int]
) -> None:
    """Where the stream is cut does not matter."""
    data = b"".join([encode(*frame) for frame in frames])
    decoder = FrameDecoder()
    decoded = [frame for piece in pieces(data, cuts) for frame in decoder.feed(piece)]
    decoder.close()
    assert decoded == frames


@given(FRAMES, st.integers(1, 320), st.binary(max_size=300))
def test_decoder_says_where_a_truncated_stream_lost_its_last_frame(
    frames: list[Frame], cut: int, payload: bytes
) -> None:
    """Whole frames come first; then the error names the offset of the frame that is not whole."""
    whole = b"".join([encode(*frame) for frame in frames])
    last = encode(7, ord("c"), 1, 2, payload)
    decoder = FrameDecoder()
    assert decoder.feed(whole + last[: min(cut, len(last) - 1)]) == frames
    with pytest.raises(FrameError) as caught:
        decoder.close()
    assert caught.value.offset == len(whole)


@given(FRAMES, st.integers(0, 255).filter(lambda kind: kind not in KINDS))
def test_decoder_says_where_an_unknown_kind_stands(frames: list[Frame], kind: int) -> None:
    """Garbage is never a frame, and what came before it is not lost."""
    whole = b"".join([encode(*frame) for frame in frames])
    garbage = HEADER.pack(1, kind, 2, NO_DELAY, 0)
    decoder = FrameDecoder(offset=100)
    if frames:
        assert decoder.feed(whole + garbage) == frames
    with pytest.raises(FrameError, match=f"unknown frame kind {kind}") as caught:
        decoder.feed(b"" if frames else garbage)
    assert caught.value.offset == 100 + len(whole)
    with pytest.raises(FrameError):
        decoder.close()


def test_decoder_refuses_a_payload_over_the_limit_before_it_arrives() -> None:
    """A damaged length cannot make the reader wait for gigabytes."""
    decoder = FrameDecoder()
    with pytest.raises(FrameError, match=str(MAX_PAYLOAD_BYTES)):
        decoder.feed(HEADER.pack(1, ord("c"), 2, NO_DELAY, MAX_PAYLOAD_BYTES + 1))


def test_header_is_twenty_one_bytes_little_endian() -> None:
    """The documented layout, byte for byte."""
    frame = encode(0x01020304, ord("s"), 0x05060708090A0B0C, 0x0D0E0F10, b"ab")
    assert frame == (
        b"\x04\x03\x02\x01s\x0c\x0b\x0a\x09\x08\x07\x06\x05\x10\x0f\x0e\x0d\x02\x00\x00\x00ab"
    )
    assert HEADER_BYTES == 21


@given(FRAMES)
def test_frame_file_gives_back_frames_and_clocks(frames: list[Frame]) -> None:
    """What was written is read, with the two clocks of the header."""
    file = io.BytesIO()
    writer = FrameFileWriter(file, monotonic_ns=123, wall_ns=456)
    for frame in frames:
        writer.write(encode(*frame))
    file.seek(0)
    reader = FrameFileReader(file)
    assert (reader.monotonic_ns, reader.wall_ns) == (123, 456)
    assert list(reader) == frames


def test_frame_file_header_is_the_documented_line() -> None:
    """Other readers rely on it."""
    file = io.BytesIO()
    FrameFileWriter(file, monotonic_ns=123, wall_ns=456)
    assert file.getvalue() == b"SIDELIGHT-FRAMES 1 123 456\n"


def test_cut_off_frame_file_yields_what_is_whole_and_then_says_where() -> None:
    """A recorder that was killed leaves a file that is of use."""
    head = b"SIDELIGHT-FRAMES 1 123 456\n"
    whole = encode(1, ord("c"), 5, 6, b"abc")
    reader = iter(FrameFileReader(io.BytesIO(head + whole + whole[:-1])))
    assert next(reader) == (1, ord("c"), 5, 6, b"abc")
    with pytest.raises(FrameError) as caught:
        next(reader)
    assert caught.value.offset == len(head) + len(whole)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"GET / HTTP/1.1\r\n",
        b"SIDELIGHT-FRAMES 2 1 1\n",
        b"SIDELIGHT-FRAMES 1 x 1\n",
        b"SIDELIGHT-FRAMES 1 1 1",
        b"SIDELIGHT-FRAMES 1 1\n",
        b"\x00" * 200,
    ],
)
def test_other_files_are_refused(line: bytes) -> None:
    """A file that is none is said to be none, at its start."""
    with pytest.raises(FrameError) as caught:
        FrameFileReader(io.BytesIO(line))
    assert caught.value.offset == 0
