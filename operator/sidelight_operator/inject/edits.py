"""Changes of the engine's container that can be taken back.

Injecting an injected pod must give the same pod, so every change is written down and undone first.
"""

from typing import Any

from sidelight_contract.injection import Edit
from sidelight_operator.inject.types import Json


class Editor:
    """Changes a container in place and remembers."""

    def __init__(self, container: Json) -> None:
        self._container = container
        self.edits: list[Edit] = []

    def set(self, path: list[str | int], value: Any) -> None:
        """Put `value` at `path`; an index one past the end of a list appends."""
        parent, key = self._parent(path)
        if isinstance(parent, list) and key == len(parent):
            parent.append(value)
            self.edits.append(Edit(path, value, existed=False))
            return
        existed = isinstance(parent, list) or key in parent
        self.edits.append(Edit(path, value, parent[key] if existed else None, existed))
        parent[key] = value

    def _parent(self, path: list[str | int]) -> tuple[Any, Any]:
        node: Any = self._container
        for key in path[:-1]:
            node = node[key]
        return node, path[-1]


def undo(container: Json, edits: list[Edit]) -> None:
    """Take back what still stands as it was put; what somebody changed since is theirs."""
    for edit in reversed(edits):
        node: Any = container
        try:
            for key in edit.path[:-1]:
                node = node[key]
            last = edit.path[-1]
            emptied = edit.new == [] and isinstance(node, dict) and last not in node
            if not emptied and node[last] != edit.new:  # the API server drops empty lists
                continue
        except (KeyError, IndexError, TypeError):
            continue
        if edit.existed:
            node[edit.path[-1]] = edit.old
        else:
            del node[edit.path[-1]]
