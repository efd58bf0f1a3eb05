"""Which models have one digest and which have two, and which have none."""

import contextlib
import hashlib
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from weight_files import a_model, gguf, hub_cache, safetensors

from sidelight_contract.weights import WeightsState
from sidelight_sidecar.weights import digest, listing
from sidelight_sidecar.weights.__main__ import answer


def read(path: Path, root: Path | None = None, revision: str = "") -> str:
    """The digest, or the state where there is none."""
    found = answer(root or path, [path], revision)
    assert WeightsState(found["state"])
    return str(found.get("digest", found["state"]))


def test_the_digest_is_the_documented_one(tmp_path: Path) -> None:
    """A line for each file, by name; its SHA-256. Made here by hand."""
    a_model(tmp_path)
    lines = ["sidelight weights 1"]
    for path in sorted(tmp_path.iterdir()):
        content = path.read_bytes()
        weights = path.suffix == ".safetensors"
        head = content[: 8 + int.from_bytes(content[:8], "little")] if weights else content
        kind = "header" if weights else "whole"
        word = hashlib.sha256(head).hexdigest()
        lines.append(f'{kind} {len(content)} {word} "{path.name}"')
    text = "".join(f"{line}\n" for line in lines)
    assert read(tmp_path) == f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def test_copies_have_one_digest_wherever_and_however_they_are_kept(tmp_path: Path) -> None:
    """Other folder, other times, read-only, a hub's cache with its links, a linked folder."""
    first = a_model(tmp_path / "first")
    copy = tmp_path / "elsewhere" / "copy"
    shutil.copytree(first, copy)
    for path in copy.iterdir():
        os.utime(path, (1, 1))
        path.chmod(0o444)
    cache = tmp_path / "cache"
    hub_cache(cache)
    (tmp_path / "link").symlink_to("first")
    expected = read(first)
    assert expected.startswith("sha256:")
    assert read(copy) == expected
    assert read(cache / "models--org--name", cache) == expected
    assert read(tmp_path / "link", tmp_path) == expected


def test_what_is_no_part_of_the_model_does_not_count(tmp_path: Path) -> None:
    """A README, a licence, hidden files, an unfinished download, caches of Python."""
    expected = read(a_model(tmp_path))
    for name in ("README.md", ".gitattributes", "LICENSE", "a.safetensors.incomplete", "x.png"):
        (tmp_path / name).write_text("x")
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "config.json").write_text("{}")
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "model.pyc").write_text("")
    assert read(tmp_path) == expected


SHARD = "model-00001-of-00002__safetensors"


@pytest.mark.parametrize(
    "changes",
    [
        {"config__json": b'{"torch_dtype": "float16"}'},
        {"generation_config__json": b'{"temperature": 0.7}'},
        {"generation_config__json": None},
        {"tokenizer__json": b'{"model": {"vocab": {"b": 0}}}'},
        {"chat_template__jinja": b"{{ message  }}"},
        {"modeling_x__py": b"pass"},
        {SHARD: safetensors({"a": ("F16", [4, 8])})},  # as many bytes
        {SHARD: safetensors({"a": ("BF16", [8, 4])})},
        {SHARD: safetensors({"c": ("BF16", [4, 8])})},
        {SHARD: safetensors({"a": ("I8", [4, 8])})},
        {SHARD: None},
        {"model-00003-of-00003__safetensors": safetensors({"c": ("BF16", [1])})},
        {"adapter_model__safetensors": safetensors({"c": ("BF16", [1])})},
    ],
)
def test_a_change_of_the_model_is_another_digest(
    tmp_path: Path, changes: dict[str, bytes | None]
) -> None:
    """Configuration, template, tokenizer, code, type, shape, name, quantisation, a shard."""
    assert read(a_model(tmp_path / "a")) != read(a_model(tmp_path / "b", **changes))


def test_weights_alone_are_not_seen(tmp_path: Path) -> None:
    """What docs/versions.md says: equal headers and sizes are one digest."""
    changed = {SHARD: safetensors({"a": ("BF16", [4, 8])}, fill=7)}
    assert read(a_model(tmp_path / "a")) == read(a_model(tmp_path / "b", **changed))


