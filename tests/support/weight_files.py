"""Small models as files: what real ones are made of, a few bytes each."""

import json
import struct
from pathlib import Path
from typing import Any


def safetensors(tensors: dict[str, tuple[str, list[int]]], fill: int = 0) -> bytes:
    """A file with these tensors (type and shape of each), its weights all `fill`."""
    sizes = {"F32": 4, "F16": 2, "BF16": 2, "I8": 1}
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, (dtype, shape) in tensors.items():
        count = sizes[dtype]
        for dimension in shape:
            count *= dimension
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + count]}
        at += count
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes([fill]) * at


def _text(word: str) -> bytes:
    return struct.pack("<Q", len(word)) + word.encode()


def gguf(template: str = "{{ messages }}", kind: int = 2, fill: int = 0) -> bytes:
    """A file with some metadata, one tensor of the type `kind`, and its weights."""
    tokens = ["a", "b", "ab"]
    values = [
        _text("general.architecture") + struct.pack("<I", 8) + _text("llama"),
        _text("general.alignment") + struct.pack("<II", 4, 32),
        _text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, len(tokens))
        + b"".join(map(_text, tokens)),
        _text("tokenizer.ggml.scores") + struct.pack("<IIQ3f", 9, 6, 3, 0.0, 1.0, 2.0),
        _text("tokenizer.chat_template") + struct.pack("<I", 8) + _text(template),
    ]  # fmt: skip
    tensor = _text("blk.0.weight") + struct.pack("<IQQIQ", 2, 4, 8, kind, 0)
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, len(values))
    return head + b"".join(values) + tensor + bytes([fill]) * 512


def a_model(folder: Path, **changes: bytes | None) -> Path:
    """A model as a repository has it; `changes` by a file's name with `__` for its dot, None: it
    is not there.
    """
    files: dict[str, bytes | None] = {
        "config__json": b'{"torch_dtype": "bfloat16"}',
        "generation_config__json": b'{"temperature": 0.6}',
        "tokenizer__json": b'{"model": {"vocab": {"a": 0}}}',
        "chat_template__jinja": b"{{ messages }}",
        "model-00001-of-00002__safetensors": safetensors({"a": ("BF16", [4, 8])}),
        "model-00002-of-00002__safetensors": safetensors({"b": ("BF16", [8])}),
        **changes,
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        if content is not None:
            (folder / name.replace("__", ".")).write_bytes(content)
    return folder


def hub_cache(
    cache: Path, commit: str = "c0ffee", ref: str | None = "main", **changes: Any
) -> Path:
    """The same as huggingface_hub keeps it: links in a snapshot that lead to blobs."""
    repository = cache / "models--org--name"
    plain = a_model(cache / ".plain" / commit, **changes)
    snapshot = repository / "snapshots" / commit
    for path in (snapshot, repository / "blobs", repository / "refs"):
        path.mkdir(parents=True, exist_ok=True)
    for number, source in enumerate(sorted(plain.iterdir())):
        blob = repository / "blobs" / f"{commit}-{number}"
        source.rename(blob)
        (snapshot / source.name).symlink_to(f"../../blobs/{blob.name}")
    if ref is not None:
        (repository / "refs" / ref).write_text(commit)
    return repository
