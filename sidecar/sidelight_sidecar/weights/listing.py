"""Which of a model's files count, and how much of each is read.

Rules:
1. What changes an answer counts: configuration, tokenizer, chat template, code, weights. What does
   not (a README, a licence, an unfinished download, what is hidden) may differ between copies.
2. In one order, whatever the file system's own.
3. Bounded in files and depth; more is `TooLargeError`, never a part.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sidelight_sidecar.weights.layout import is_ollama_store
from sidelight_sidecar.weights.safely import LeadsOutError, resolved

MAX_ENTRIES = 20_000
"""Default 20,000 of a model's folder: the largest models have some 200 files."""
MAX_DEPTH = 6

_WHOLE = re.compile(
    r".*\.(json|jinja|model|tiktoken|spm|pbtxt|py)|merges\.txt|vocab\.txt", re.IGNORECASE
)
_WEIGHTS = re.compile(
    r".*\.(safetensors|gguf|ggml|bin|pt|pth|ckpt|h5|msgpack|npz|onnx|onnx_data|engine|plan|nemo|pb"
    r"|tflite|keras|index)"
    r"|.*\.data-\d+-of-\d+",
    re.IGNORECASE,
)
_SHARD = re.compile(r"(.*)-(\d{5})-of-(\d{5})(\.gguf)", re.IGNORECASE)


class TooLargeError(Exception):
    """There is more than is read."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A file that counts.

    Attributes:
        name: inside the model, with `/`; of a model that is one file: `model`, whatever it is
            called.
        weights: its header is read; else the whole of it.
    """

    name: str
    path: Path
    weights: bool


def files_of(model: Path, root: Path) -> list[Listed]:
    """The files of a model that count, by name.

    Raises:
        TooLargeError: too many entries, or too deep.
        LeadsOutError: one of them is a link out of `root`.
        OSError: a folder cannot be read.
    """
    if not model.is_dir():
        found = list(_shards(model))
    elif is_ollama_store(model):
        found = [
            Listed(f"manifests/{name}", path, weights=False)
            for name, path in _walk(model / "manifests", root)
        ]
    else:
        found = [
            Listed(name, path, weights=weights)
            for name, path in _walk(model, root)
            if (weights := _WEIGHTS.fullmatch(path.name) is not None)
            or _WHOLE.fullmatch(path.name) is not None
        ]
    for one in found:
        resolved(one.path, root)
    return sorted(found, key=lambda one: os.fsencode(one.name))


def _shards(model: Path) -> Iterator[Listed]:
    """A model in one file, or in one of several that llama.cpp made of it."""
    shard = _SHARD.fullmatch(model.name)
    if shard is None:
        yield Listed("model", model, weights=True)
        return
    for path in model.parent.iterdir():
        other = _SHARD.fullmatch(path.name)
        if other is not None and (other[1], other[3]) == (shard[1], shard[3]):
            yield Listed(f"model-{other[2]}-of-{other[3]}", path, weights=True)


def _walk(folder: Path, root: Path) -> Iterator[tuple[str, Path]]:
    """All plain files, and links whatever they lead to."""
    left = MAX_ENTRIES
    open_folders = [("", folder, 0)]
    while open_folders:
        before, where, depth = open_folders.pop()
        with os.scandir(where) as entries:
            for entry in entries:
                left -= 1
                if left < 0 or depth > MAX_DEPTH:
                    raise TooLargeError
                if entry.name.startswith("."):
                    continue
                name = f"{before}{entry.name}"
                if _is_folder(entry, root):
                    open_folders.append((f"{name}/", Path(entry.path), depth + 1))
                elif entry.is_symlink() or entry.is_file(follow_symlinks=False):
                    yield name, Path(entry.path)


def _is_folder(entry: "os.DirEntry[str]", root: Path) -> bool:
    if entry.is_symlink():
        try:
            return resolved(Path(entry.path), root).is_dir()
        except LeadsOutError:
            return False
    return entry.is_dir(follow_symlinks=False)
