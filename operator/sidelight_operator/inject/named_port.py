"""NamedPort: the name of the engine's port moves to the relay's, and Services follow the name."""

from sidelight_contract.names import Reason
from sidelight_operator.inject.bind import Bind
from sidelight_operator.inject.detect import Found
from sidelight_operator.inject.edits import Editor
from sidelight_operator.inject.probes import name_to_number
from sidelight_operator.inject.types import Json, RefusedError


def check_named(container: Json, found: Found) -> None:
    """Say no where there is no name to move.

    Raises:
        RefusedError: and why.
    """
    if _named(container, found.port) is None:
        raise RefusedError(
            Reason.PORT_NOT_NAMED,
            f"port {found.port} of container {found.container} has no name that a Service could "
            "follow",
        )
    if found.more_asked:
        raise RefusedError(
            Reason.PORT_NOT_NAMED, "engine.morePorts are asked for, and NamedPort moves one name"
        )
    if found.bind is Bind.UNKNOWN:
        raise RefusedError(
            Reason.PORT_NOT_NAMED,
            f"the address that container {found.container} listens on is not one the pod says",
        )


def move_name(container: Json, found: Found, relay_port: int, editor: Editor) -> list[Json]:
    """Take the name off the engine's port; return the port of that name for the sidecar. Probes
    that use the name ask the engine by number, as before.
    """
    entry = _named(container, found.port)
    assert entry is not None
    name_to_number(container, entry["name"], found.port, editor)
    without = {key: value for key, value in entry.items() if key != "name"}
    ports = [without if one is entry else one for one in container["ports"]]
    editor.set(container, ["ports"], ports)
    kept = {key: value for key, value in entry.items() if key not in ("hostPort", "hostIP")}
    return [{**kept, "containerPort": relay_port}]


def _named(container: Json, port: int) -> Json | None:
    for entry in container.get("ports") or ():
        tcp = entry.get("protocol", "TCP") == "TCP"
        if tcp and entry.get("containerPort") == port and entry.get("name"):
            found: Json = entry
            return found
    return None
