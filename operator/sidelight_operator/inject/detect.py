"""The engine in a pod: which container, which server, which ports, and what it listens on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sidelight_contract.engines import EngineProfile, EngineType
from sidelight_contract.names import MAX_ENGINE_PORTS, Reason
from sidelight_contract.spec import Engine
from sidelight_operator.inject.bind import Bind, bind_of
from sidelight_operator.inject.flags import given, value_of
from sidelight_operator.inject.port import PortSource, named_port, number, port_of
from sidelight_operator.inject.recognise import Engined, Start, find_container
from sidelight_operator.inject.types import Json, RefusedError


@dataclass(frozen=True, slots=True)
class Found:
    """The engine in a pod."""

    container: str
    type: EngineType
    profile: EngineProfile | None
    port: int
    source: PortSource
    start: Start | None = None
    bind: Bind = Bind.UNSTATED
    more_ports: tuple[int, ...] = ()
    """Further ports on which it serves inference."""
    more_asked: bool = False
    """Whether the spec asks for them by number."""

    @property
    def ports(self) -> tuple[int, ...]:
        """All of them, the first one first."""
        return (self.port, *self.more_ports)


def find_engine(
    containers: Sequence[Json], engine: Engine, labels: Mapping[str, str] | None = None
) -> Found:
    """The engine that `spec.engine` means.

    Raises:
        RefusedError: no such container, no engine that is known, no port that is certain, or no
            inference API in this pod.
    """
    engined = find_container(containers, engine, labels)
    _check_api(engined)
    source = _source(engined, engine)
    more = _more_ports(engined, engine, source.port)
    return Found(
        str(engined.container.get("name", "")), engined.type, engined.profile, source.port, source,
        engined.start, bind_of(engined), more, bool(engine.more_ports),
    )  # fmt: skip


def _check_api(engined: Engined) -> None:
    profile, name = engined.profile, engined.container.get("name")
    if profile is None or engined.start is None:
        return
    arguments = engined.start.arguments
    if word := given(arguments, profile.no_api):
        raise RefusedError(
            Reason.NO_INFERENCE_API,
            f"{profile.type.value} in container {name} is started with {word}, so it serves no "
            "inference API over HTTP here",
        )
    rank = value_of(arguments, profile.rank_flags)
    if rank is not None and rank.text and rank.text.isdigit() and int(rank.text):
        raise RefusedError(
            Reason.NO_INFERENCE_API,
            f"{profile.type.value} in container {name} has rank {rank.text}; the API is in the "
            "pod with rank 0",
        )


def _source(engined: Engined, engine: Engine) -> PortSource:
    """The port that counts: the one asked for, as long as the pod does not contradict it."""
    name = engined.container.get("name")
    known = port_of(engined)
    if not engine.port:
        many = engined.profile and given(
            engined.start.arguments if engined.start else (), engined.profile.many_ports
        )
        if many:
            why = f"{many} makes it serve on a row of ports"
            raise RefusedError(Reason.PORT_UNKNOWN, _ask_for_port(name, why))
        if not known.port:
            raise RefusedError(Reason.PORT_UNKNOWN, _ask_for_port(name, known.problem))
        return known
    asked = number(engine.port) or named_port(engined.container, engine.port)
    if known.port == asked:
        return known
    if known.port and known.kind != "default":
        raise RefusedError(
            Reason.PORT_NOT_FOUND,
            f"engine.port is {asked}, but container {name} is told to serve on {known.port}; "
            "correct or remove engine.port",
        )
    if engined.type is EngineType.GENERIC and engined.start is not None and engined.profile:
        return PortSource(asked)  # the user's own profile says how it is told its port
    problem = known.problem or "where engine.port is set is not known"
    return PortSource(asked, known.kind, None, problem)


def _ask_for_port(name: object, why: str) -> str:
    return f"the port of container {name} is not certain: {why}; set engine.port"


def _more_ports(engined: Engined, engine: Engine, first: int) -> tuple[int, ...]:
    asked = [number(text) or named_port(engined.container, text) for text in engine.more_ports]
    if not asked and engined.profile is not None and engined.start is not None:
        arguments = engined.start.arguments
        for more in engined.profile.more_ports:
            if not any(word.text in more.off for word in arguments):
                value = value_of(arguments, (more.flag,))
                asked.append(number(value.text) if value is not None else more.default)
    ports = tuple(dict.fromkeys(port for port in asked if port and port != first))
    if len(ports) >= MAX_ENGINE_PORTS:
        raise RefusedError(
            Reason.PORT_UNKNOWN, f"an engine may have at most {MAX_ENGINE_PORTS} ports"
        )
    return ports
