"""One digest of a model's files; what goes into it is in docs/versions.md, to the byte."""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

from sidelight_sidecar.weights.header import Front, NotAHeaderError, read_gguf, read_safetensors
from sidelight_sidecar.weights.listing import Listed, TooLargeError
from sidelight_sidecar.weights.safely import NoFileError, opened

FORMAT = "sidelight weights 1"
MAX_WHOLE_BYTES = 64 << 20
"""Of a file that is read as a whole; of a larger one its first bytes. Default 64 MiB: the largest
tokenizers have some 35."""
START_BYTES = 64 << 10
"""Of a weight file without a header that is known. Default 64 KiB: what PyTorch and ONNX say of
tensors often begins there."""
MAX_TOTAL_BYTES = 512 << 20
_PIECE = 1 << 16


class Digest:
    """Adds files up.

    Attributes:
        files: that were there.
        weights: of them, those of weights.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lines: list[str] = []
        self._left = MAX_TOTAL_BYTES
        self.files = 0
        self.weights = 0

    def add(self, listed: Listed) -> None:
        """Read what is to be read of a file; one that is no plain file is left out.

        Raises:
            TooLargeError: all files together are too much.
            LeadsOutError, OSError: it cannot be read.
        """
        try:
            descriptor, size = opened(listed.path, self._root)
        except NoFileError:
            return
        try:
            kind, word = self._of(descriptor, size, weights=listed.weights)
        finally:
            os.close(descriptor)
        self.files += 1
        self.weights += listed.weights
        self._lines.append(f"{kind} {size} {word} {json.dumps(listed.name)}\n")

    def word(self) -> str:
        """The digest of all that was added."""
        text = f"{FORMAT}\n{''.join(self._lines)}"
        return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"

    def _of(self, descriptor: int, size: int, *, weights: bool) -> tuple[str, str]:
        if weights:
            for read in (read_gguf, lambda front: read_safetensors(front, size)):
                hashed = hashlib.sha256()
                os.lseek(descriptor, 0, os.SEEK_SET)
                try:
                    read(Front(lambda count: self._read(descriptor, count), hashed.update))
                except NotAHeaderError:
                    continue
                return "header", hashed.hexdigest()
        whole = not weights and size <= MAX_WHOLE_BYTES
        return "whole" if whole else "start", self._first(
            descriptor, size if whole else START_BYTES
        )

    def _first(self, descriptor: int, count: int) -> str:
        os.lseek(descriptor, 0, os.SEEK_SET)
        hashed = hashlib.sha256()
        while count and (piece := self._read(descriptor, min(count, _PIECE))):
            hashed.update(piece)
            count -= len(piece)
        return hashed.hexdigest()

    def _read(self, descriptor: int, count: int) -> bytes:
        piece = os.read(descriptor, count)
        self._left -= len(piece)
        if self._left < 0:
            raise TooLargeError
        return piece


def digest_of(files: Sequence[Listed], root: Path) -> Digest:
    """The digest of these files."""
    digest = Digest(root)
    for listed in files:
        digest.add(listed)
    return digest
