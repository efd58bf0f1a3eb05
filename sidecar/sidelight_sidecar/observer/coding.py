"""Content codings (RFC 9110, 8.4): the observer's copy of a body is decoded, never the client's.

Rules:
1. What is decoded is bounded by `MAX_RATIO` to what came, above a floor: a compression bomb ends
   with `CodingError` and costs no more than one step's output.
2. Bytes are given out as soon as the coder has them, so that a stream that flushes after each
   event stays a stream.
"""

import zlib
from typing import Protocol

import brotli

try:
    from compression import zstd
except ImportError:  # before Python 3.14
    from backports import zstd

MAX_RATIO = 200
"""JSON and event streams compress to a tenth, very repetitive ones to a hundredth."""
FLOOR_BYTES = 1 << 20
"""Below this, no ratio is too high: nobody runs out of a mebibyte."""
STEP_BYTES = 1 << 18
"""Most that one step of a decoder gives out."""

_ZSTD_OPTIONS = {zstd.DecompressionParameter.window_log_max: 23}
"""8 MiB, the window that RFC 9659 allows in HTTP; the library would take 128."""


class CodingError(ValueError):
    """A body that is not what its coding says, or that grows without measure.

    `why` is one word: `encoding` or `ratio`.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class _Coder(Protocol):
    def step(self, data: bytes) -> tuple[bytes, bool]:
        """Feed `data` (or nothing, for what is left); return output, and whether more waits."""


class _Zlib:
    """gzip with any number of members, and deflate with or without zlib's header."""

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
        out = decoder.decompress(data, STEP_BYTES)
        self._rest = decoder.unconsumed_tail or decoder.unused_data
        return out, bool(self._rest) and (not decoder.eof or self._window > zlib.MAX_WBITS)


def _is_zlib(data: bytes) -> bool:
    """Whether these are the first bytes of RFC 1950's format; one byte alone is taken for it."""
    return data[0] & 15 == 8 and (len(data) < 2 or (data[0] << 8 | data[1]) % 31 == 0)


class _Brotli:
    def __init__(self) -> None:
        self._decoder = brotli.Decompressor()

    def step(self, data: bytes) -> tuple[bytes, bool]:
        out = self._decoder.process(data, output_buffer_limit=STEP_BYTES)
        return out, not (self._decoder.can_accept_more_data() or self._decoder.is_finished())


class _Zstd:
    def __init__(self) -> None:
        self._decoder = zstd.ZstdDecompressor(options=_ZSTD_OPTIONS)

    def step(self, data: bytes) -> tuple[bytes, bool]:
        decoder = self._decoder
        if decoder.eof:
            rest = decoder.unused_data + data
            if not rest:
                return b"", False
            decoder = self._decoder = zstd.ZstdDecompressor(options=_ZSTD_OPTIONS)  # another frame
            data = rest
        out = decoder.decompress(data, STEP_BYTES)
        return out, bool(decoder.unused_data) if decoder.eof else not decoder.needs_input


class Decoder:
    """Undoes one content coding, piece by piece."""

    def __init__(self, coder: _Coder) -> None:
        self._coder = coder
        self._came = 0
        self._gave = 0

    def feed(self, data: bytes) -> bytes:
        """Return what `data` completes.

        Raises:
            CodingError: damaged, or past the ratio.
        """
        self._came += len(data)
        parts = []
        more = True
        try:
            while more:
                out, more = self._coder.step(data)
                data = b""
                parts.append(out)
                self._gave += len(out)
                if self._gave > max(FLOOR_BYTES, MAX_RATIO * self._came):
                    raise CodingError("ratio")
        except (zlib.error, brotli.error, zstd.ZstdError, EOFError, MemoryError) as error:
            raise CodingError("encoding") from error
        return b"".join(parts)


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
