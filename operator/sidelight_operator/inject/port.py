"""On which port an engine serves, and where that is written.

Rules:
1. The last flag wins, and wins over the environment; what a script assigns wins over the
   container's `env`; of a variable given twice the last one counts.
2. A usual port counts only where nothing speaks against it: not where a ConfigMap (`envFrom`), a
   file or the image may say another, and not where the container declares only other ports.
3. Where something may say another, one declared port is taken to be it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sidelight_contract.engines import EngineProfile
from sidelight_contract.names import Reason
from sidelight_operator.inject.flags import could_hide, given, value_of
from sidelight_operator.inject.recognise import Engined
from sidelight_operator.inject.types import Json, RefusedError
from sidelight_operator.inject.word import Place, Word

_SCHEMES = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class PortSource:
    """A port and where it is written.

    Attributes:
        port: 0 when it is not known.
        kind: `flag`, `variable`, `address` (a variable that may also hold an address), or
            `default` (nothing of the container says it).
        place: what would have to be overwritten; None where nothing is written, or not in one
            piece.
        problem: why it is not known, or cannot be changed for certain.
    """

    port: int
    kind: str = "default"
    place: Place | None = None
    problem: str = ""


def port_of(engined: Engined) -> PortSource:
    """The port of an engine."""
    profile, start = engined.profile, engined.start
    if profile is None:
        return PortSource(0, problem="nothing is known of a Generic engine's arguments")
    arguments = start.arguments if start else ()
    value = value_of(arguments, profile.port_flags)
    if value is not None:
        hides = could_hide(arguments, profile.port_flags)
        problem = f"{hides} could give another port" if hides else ""
        return _from_word(engined, value, "flag", problem)
    return _from_variables(engined, profile) or _usual(engined, profile)


def declared_ports(container: Json) -> set[int]:
    """Ports over TCP that a container declares, or that its probes ask by number."""
    ports = {
        int(entry.get("containerPort") or 0)
        for entry in container.get("ports") or ()
        if entry.get("protocol", "TCP") == "TCP"
    }
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        for kind in ("httpGet", "tcpSocket"):
            port = ((container.get(probe) or {}).get(kind) or {}).get("port")
            if isinstance(port, int):
                ports.add(port)
    return ports - {0}


def named_port(container: Json, name: str) -> int:
    """The number of a container's port of that name.

    Raises:
        RefusedError: it has none.
    """
    for entry in container.get("ports") or ():
        if entry.get("name") == name:
            return int(entry["containerPort"])
    raise RefusedError(
        Reason.PORT_NOT_FOUND,
        f"engine.port is {name}, but container {container.get('name')} has no port of that name",
    )


def _from_word(engined: Engined, value: Word, kind: str, problem: str = "") -> PortSource:
    port = number(value.text)
    if not port:
        return PortSource(0, kind, problem="it is not a plain number that the pod says")
    parts = [part for part in value.parts if part.text]
    assumed = any(part.assumed for part in parts)
    if assumed and port not in declared_ports(engined.container):
        return PortSource(0, kind, problem="it is a default that the image may override")
    place = parts[0].place if len(parts) == 1 else None
    if place is None and not problem:
        problem = "it is not written in one piece"
    return PortSource(port, kind, place, problem)


def number(text: str | None) -> int:
    """The port that a text is; 0 when it is none."""
    if text is None or not (text.isascii() and text.isdigit()) or len(text) > 5:
        return 0
    return int(text) if 0 < int(text) < 65536 else 0


def _from_variables(engined: Engined, profile: EngineProfile) -> PortSource | None:
    """What the environment says; None when it says nothing."""
    found = [
        source
        for name in (*profile.port_variables, *profile.address_variables)
        if (source := _from_variable(engined, profile, name)) is not None
    ]
    if len({source.port for source in found}) > 1:
        names = " and ".join(profile.port_variables)
        return PortSource(0, problem=f"{names} say different ports")
    return found[0] if found else None


def _from_variable(engined: Engined, profile: EngineProfile, name: str) -> PortSource | None:
    kind = "address" if name in profile.address_variables else "variable"
    assigned = _assigned(engined)
    environment = engined.environment
    if name in assigned:
        value = assigned[name]
        if value is None or kind == "address":
            return PortSource(0, kind, problem=f"the script sets {name} itself")
        return _from_word(engined, value, kind)
    if name not in environment:
        return None
    text = environment.literal(name)
    if text is None:
        return PortSource(0, kind, problem=f"{name} comes from elsewhere")
    if not text:
        return PortSource(0, kind, problem=f"{name} is empty")
    written = _written(engined.container, name)
    if kind == "address":
        return _from_address(text, written, name, profile.default_port)
    problem = "" if written == text else f"{name} refers to other variables"
    port = number(text)
    place = Place("env", name, 0, len(written)) if not problem else None
    return PortSource(port, kind, place, problem or ("" if port else f"{name} is no port"))


def _from_address(text: str, written: str, name: str, usual: int) -> PortSource:
    """`host:port`, `host`, or a URL."""
    scheme, separator, rest = text.rpartition("://")
    host, colon, port_text = rest.partition("/")[0].rpartition(":")
    if not colon or port_text.endswith("]"):
        host, port_text = rest.partition("/")[0], ""
    port = number(port_text) if port_text else _SCHEMES.get(scheme, usual)
    if not port:
        return PortSource(0, "address", problem=f"{name} names no port")
    if written != text or "/" in rest:
        return PortSource(port, "address", problem=f"{name} is not plain host:port")
    start = len(scheme) + len(separator) + len(host)
    return PortSource(port, "address", Place("env", name, start, len(written)))


def _written(container: Json, name: str) -> str:
    entries = [e for e in container.get("env") or () if e.get("name") == name]
    return str(entries[-1].get("value") or "") if entries else ""


def _assigned(engined: Engined) -> Mapping[str, Word | None]:
    return (engined.start.invocation.assigned if engined.start else None) or {}


def _usual(engined: Engined, profile: EngineProfile) -> PortSource:
    """The engine's usual port, or the one that the container declares where that is not certain."""
    declared = declared_ports(engined.container)
    why = _hidden(engined, profile)
    usual = profile.default_port
    if usual and not why and (not declared or usual in declared):
        return PortSource(usual)
    if not why and usual:
        others = ", ".join(map(str, sorted(declared)))
        why = f"its usual port is {usual}, and the container declares {others}"
        return PortSource(0, problem=why)
    if len(declared) == 1:
        return PortSource(declared.pop())
    if usual and usual in declared:
        return PortSource(usual)
    return PortSource(0, problem=why or "the profile has no defaultPort")


def _hidden(engined: Engined, profile: EngineProfile) -> str:
    """What may give another port than the usual one; empty when nothing may."""
    arguments = engined.start.arguments if engined.start else ()
    variables = profile.port_variables or profile.address_variables
    if engined.start is None:
        return "how its container starts the engine is not known"
    if variables and engined.environment.hidden:
        return "its variables may come from envFrom"
    if flag := given(arguments, profile.config_flags):
        return f"{flag} may set it in a file"
    if variable := next((n for n in profile.config_variables if n in engined.environment), ""):
        return f"{variable} may set it"
    if variable := could_hide(arguments, profile.port_flags):
        return f"{variable} could give one"
    image = str(engined.container.get("image", ""))
    if profile.image_ports and not any(part in image for part in profile.image_ports):
        return "its usual port is its image's own setting, and this is another image"
    return ""
