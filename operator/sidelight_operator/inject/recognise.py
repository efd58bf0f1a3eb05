"""Which of a pod's containers is the engine, which engine it is, and the command that starts it.

Rules:
1. A command tells before an image does: a cache or a worker may share an engine's image.
2. A word tells only where it starts something: as the first word, after `-m`, as the script of an
   interpreter, or behind a launcher. `--engine vllm` of another program does not make it vLLM.
3. `ollama pull` is no server: several words may be needed to tell one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sidelight_contract.engines import PROFILES, EngineProfile, EngineType, profile_of
from sidelight_contract.names import Reason
from sidelight_contract.spec import Engine
from sidelight_operator.inject.environment import Environment
from sidelight_operator.inject.own_profile import own_profile
from sidelight_operator.inject.types import Json, RefusedError
from sidelight_operator.inject.word import Word
from sidelight_operator.inject.words import Invocation, base, invocations

_LAUNCHERS = frozenset(
    {
        "accelerate", "catatonit", "dumb-init", "env", "mpirun", "mpiexec", "nice", "nsys",
        "numactl", "opentelemetry-instrument", "stdbuf", "sudo", "taskset", "tini", "timeout",
        "torchrun", "trtllm-llmapi-launch", "uv", "xargs",
    }
)  # fmt: skip
_INTERPRETERS = ("python", "bash", "sh")


@dataclass(frozen=True, slots=True)
class Start:
    """The command that starts an engine.

    Attributes:
        arguments: the engine's own words, those of its image's entrypoint left out.
        implied: the image's entrypoint starts it; the container may give it arguments alone.
        alone: no other command of the container starts one.
    """

    invocation: Invocation
    arguments: tuple[Word, ...]
    implied: bool = False
    alone: bool = True


@dataclass(frozen=True, slots=True)
class Engined:
    """A container that is an engine; without a start it is one because the spec says so."""

    container: Json
    type: EngineType
    profile: EngineProfile | None
    environment: Environment
    start: Start | None = None


def find_container(
    containers: Sequence[Json], engine: Engine, labels: Mapping[str, str] | None = None
) -> Engined:
    """The container that `spec.engine` means.

    Raises:
        RefusedError: no such container, or no engine that is known.
    """
    chosen = _chosen(containers, engine)
    profiles = _profiles(engine)
    found = next(_recognised(chosen, profiles, labels), None)
    if found is not None:
        return found
    if engine.type is EngineType.AUTO:
        raise RefusedError(
            Reason.ENGINE_UNKNOWN,
            "no container is recognised as an inference server by its image or command; set "
            "engine.type, or engine.type: Generic with engine.port",
        )
    if len(chosen) != 1:
        why = (
            "the pod has several containers"
            if engine.type is EngineType.GENERIC
            else f"no container is recognised as {engine.type.value}"
        )
        raise RefusedError(Reason.ENGINE_CONTAINER_NOT_FOUND, f"{why}; set engine.container")
    environment = Environment(chosen[0], labels)
    profile = profiles[0] if profiles else None
    return Engined(
        chosen[0], engine.type, profile, environment, _only_start(chosen[0], environment, profile)
    )


def _chosen(containers: Sequence[Json], engine: Engine) -> Sequence[Json]:
    if not engine.container:
        return containers
    chosen = [one for one in containers if one.get("name") == engine.container]
    if not chosen:
        raise RefusedError(
            Reason.ENGINE_CONTAINER_NOT_FOUND,
            f"there is no container {engine.container}; the pod has "
            + ", ".join(str(one.get("name", "?")) for one in containers),
        )
    return chosen


def _profiles(engine: Engine) -> Sequence[EngineProfile]:
    own = own_profile(engine)
    if engine.type is EngineType.AUTO:
        return (own, *PROFILES) if own else PROFILES
    known = own if engine.type is EngineType.GENERIC else profile_of(engine.type)
    return (known,) if known else ()


def _recognised(
    containers: Sequence[Json],
    profiles: Sequence[EngineProfile],
    labels: Mapping[str, str] | None,
) -> Iterator[Engined]:
    for container in containers:
        environment = Environment(container, labels)
        commands = invocations(container, environment)
        for profile in profiles:
            start = start_of(profile, container, commands)
            if start is not None:
                yield Engined(container, profile.type, profile, environment, start)


def start_of(
    profile: EngineProfile, container: Json, commands: Sequence[Invocation] | None
) -> Start | None:
    """How a container starts this engine; None when it does not."""
    image = str(container.get("image", ""))
    ours = any(part in image for part in profile.images)
    programs = profile.programs + (profile.scripts if ours else ())
    starts = [
        Start(one, arguments)
        for one in commands or ()
        if (arguments := _arguments(one.words, programs)) is not None
    ]
    if starts:
        alone = len(starts) == 1
        return Start(starts[-1].invocation, starts[-1].arguments, alone=alone)
    if container.get("command") or not ours or profile.entrypoint is None or not commands:
        return None
    return _implied(profile, commands[0])


def _implied(profile: EngineProfile, given: Invocation) -> Start | None:
    """What the image's entrypoint makes of the container's arguments."""
    if given.in_script:
        return None
    entrypoint = [Word.of(word) for word in (profile.entrypoint or "").split()]
    arguments = given.words or tuple(Word.of(word) for word in profile.default_args.split())
    if entrypoint:
        left = _arguments([*entrypoint, *arguments], profile.programs)
        if left is None:
            return None
        arguments = left
    return Start(given, arguments, implied=True)


def _only_start(
    container: Json, environment: Environment, profile: EngineProfile | None
) -> Start | None:
    """The container's command where the spec says that it is an engine, and no word tells it:
    only a profile of the user's own, which names no words, says enough to go by it.
    """
    if profile is None or profile.type is not EngineType.GENERIC or profile.programs:
        return None
    commands = invocations(container, environment) or []
    if len(commands) != 1 or commands[0].in_script:
        return None
    return Start(commands[0], commands[0].words, implied=not container.get("command"))


def _arguments(words: Sequence[Word], programs: Sequence[str]) -> tuple[Word, ...] | None:
    """What follows the program that is started by these words; None when none of them is."""
    names = [base(word) for word in words]
    for program in programs:
        wanted = program.split()
        for at in range(len(names) - len(wanted) + 1):
            if names[at : at + len(wanted)] == wanted and _starts(names, at):
                return tuple(words[at + len(wanted) :])
    return None


def _starts(names: Sequence[str], at: int) -> bool:
    if at == 0 or names[at - 1] == "-m" or names[0] in _LAUNCHERS:
        return True
    return at == 1 and names[0].startswith(_INTERPRETERS)
