"""Which container is the engine, which engine it is, and on which port it serves."""

import re
import shlex
from dataclasses import dataclass
from itertools import pairwise

from sidelight_contract.engines import PROFILES, EngineProfile, profile_of
from sidelight_contract.names import Reason
from sidelight_contract.spec import Engine, EngineType
from sidelight_operator.inject.types import Json, RefusedError

_SHELLS = frozenset({"sh", "bash", "ash", "dash"})
_REFERENCE = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)")


@dataclass(frozen=True, slots=True)
class PortSource:
    """Where the engine's port is written: `args`/`command` with an index, `env` with an index, or
    nowhere (`default`, `shell`).
    """

    kind: str
    index: int = -1
    joined: str = ""
    """`--port=` when flag and value are one word."""


@dataclass(frozen=True, slots=True)
class Found:
    """The engine in a pod."""

    container: str
    type: EngineType
    profile: EngineProfile | None
    port: int
    source: PortSource


def find_engine(containers: list[Json], engine: Engine) -> Found:
    """The engine that `spec.engine` means.

    Raises:
        RefusedError: no such container, no engine that is known, or no port that is certain.
    """
    container, kind, profile = _container(containers, engine)
    name = container.get("name", "")
    known, source = _configured_port(container, profile)
    if engine.port:
        port = _asked_port(container, engine.port)
        if known and source.kind != "default" and known != port:
            raise RefusedError(
                Reason.PORT_NOT_FOUND,
                f"engine.port is {port}, but container {name} is told to serve on {known}; correct "
                "or remove engine.port",
            )
        if source.kind == "default" and known != port and profile is not None:
            source = PortSource("unknown")
        return Found(name, kind, profile, port, source)
    if not known:
        raise RefusedError(
            Reason.PORT_UNKNOWN,
            f"the port of container {name} is not a plain number in its arguments; set engine.port",
        )
    return Found(name, kind, profile, known, source)


def _container(
    containers: list[Json], engine: Engine
) -> tuple[Json, EngineType, EngineProfile | None]:
    if engine.container:
        chosen = [c for c in containers if c.get("name") == engine.container]
        if not chosen:
            raise RefusedError(
                Reason.ENGINE_CONTAINER_NOT_FOUND,
                f"there is no container {engine.container}; the pod has "
                + ", ".join(c.get("name", "?") for c in containers),
            )
    else:
        chosen = containers
    if engine.type is EngineType.GENERIC:
        if len(chosen) != 1:
            raise RefusedError(
                Reason.ENGINE_CONTAINER_NOT_FOUND,
                "the pod has several containers; set engine.container",
            )
        return chosen[0], engine.type, None
    if engine.type is not EngineType.AUTO:
        profile = profile_of(engine.type)
        told = [c for c in chosen if profile is not None and recognises(profile, c)]
        if len(chosen) == 1 or told:
            return (told or chosen)[0], engine.type, profile
        raise RefusedError(
            Reason.ENGINE_CONTAINER_NOT_FOUND,
            f"no container is recognised as {engine.type.value}; set engine.container",
        )
    for container in chosen:
        for profile in PROFILES:
            if recognises(profile, container):
                return container, profile.type, profile
    raise RefusedError(
        Reason.ENGINE_UNKNOWN,
        "no container is recognised as an inference server by its image or command; set "
        "engine.type, or engine.type: Generic with engine.port",
    )


def recognises(profile: EngineProfile, container: Json) -> bool:
    """Whether the container runs this engine, by its command, else by its image."""
    words = [word.rsplit("/", 1)[-1] for word in command_words(container)]
    if any(program in words for program in profile.programs):
        return True
    image = str(container.get("image", ""))
    return not container.get("command") and any(part in image for part in profile.images)


def command_words(container: Json) -> list[str]:
    """Command and arguments, word by word; a shell's script is cut into words as well."""
    words = [str(word) for key in ("command", "args") for word in container.get(key) or ()]
    return script_words(words) or words


def script_words(words: list[str]) -> list[str]:
    """The words of a `sh -c` script; none when it is no such thing or cannot be cut."""
    if not words or words[0].rsplit("/", 1)[-1] not in _SHELLS:
        return []
    for flag, script in pairwise(words[1:]):
        if flag.startswith("-") and not flag.startswith("--") and flag.endswith("c"):
            try:
                return shlex.split(script, comments=True)
            except ValueError:
                return []
    return []


def _asked_port(container: Json, port: str) -> int:
    if port.isdigit():
        return int(port)
    for entry in container.get("ports") or ():
        if entry.get("name") == port:
            return int(entry["containerPort"])
    raise RefusedError(
        Reason.PORT_NOT_FOUND,
        f"engine.port is {port}, but container {container.get('name')} has no port of that name",
    )


def _configured_port(container: Json, profile: EngineProfile | None) -> tuple[int, PortSource]:
    """The port and where it is written; port 0: written, but not as a plain number."""
    if profile is None:
        return 0, PortSource("unknown")
    whole = [str(word) for key in ("command", "args") for word in container.get(key) or ()]
    script = script_words(whole)
    if script:
        value, _ = _flag_value(script, profile.port_flags)
        if value is not None:
            return _number(value, container), PortSource("shell")
        return _from_environment(container, profile, PortSource("shell"))
    for key in ("args", "command"):
        words = [str(word) for word in container.get(key) or ()]
        value, source = _flag_value(words, profile.port_flags)
        if value is not None and source is not None:
            return _number(value, container), PortSource(key, source.index, source.joined)
    return _from_environment(container, profile, PortSource("default"))


def _flag_value(words: list[str], flags: tuple[str, ...]) -> tuple[str | None, PortSource | None]:
    value: str | None = None
    source: PortSource | None = None
    for index, word in enumerate(words):
        for flag in flags:
            if word == flag:
                value = words[index + 1] if index + 1 < len(words) else ""
                source = PortSource("", index + 1)
            elif word.startswith(f"{flag}="):
                value, source = word[len(flag) + 1 :], PortSource("", index, f"{flag}=")
    return value, source


def _from_environment(
    container: Json, profile: EngineProfile, otherwise: PortSource
) -> tuple[int, PortSource]:
    entries = list(enumerate(container.get("env") or ()))
    for index, entry in reversed(entries):  # of a name given twice, the last one counts
        name = entry.get("name")
        if name in profile.port_variables:
            return _number(str(entry.get("value") or ""), container), PortSource("env", index)
        if name in profile.address_variables and "valueFrom" in entry:
            return 0, PortSource("env", index)
        if name in profile.address_variables:
            port = str(entry.get("value") or "").rpartition(":")[2]
            return (int(port), PortSource("env", index)) if port.isdigit() else (
                profile.default_port, otherwise
            )  # fmt: skip
    image = str(container.get("image", ""))
    if profile.port_set_by_image and not any(part in image for part in profile.images):
        return 0, PortSource("unknown")
    return profile.default_port, otherwise


def _number(value: str, container: Json) -> int:
    literal = {
        entry.get("name"): str(entry["value"])
        for entry in container.get("env") or ()
        if entry.get("value") is not None
    }
    value = _REFERENCE.sub(lambda found: literal.get(found[1], found[0]), value)
    return int(value) if value.isdigit() and 0 < int(value) < 65536 else 0
