"""PortTakeover: the engine moves to another port by its own argument or variable."""

from typing import Any

from sidelight_contract.names import TAKEOVER_PORT, Reason
from sidelight_operator.inject.detect import Found, recognises
from sidelight_operator.inject.edits import Editor
from sidelight_operator.inject.probes import move_probes
from sidelight_operator.inject.types import Json, RefusedError

_FIRST_UNPRIVILEGED = 1024


def check_movable(container: Json, found: Found) -> None:
    """Say no where the engine cannot be moved for certain.

    Raises:
        RefusedError: and why.
    """
    if found.profile is None or found.source.kind == "unknown":
        raise RefusedError(
            Reason.PORT_NOT_MOVABLE,
            f"it is not known how container {found.container} is told its port",
        )
    if found.source.kind == "shell":
        raise RefusedError(
            Reason.PORT_NOT_MOVABLE,
            f"container {found.container} is started by a shell script, which is not rewritten; "
            "give command and args as a list",
        )
    if found.port < _FIRST_UNPRIVILEGED:
        raise RefusedError(
            Reason.PORT_NOT_MOVABLE,
            f"port {found.port} is privileged, and the sidecar runs without privilege; let the "
            "engine serve on a port from 1024",
        )
    unknown_program = container.get("command") and not recognises(found.profile, container)
    if found.source.kind == "default" and unknown_program:
        raise RefusedError(
            Reason.PORT_NOT_MOVABLE,
            f"it is not certain that the command of container {found.container} takes a port; "
            "give it one",
        )
    if found.source.kind == "default" and not (
        _has_words(container)
        or found.profile.entrypoint_takes_arguments
        or found.profile.port_variables
        or found.profile.address_variables
    ):
        raise RefusedError(
            Reason.PORT_NOT_MOVABLE,
            f"container {found.container} has neither command nor args to add a port to",
        )
    _entry(container, found)


def move_engine(container: Json, found: Found, editor: Editor) -> list[Json]:
    """Move the engine and its probes; return the container ports that go to the sidecar."""
    move_probes(container, found.port, TAKEOVER_PORT, found.port, editor)
    _move_port(container, found, editor)
    ports = container.get("ports") or []
    taken = [entry for entry in ports if entry.get("containerPort") == found.port]
    if taken:
        editor.set(["ports"], [entry for entry in ports if entry not in taken])
    return taken


def _has_words(container: Json) -> bool:
    return bool(container.get("command") or container.get("args"))


def _entry(container: Json, found: Found) -> Json:
    if found.source.kind != "env":
        return {}
    entry: Json = container["env"][found.source.index]
    if "valueFrom" in entry:
        raise RefusedError(
            Reason.PORT_NOT_MOVABLE,
            f"container {found.container} reads its port from elsewhere ({entry['name']})",
        )
    return entry


def _move_port(container: Json, found: Found, editor: Editor) -> None:
    source, profile = found.source, found.profile
    assert profile is not None
    if source.kind in ("args", "command"):
        editor.set([source.kind, source.index], f"{source.joined}{TAKEOVER_PORT}")
    elif source.kind == "env":
        entry = _entry(container, found)
        host, separator, _ = str(entry.get("value", "")).rpartition(":")
        editor.set(["env", source.index, "value"], f"{host}{separator}{TAKEOVER_PORT}")
    elif profile.port_flags and (_has_words(container) or profile.entrypoint_takes_arguments):
        _append(container, editor, "args", [profile.port_flags[0], str(TAKEOVER_PORT)])
    elif profile.port_variables:
        _append_env(container, editor, profile.port_variables[0], str(TAKEOVER_PORT))
    else:
        _append_env(container, editor, profile.address_variables[0], f"0.0.0.0:{TAKEOVER_PORT}")


def _append_env(container: Json, editor: Editor, name: str, value: str) -> None:
    entries = [entry.get("name") for entry in container.get("env") or ()]
    if name in entries:  # there, but without a port in it
        index = entries.index(name)
        host = str(container["env"][index].get("value", ""))
        editor.set(["env", index, "value"], f"{host}:{TAKEOVER_PORT}")
        return
    _append(container, editor, "env", [{"name": name, "value": value}])


def _append(container: Json, editor: Editor, key: str, values: list[Any]) -> None:
    if not isinstance(container.get(key), list):
        editor.set([key], values)
        return
    for value in values:
        editor.set([key, len(container[key])], value)
