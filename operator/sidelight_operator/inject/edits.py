"""Changes of the pod's own containers that can be taken back.

Injecting an injected pod must give the same pod, so every change is written down and undone first.
A word in a path names the element of a list (a variable of `env`), so that what another webhook
puts beside it does not matter.
"""

import copy
from typing import Any

from sidelight_contract.injection import Edit
from sidelight_operator.inject.types import Json


class Editor:
    """Changes containers in place and remembers."""

    def __init__(self, engine: str) -> None:
        self._engine = engine
        self.edits: list[Edit] = []

    def set(self, container: Json, path: list[str | int], value: Any) -> None:
        """Put `value` at `path` of a container; a place that a list does not have is appended."""
        *before, last = path
        parent: Any = container
        for key in before:
            parent = parent[_index(parent, key)]
        key = _index(parent, last)
        existed = key < len(parent) if isinstance(parent, list) else key in parent
        name = str(container.get("name", ""))
        self.edits.append(
            Edit(
                path, copy.deepcopy(value), parent[key] if existed else None, existed,
                container="" if name == self._engine else name,
            )
        )  # fmt: skip
        if isinstance(parent, list) and not existed:
            parent.append(value)
        else:
            parent[key] = value


def undo(container: Json, edits: list[Edit]) -> None:
    """Take back what still stands as it was put; what somebody changed since is theirs."""
    for edit in reversed(edits):
        if not edit.path:
            continue
        try:
            _undo(container, edit)
        except (KeyError, IndexError, TypeError, AttributeError):
            continue


def _undo(container: Json, edit: Edit) -> None:
    *before, last = edit.path
    parent: Any = container
    for key in before:
        parent = parent[_index(parent, key)]
    key = _index(parent, last)
    emptied = edit.new == [] and isinstance(parent, dict) and key not in parent
    if not emptied and parent[key] != edit.new:  # the API server drops empty lists
        return
    if edit.existed:
        parent[key] = edit.old
    else:
        del parent[key]


def _index(parent: Any, key: str | int) -> Any:
    """The index of a list's element by its name, the last of several; else the key itself."""
    if not isinstance(parent, list) or not isinstance(key, str):
        return key
    named = [
        i for i, entry in enumerate(parent) if isinstance(entry, dict) and entry.get("name") == key
    ]
    return named[-1] if named else len(parent)
