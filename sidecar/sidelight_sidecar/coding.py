"""Content codings (RFC 9110, 8.4): the observer's copy of a body is decoded, never the client's.

Rules:
1. What is decoded is bounded by `MAX_RATIO` to what came lately, above a floor: a compression bomb
   ends with `CodingError`, and no modest past earns it a great future.
2. Output is given out step by step, so that no more than one step of it is ever in memory, and as
   soon as the coder has it, so that a stream that flushes after each event stays a stream. A coder
   that has taken all of its input may still hold output: a full step is always followed by another.
3. What the coder itself may need is known from the first bytes (`Decoder.memory`): its window.
"""

import zlib
from collections.abc import Iterator
from typing import Protocol

import brotli

try:
    from compression import zstd
except ImportError:  # before Python 3.14
    from backports import zstd

__all__ = ["CodingError", "Decoder", "decoder_for", "zstd"]
"""zstd is wherever this Python has it, for all who need it."""

MAX_RATIO = 200
"""JSON and event streams compress to a tenth, very repetitive ones to a hundredth."""
FLOOR_BYTES = 1 << 20
"""Below this, no ratio is too high: nobody runs out of a mebibyte."""
STEP_BYTES = 1 << 18
"""Most that one step of a decoder gives out."""

STATE_BYTES = 1 << 18
"""What brotli and zstd need beside the window: tables, a block."""
ZLIB_BYTES = 48 << 10
"""What zlib needs, its window included."""

_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_MAX_WINDOW_LOG = 23
"""8 MiB, the window that RFC 9659 allows in HTTP; the library would take 128."""


class CodingError(ValueError):
    """A body that is not what its coding says, or that grows without measure.

    `why` is one word: `encoding` or `ratio`.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class _Coder(Protocol):
    memory: int

    def step(self, data: bytes) -> tuple[bytes, bool]:
        """Feed `data` (or nothing, for what is left); return output, and whether more waits."""


class _Zlib:
    """gzip with any number of members, and deflate with or without zlib's header."""

    memory = ZLIB_BYTES

    def __init__(self, window: int) -> None:
        self._window = window
        self._decoder = zlib.decompressobj(window)
        self._fresh = window == zlib.MAX_WBITS  # deflate: its first bytes tell which of the two
        self._rest = b""

    def step(self, data: bytes) -> tuple[bytes, bool]:
        data = self._rest + data
        if self._fresh and data:
            self._fresh = False
            if not _is_zlib(data):
                self._decoder = zlib.decompressobj(-zlib.MAX_WBITS)
        if self._decoder.eof and data and self._window > zlib.MAX_WBITS:
            self._decoder = zlib.decompressobj(self._window)
        decoder = self._decoder
        if decoder.eof:  # what follows deflate's end is no part of it
            return b"", False
        out = decoder.decompress(data, STEP_BYTES)
        self._rest = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
        return out, bool(self._rest) or (len(out) >= STEP_BYTES and not decoder.eof)


def _is_zlib(data: bytes) -> bool:
    """Whether these are the first bytes of RFC 1950's format; one byte alone is taken for it."""
    return data[0] & 15 == 8 and (len(data) < 2 or (data[0] << 8 | data[1]) % 31 == 0)


class _Brotli:
    def __init__(self) -> None:
        self._decoder = brotli.Decompressor()
        self.memory = 0

    def step(self, data: bytes) -> tuple[bytes, bool]:
        if data and not self.memory:
            self.memory = (1 << _brotli_window_log(data[0])) + STATE_BYTES
        out = self._decoder.process(data, output_buffer_limit=STEP_BYTES)
        return out, len(out) >= STEP_BYTES and not self._decoder.is_finished()


def _brotli_window_log(first: int) -> int:
    """The window by a stream's first byte (RFC 7932, 9.1)."""
    if not first & 1:
        return 16
    if first >> 1 & 7:
        return 17 + (first >> 1 & 7)
    return 8 + (first >> 4 & 7) if first >> 4 & 7 else 17


class _Zstd:
    """Any number of frames, none with a larger window than the first."""

    def __init__(self) -> None:
        self._decoder: zstd.ZstdDecompressor | None = None
        self._window_log = 0
        self.memory = 0

    def step(self, data: bytes) -> tuple[bytes, bool]:
        decoder = self._decoder
        if decoder is None or decoder.eof:
            data = decoder.unused_data + data if decoder is not None else data
            if not data:
                return b"", False
            decoder = self._decoder = self._fresh(data)
        out = decoder.decompress(data, STEP_BYTES)
        return out, bool(decoder.unused_data) if decoder.eof else not decoder.needs_input

    def _fresh(self, data: bytes) -> zstd.ZstdDecompressor:
        if not self.memory:
            self._window_log = _zstd_window_log(data)
            self.memory = (1 << self._window_log) + STATE_BYTES
        options = {zstd.DecompressionParameter.window_log_max: self._window_log}
        return zstd.ZstdDecompressor(options=options)


def _zstd_window_log(data: bytes) -> int:
    """The window by a frame's header (RFC 8878, 3.1.1.1); the greatest where it is not whole."""
    if len(data) < 6 or not data.startswith(_ZSTD_MAGIC):
        return _MAX_WINDOW_LOG
    descriptor = data[4]
    if not descriptor & 0x20:
        log = 10 + (data[5] >> 3) + (data[5] & 7 > 0)
    else:  # a single segment: the window is all of the content
        start, size = 5 + (0, 1, 2, 4)[descriptor & 3], (1, 2, 4, 8)[descriptor >> 6]
        if len(data) < start + size:
            return _MAX_WINDOW_LOG
        content = int.from_bytes(data[start : start + size], "little") + (256 if size == 2 else 0)
        log = max(10, content.bit_length())
    return min(log, _MAX_WINDOW_LOG)


class Decoder:
    """Undoes one content coding, piece by piece."""

    def __init__(self, coder: _Coder) -> None:
        self._coder = coder
        self._credit = FLOOR_BYTES  # what may still be given out

    @property
    def memory(self) -> int:
        """Bytes that the coder may take up; 0 before the first byte came."""
        return self._coder.memory

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Give out what `data` completes, in pieces of at most `STEP_BYTES`, some of them empty.

        Raises:
            CodingError: damaged, or past the ratio.
        """
        self._credit = min(self._credit, FLOOR_BYTES) + MAX_RATIO * len(data)
        more = True
        while more:
            try:
                out, more = self._coder.step(data)
            except (zlib.error, brotli.error, zstd.ZstdError, EOFError, MemoryError) as error:
                raise CodingError("encoding") from error
            data = b""
            self._credit -= len(out)
            if self._credit < 0:
                raise CodingError("ratio")
            yield out


def decoder_for(coding: bytes) -> Decoder | None:
    """The decoder for a `Content-Encoding`; None when the body is as it is.

    Raises:
        CodingError: a coding that is not known, or several of them.
    """
    name = coding.strip().lower()
    if name in (b"", b"identity"):
        return None
    if name in (b"gzip", b"x-gzip"):
        return Decoder(_Zlib(zlib.MAX_WBITS | 16))
    if name == b"deflate":
        return Decoder(_Zlib(zlib.MAX_WBITS))
    if name == b"br":
        return Decoder(_Brotli())
    if name == b"zstd":
        return Decoder(_Zstd())
    raise CodingError("encoding")
