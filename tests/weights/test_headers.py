"""Headers of weight files: read to their very end, and whatever else is no header."""

import io
import struct

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from weight_files import gguf, safetensors

from sidelight_sidecar.weights.header import (
    MAX_HEADER_BYTES,
    Front,
    NotAHeaderError,
    read_gguf,
    read_safetensors,
)


def header_of(content: bytes, kind: str) -> bytes | None:
    """What is read as a header; None: there is none."""
    taken: list[bytes] = []
    front = Front(io.BytesIO(content).read, taken.append)
    try:
        if kind == "gguf":
            read_gguf(front)
        else:
            read_safetensors(front, len(content))
    except NotAHeaderError:
        return None
    return b"".join(taken)


def test_a_safetensors_header_ends_before_the_weights() -> None:
    """Length and JSON, and not a byte more."""
    content = safetensors({"a": ("F16", [3, 5]), "b": ("I8", [7])}, fill=255)
    assert header_of(content, "safetensors") == content[: -(3 * 5 * 2 + 7)]


def test_a_gguf_header_ends_before_the_weights() -> None:
    """Metadata of every kind, and the tensors' names, types and places."""
    content = gguf(fill=255)
    assert header_of(content, "gguf") == content[:-512]


def test_a_header_of_many_pieces_is_read_as_one() -> None:
    """Longer than what is read at a time, with an end in the middle of a piece."""
    content = safetensors({f"layer.{number}": ("F32", [1]) for number in range(4000)})
    assert len(content) > 200_000
    assert header_of(content, "safetensors") == content[: -4 * 4000]
    template = gguf(template="x" * 300_001)
    assert header_of(template, "gguf") == template[:-512]


_u32, _u64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
_small = st.integers(0, 40)
_pieces = st.lists(
    st.one_of(
        st.binary(max_size=40),
        _u32.map(lambda value: struct.pack("<I", value)),
        st.one_of(_u64, _small).map(lambda value: struct.pack("<Q", value)),
        st.sampled_from([struct.pack("<I", kind) for kind in range(14)]),
    ),
    max_size=40,
).map(b"".join)


@given(st.one_of(st.binary(max_size=300), _pieces), st.sampled_from(["gguf", "safetensors"]))
@example(b"\xff" * 8 + b"{}", "safetensors")
@example(struct.pack("<Q", 0), "safetensors")
@settings(max_examples=500)
def test_any_bytes_are_a_header_or_none(content: bytes, kind: str) -> None:
    """Never another exception; a header is the beginning of the file."""
    found = header_of(content, kind)
    assert found is None or content.startswith(found)


@given(_pieces, st.integers(2, 4), st.one_of(_u64, _small), st.one_of(_u64, _small))
@settings(max_examples=500)
def test_any_bytes_behind_the_magic_are_a_header_or_none(
    rest: bytes, version: int, tensors: int, values: int
) -> None:
    """Counts and lengths that are lies end at the file's end or at a bound."""
    content = b"GGUF" + struct.pack("<IQQ", version, tensors, values) + rest
    found = header_of(content, "gguf")
    assert found is None or content.startswith(found)


@given(st.integers(0, 600), st.sampled_from(["gguf", "safetensors"]))
def test_a_file_that_was_cut_off_has_no_header(length: int, kind: str) -> None:
    """A download that goes on is not taken for a model of fewer tensors."""
    whole = gguf() if kind == "gguf" else safetensors({"a": ("F32", [2, 2])})
    header = header_of(whole, kind)
    assert header is not None
    cut = whole[:length]
    assert header_of(cut, kind) == (header if length >= len(header) else None)


class Endless:
    """A file that never ends, and counts how much of it was read."""

    def __init__(self, begin: bytes) -> None:
        self.begin, self.total = begin, 0

    def read(self, count: int) -> bytes:
        piece, self.begin = self.begin[:count], self.begin[count:]
        self.total += count
        return piece + bytes(count - len(piece))


@pytest.mark.parametrize(
    "begin",
    [
        b"GGUF" + struct.pack("<IQQQQ", 3, 1, 1, 1 << 40, 0),  # a name of a terabyte
        b"GGUF" + struct.pack("<IQQQIIQ", 3, 0, 1, 0, 9, 0, 1 << 62),  # an array of numbers
        b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 0),  # tensors without end
    ],
)
def test_a_header_has_a_bound(begin: bytes) -> None:
    """What claims to be endless is read to the bound at most."""
    file = Endless(begin)
    front = Front(file.read, lambda piece: None)
    with pytest.raises(NotAHeaderError):
        read_gguf(front)
    assert file.total <= MAX_HEADER_BYTES + (1 << 16)


def test_arrays_of_arrays_have_a_bound_too() -> None:
    """They cannot lead the reader into the depths."""
    inside = struct.pack("<IQ", 9, 1) * 1000
    content = b"GGUF" + struct.pack("<IQQQI", 3, 0, 1, 0, 9) + inside
    assert header_of(content, "gguf") is None