def test_a_gguf_is_known_by_its_header_and_size(tmp_path: Path) -> None:
    """Whatever it is called; another template, type of tensors or size is another model."""
    contents = {
        "one.gguf": gguf(), "again.gguf": gguf(), "weights.gguf": gguf(fill=9),
        "template.gguf": gguf(template="{{ messages[0] }}"), "kind.gguf": gguf(kind=3),
        "longer.gguf": gguf() + b"\0",
    }  # fmt: skip
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    words = {name: read(tmp_path / name, tmp_path) for name in contents}
    assert words["one.gguf"] == words["again.gguf"] == words["weights.gguf"]
    assert len(set(words.values())) == 4


def test_a_gguf_in_parts_is_all_its_parts(tmp_path: Path) -> None:
    """And no other model of the folder."""
    for number in (1, 2):
        (tmp_path / f"q-0000{number}-of-00002.gguf").write_bytes(gguf(fill=number))
    (tmp_path / "other.gguf").write_bytes(gguf(template="other"))
    first = tmp_path / "q-00001-of-00002.gguf"
    before = read(first, tmp_path)
    (tmp_path / "other.gguf").unlink()
    assert read(first, tmp_path) == before
    (tmp_path / "q-00002-of-00002.gguf").write_bytes(gguf(kind=3))
    assert read(first, tmp_path) != before


def test_files_without_a_known_header_are_known_by_size_and_beginning(tmp_path: Path) -> None:
    """PyTorch, ONNX, TensorRT: the first 64 KiB."""

    def model(name: str, content: bytes) -> str:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "pytorch_model.bin").write_bytes(content)
        return read(folder)

    base = bytes(100_000)
    assert model("a", base) == model("b", base[:-1] + b"x")
    assert model("c", base) != model("d", b"x" + base[1:])
    assert model("e", base) != model("f", base + b"x")


def test_a_repository_is_read_at_the_revision_that_is_served(tmp_path: Path) -> None:
    """By the name of a ref, or by a commit; without one `main`, or the only one there is."""
    hub_cache(tmp_path, "aaa")
    new = {"config__json": b'{"new": true}'}
    repository = hub_cache(tmp_path, "bbb", ref="v2", **new)
    first, second = read(a_model(tmp_path / "a")), read(a_model(tmp_path / "b", **new))
    assert read(repository, tmp_path) == first
    assert read(repository, tmp_path, "v2") == second
    assert read(repository, tmp_path, "bbb") == second
    assert read(repository, tmp_path, "v3") == "no_files"
    assert read(repository, tmp_path, "../../a") == "no_files"
    (repository / "refs" / "main").unlink()
    assert read(repository, tmp_path) == "several_models"
    assert read(tmp_path, tmp_path, "bbb") == second, "a cache with one repository is that one"
    (tmp_path / "models--org--other").mkdir()
    assert read(tmp_path, tmp_path) == "several_models"


def test_the_only_snapshot_of_a_repository_without_refs_is_the_model(tmp_path: Path) -> None:
    """As NVIDIA NIM keeps it."""
    repository = hub_cache(tmp_path, "hf-1d54af3", ref=None)
    assert read(repository, tmp_path) == read(a_model(tmp_path / "a"))


def test_an_ollama_store_is_known_by_its_manifests(tmp_path: Path) -> None:
    """They name every part by its digest; half-fetched blobs do not count."""
    manifest = tmp_path / "manifests" / "registry" / "library" / "llama" / "8b"
    manifest.parent.mkdir(parents=True)
    manifest.write_text('{"layers": [{"digest": "sha256:1"}]}')
    (tmp_path / "blobs").mkdir()
    first = read(tmp_path)
    assert first.startswith("sha256:")
    (tmp_path / "blobs" / "sha256-2-partial").write_bytes(b"x")
    assert read(tmp_path) == first
    manifest.write_text('{"layers": [{"digest": "sha256:2"}]}')
    assert read(tmp_path) not in (first, "no_files")
    manifest.unlink()
    assert read(tmp_path) == "no_files"


def test_the_first_of_several_places_that_is_there_counts(tmp_path: Path) -> None:
    """An image's cache may be in one of two folders."""
    model = a_model(tmp_path / "b")
    found = answer(tmp_path, [tmp_path / "a", model], "")
    assert found["digest"] == read(model)
    assert answer(tmp_path, [tmp_path / "a"], "") == {"state": "no_files"}


