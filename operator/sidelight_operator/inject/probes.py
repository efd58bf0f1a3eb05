"""Probes and hooks of a pod's containers: liveness never depends on the relay, readiness does.

Rules:
1. A probe counts by the port that it asks, in whichever container it stands; a name is looked up in
   its own container. They get numbers, since names may move to the sidecar.
2. What runs a command (`exec`) reaches the pod over loopback. A redirect does not touch that. After
   a takeover the old port leads through the relay, so that liveness and startup are changed where
   they name `localhost` and the port, and refused where the port stands in them in another way.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sidelight_contract.names import Reason
from sidelight_operator.inject.edits import Editor
from sidelight_operator.inject.types import Json, RefusedError

_KEEP_ALIVE = (["livenessProbe"], ["startupProbe"])
_HOOKS = (["lifecycle", "postStart"], ["lifecycle", "preStop"])
_READINESS = ["readinessProbe"]
_LOCAL = r"(?:\blocalhost|\b127\.0\.0\.1|\[::1\])"
_KINDS = ("httpGet", "tcpSocket", "grpc")


@dataclass(frozen=True, slots=True)
class Ways:
    """Where probes of an engine's port are to go; a port that is missing is left alone.

    Attributes:
        around: for what keeps a container alive, and for hooks.
        through: for readiness.
        commands: for commands: the engine was moved, so loopback leads through the relay.
    """

    around: Mapping[int, int]
    through: Mapping[int, int] = field(default_factory=dict)
    commands: Mapping[int, int] = field(default_factory=dict)


def containers_of(pod: Json) -> list[Json]:
    """Every container of a pod that may have probes or hooks."""
    spec = pod["spec"]
    return [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]


def move_probes(container: Json, ways: Ways, editor: Editor) -> None:
    """Lead the probes and hooks of a container as `ways` says."""
    for path in (*_KEEP_ALIVE, *_HOOKS):
        _move(container, path, ways.around, editor)
        _move_command(container, path, ways.commands, editor)
    _move(container, _READINESS, ways.through, editor)


def name_to_number(container: Json, name: str, number: int, editor: Editor) -> None:
    """Make probes and hooks ask a port by number whose name leaves the container."""
    for path in (*_KEEP_ALIVE, *_HOOKS, _READINESS):
        for kind in _KINDS:
            probe = (_at(container, path) or {}).get(kind)
            if probe and probe.get("port") == name:
                editor.set(container, [*path, kind, "port"], number)


def check_commands(container: Json, port: int) -> None:
    """Say no to a liveness or startup command that cannot be led around the relay.

    Raises:
        RefusedError: and which.
    """
    for path in _KEEP_ALIVE:
        for word in _command(container, path):
            if _standing(port).search(_without(str(word), port, "")):
                raise RefusedError(
                    Reason.PROBE_NOT_SUPPORTED,
                    f"the {path[-1]} of container {container.get('name')} runs a command that uses "
                    f"port {port} in a way that is not understood; let it ask localhost:{port}",
                )


def _move(container: Json, path: list[str], ways: Mapping[int, int], editor: Editor) -> None:
    handler = _at(container, path)
    for kind in _KINDS:
        probe = (handler or {}).get(kind)
        if not probe or probe.get("host"):
            continue
        target = ways.get(_number(container, probe.get("port")))
        if target and probe["port"] != target:
            editor.set(container, [*path, kind, "port"], target)


def _move_command(
    container: Json, path: list[str], ways: Mapping[int, int], editor: Editor
) -> None:
    for index, word in enumerate(_command(container, path)):
        text = str(word)
        for port, target in ways.items():
            text = _without(text, port, str(target))
        if text != word:
            editor.set(container, [*path, "exec", "command", index], text)


def _command(container: Json, path: list[str]) -> Sequence[str]:
    command: Sequence[str] = ((_at(container, path) or {}).get("exec") or {}).get("command") or ()
    return command


def _without(text: str, port: int, instead: str) -> str:
    return re.sub(rf"({_LOCAL}:){port}(?!\d)", rf"\g<1>{instead}", text)


def _standing(port: int) -> re.Pattern[str]:
    return re.compile(rf"(?<![\d.]){port}(?![\d.])")


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
