"""Where in what was mounted the model is: a file, a folder, or what a cache keeps of a repository.

The layouts are those of huggingface_hub (`models--ORG--NAME` with `refs` and `snapshots`, which
NVIDIA NIM has too) and of Ollama (`manifests` and `blobs`).
"""

import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path

from sidelight_sidecar.weights.safely import LeadsOutError, NoFileError, opened, resolved

_NAME = re.compile(r"[\w.-]{1,200}")
_MAIN = "main"


class NoModelError(Exception):
    """There is no model where it should be."""


class SeveralModelsError(Exception):
    """There are several, and nothing says which is meant."""


def model_in(paths: Sequence[Path], root: Path, revision: str) -> Path:
    """The file or folder that holds the model.

    Raises:
        NoModelError, SeveralModelsError, LeadsOutError: there is none, or not one.
        OSError: it cannot be looked at.
    """
    for path in paths:
        found = resolved(path, root)
        try:
            mode = found.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            continue
        return _in_folder(found, root, revision) if stat.S_ISDIR(mode) else found
    raise NoModelError


def is_ollama_store(folder: Path) -> bool:
    """Whether it is one: its manifests name all that belongs to a model by digest."""
    return (folder / "manifests").is_dir() and (folder / "blobs").is_dir()


def _in_folder(folder: Path, root: Path, revision: str) -> Path:
    if (folder / "snapshots").is_dir():
        return _snapshot(folder, root, revision)
    with os.scandir(folder) as entries:
        kept = [entry.name for entry in entries if entry.name.startswith("models--")]
    if not kept:
        return folder
    if len(kept) > 1:
        raise SeveralModelsError
    return _snapshot(resolved(folder / kept[0], root), root, revision)


def _snapshot(repository: Path, root: Path, revision: str) -> Path:
    snapshots = repository / "snapshots"
    word = revision or _MAIN
    for name in (word, _ref(repository / "refs" / word, root)):
        if _NAME.fullmatch(name) and (snapshots / name).is_dir():
            return resolved(snapshots / name, root)
    there = sorted(entry.name for entry in snapshots.iterdir() if entry.is_dir())
    if revision or not there:
        raise NoModelError
    if len(there) > 1:
        raise SeveralModelsError
    return resolved(snapshots / there[0], root)


def _ref(path: Path, root: Path) -> str:
    """The commit that a name stands for; empty: it is not known here."""
    try:
        descriptor, _ = opened(path, root)
    except (NoFileError, LeadsOutError):
        return ""
    try:
        return os.read(descriptor, 256).decode("ascii", "replace").strip()
    finally:
        os.close(descriptor)
