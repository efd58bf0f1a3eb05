"""Probes and hooks of the engine: liveness never depends on the relay, readiness always does."""

from sidelight_operator.inject.edits import Editor
from sidelight_operator.inject.types import Json

_AROUND = (
    ["livenessProbe"],
    ["startupProbe"],
    ["lifecycle", "postStart"],
    ["lifecycle", "preStop"],
)
_THROUGH = (["readinessProbe"],)
_KINDS = ("httpGet", "tcpSocket", "grpc")


def move_probes(
    container: Json, port: int, around: int, through: int | None, editor: Editor
) -> None:
    """Point what keeps the engine alive at `around`, and readiness at `through` (None: it
    stays, for its port leads through the relay as it is).

    Only probes of `port`, by number or by the name of a container port, are touched; they get
    numbers, since a name is looked up in the same container only.
    """
    for paths, target in ((_AROUND, around), (_THROUGH, through)):
        for path in paths if target else ():
            handler = _at(container, path)
            for kind in _KINDS:
                probe = (handler or {}).get(kind)
                if not probe or probe.get("host"):
                    continue
                if _number(container, probe.get("port")) == port and probe["port"] != target:
                    editor.set([*path, kind, "port"], target)


def _at(container: Json, path: list[str]) -> Json | None:
    node: Json | None = container
    for key in path:
        node = (node or {}).get(key)
    return node


def _number(container: Json, port: object) -> int:
    if isinstance(port, int):
        return port
    for entry in container.get("ports") or ():
        if port is not None and entry.get("name") == port:
            return int(entry["containerPort"])
    return int(port) if isinstance(port, str) and port.isdigit() else 0
