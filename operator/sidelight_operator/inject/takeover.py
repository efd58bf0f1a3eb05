"""PortTakeover: the engine moves to another port by its own argument or variable."""

from sidelight_contract.engines import EngineProfile
from sidelight_contract.names import Reason
from sidelight_operator.inject.bind import Bind
from sidelight_operator.inject.detect import Found
from sidelight_operator.inject.edits import Editor
from sidelight_operator.inject.flags import could_hide, value_of
from sidelight_operator.inject.port import number
from sidelight_operator.inject.probes import check_commands, containers_of
from sidelight_operator.inject.recognise import Start
from sidelight_operator.inject.types import Json, RefusedError
from sidelight_operator.inject.word import overwrite

_FIRST_UNPRIVILEGED = 1024


def check_movable(pod: Json, container: Json, found: Found) -> None:
    """Say no where the engine cannot be moved for certain.

    Raises:
        RefusedError: and why.
    """
    why = _obstacle(container, found)
    if why:
        raise RefusedError(Reason.PORT_NOT_MOVABLE, why)
    for other in containers_of(pod):
        check_commands(other, found.port)


def _obstacle(container: Json, found: Found) -> str:
    name, profile, start = found.container, found.profile, found.start
    if profile is None or start is None:
        return f"it is not known how container {name} is told its port"
    if found.source.problem:
        return f"the port of container {name} cannot be changed for certain: {found.source.problem}"
    if found.port < _FIRST_UNPRIVILEGED:
        return (
            f"port {found.port} is privileged, and the sidecar runs without privilege; let the "
            "engine serve on a port from 1024"
        )
    if not start.alone:
        return f"container {name} starts the engine in more than one place"
    if found.more_asked:
        return "engine.morePorts are asked for, and PortTakeover moves one port"
    return (
        _unknown_address(found, profile)
        or _unknown_rank(start, profile)
        or _no_way(container, found, profile, start)
    )


def _unknown_address(found: Found, profile: EngineProfile) -> str:
    if found.bind is Bind.UNKNOWN:
        return f"the address that container {found.container} listens on is not one the pod says"
    if found.bind is Bind.UNSTATED and profile.loopback_by_default:
        return (
            f"{profile.type.value} listens on 127.0.0.1 alone unless it is told otherwise; give it "
            f"{profile.host_flags[0]}"
        )
    return ""


def _unknown_rank(start: Start, profile: EngineProfile) -> str:
    rank = value_of(start.arguments, profile.rank_flags)
    if rank is None or number(rank.text) or rank.text == "0":
        return ""
    return "whether this pod is the one that serves the API follows from a rank that is not known"


def _no_way(container: Json, found: Found, profile: EngineProfile, start: Start) -> str:
    """Why nothing can be added where nothing is written yet."""
    if found.source.kind != "default":
        return "" if found.source.place else "its port is not written in one piece"
    if _takes_flag(container, profile, start):
        if not start.invocation.in_script:
            return ""
        if hides := could_hide(start.arguments, profile.port_flags):
            return f"{hides} could give another port"
        return "" if start.invocation.insert else "its command is not written in one piece"
    if profile.port_variables or profile.address_variables:
        return ""
    return f"container {found.container} has neither command nor args to add a port to"


def _takes_flag(container: Json, profile: EngineProfile, start: Start) -> bool:
    """Whether a flag is added: never as the only argument, which would replace the image's own."""
    if not profile.port_flags:
        return False
    words = bool(container.get("command") or container.get("args"))
    return words or (not (profile.port_variables or profile.address_variables) and start.implied)


def move_engine(container: Json, found: Found, to: int, editor: Editor) -> list[Json]:
    """Move the engine; return the container ports that go to the sidecar."""
    _move_port(container, found, to, editor)
    ports = container.get("ports") or []
    taken = [entry for entry in ports if entry.get("containerPort") == found.port]
    if taken:
        editor.set(container, ["ports"], [entry for entry in ports if entry not in taken])
    return taken


def _move_port(container: Json, found: Found, to: int, editor: Editor) -> None:
    source, profile, start = found.source, found.profile, found.start
    assert profile is not None
    assert start is not None
    if source.kind == "flag":
        assert source.place is not None
        overwrite(container, source.place, str(to), editor)
    elif source.kind == "variable":
        if source.place is not None and source.place.key != "env":
            overwrite(container, source.place, str(to), editor)  # the script's own
        for name in profile.port_variables:
            if name not in (start.invocation.assigned or {}):
                _set_variable(container, name, str(to), editor)
    elif source.kind == "address":
        assert source.place is not None
        overwrite(container, source.place, f":{to}", editor)
    elif _takes_flag(container, profile, start):
        _add_flag(container, start, profile.port_flags[0], to, editor)
    else:
        for name in profile.port_variables:
            _set_variable(container, name, str(to), editor)
        for name in () if profile.port_variables else profile.address_variables[:1]:
            _set_variable(container, name, f"0.0.0.0:{to}", editor)


def _add_flag(container: Json, start: Start, flag: str, to: int, editor: Editor) -> None:
    if start.invocation.insert is not None:
        overwrite(container, start.invocation.insert, f" {flag} {to}", editor)
        return
    if not isinstance(container.get("args"), list):
        editor.set(container, ["args"], [flag, str(to)])
        return
    for value in (flag, str(to)):
        editor.set(container, ["args", len(container["args"])], value)


def _set_variable(container: Json, name: str, value: str, editor: Editor) -> None:
    entries = container.get("env")
    if not isinstance(entries, list):
        editor.set(container, ["env"], [{"name": name, "value": value}])
    elif any(entry.get("name") == name for entry in entries):
        editor.set(container, ["env", name, "value"], value)
    else:
        editor.set(container, ["env", name], {"name": name, "value": value})