def test_pipes_sockets_and_devices_are_not_opened(tmp_path: Path) -> None:
    """Under the name of a file that counts: to open a pipe would wait for ever."""
    expected = read(a_model(tmp_path))
    os.mkfifo(tmp_path / "special_tokens_map.json")
    os.mkfifo(tmp_path / "extra.safetensors")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "params.json"))
        (tmp_path / "zero.json").symlink_to("special_tokens_map.json")
        assert read(tmp_path) == expected
    os.mkfifo(tmp_path / "pipe")
    assert read(tmp_path / "pipe", tmp_path) == "no_files"


def test_no_link_is_followed_out_of_the_volume(tmp_path: Path) -> None:
    """A file that counts is not read there, and then there is no digest; others do not matter."""
    outside = tmp_path / "outside.json"
    outside.write_text("{}")
    model = a_model(tmp_path / "volume" / "model")
    expected = read(model)
    (model / "notes").symlink_to("/etc")
    assert read(model, model.parent) == expected
    (model / "tokenizer_config.json").symlink_to(outside)
    assert read(model, model.parent) == "link_leads_out"
    (model / "tokenizer_config.json").unlink()
    (model / "vocab.json").symlink_to("/models/vocab.json")
    assert read(model, model.parent) == "link_leads_out"
    (tmp_path / "volume" / "away").symlink_to("/")
    assert read(tmp_path / "volume" / "away" / "etc", model.parent) == "link_leads_out"


def test_a_file_that_is_not_ours_to_read_is_no_digest() -> None:
    """The sidecar is another user than the engine."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        model = a_model(Path(folder) / "model")
        Path(folder).chmod(0o755)
        with as_another_user():
            assert read(model).startswith("sha256:")
        (model / "tokenizer.json").chmod(0o000)
        with as_another_user():
            assert read(model) == "not_permitted"
        (model / "tokenizer.json").chmod(0o644)
        model.chmod(0o000)
        with as_another_user():
            assert read(model, model.parent) == "not_permitted"
        model.chmod(0o755)


@contextlib.contextmanager
def as_another_user() -> Iterator[None]:
    """Root may read everything; anybody else already is another user."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65532)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    """A folder that is in itself is too deep; a link to itself is no file."""
    a_model(tmp_path)
    (tmp_path / "self.json").symlink_to("self.json")
    assert read(tmp_path).startswith("sha256:")
    (tmp_path / "again").symlink_to(".")
    assert read(tmp_path) == "too_large"


def test_too_many_files_and_too_much_to_read_are_no_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never a digest of a part."""
    a_model(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(listing, "MAX_ENTRIES", 5)
        assert read(tmp_path) == "too_large"
    with monkeypatch.context() as patch:
        patch.setattr(digest, "MAX_TOTAL_BYTES", 100)
        assert read(tmp_path) == "too_large"
    with monkeypatch.context() as patch:
        patch.setattr(digest, "MAX_WHOLE_BYTES", 10)
        assert read(tmp_path).startswith("sha256:")


def test_an_empty_folder_and_one_without_weights_have_no_digest(tmp_path: Path) -> None:
    """A configuration alone is no model."""
    assert read(tmp_path) == "no_files"
    (tmp_path / "config.json").write_text("{}")
    assert read(tmp_path) == "no_files"
    assert read(tmp_path / "none", tmp_path) == "no_files"


names = st.sampled_from(
    ["config.json", "a.safetensors", "b.gguf", "c.bin", "d.jinja", "e", "merges.txt", "ü\n.json"]
)


@given(
    st.dictionaries(st.tuples(st.sampled_from(["", "x", "y/z"]), names), st.binary(max_size=64)),
    st.randoms(),
)
def test_the_order_in_which_files_were_written_does_not_matter(files, random) -> None:
    """Any files: an answer, and the same one for the same files."""
    said = []
    for _ in range(2):
        with tempfile.TemporaryDirectory() as folder:
            entries = list(files.items())
            random.shuffle(entries)
            for (where, name), content in entries:
                (Path(folder) / where).mkdir(parents=True, exist_ok=True)
                (Path(folder) / where / name).write_bytes(content)
            said.append(read(Path(folder)))
    assert said[0] == said[1]
