"""A question to an engine, and the few that several engines answer alike."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sidelight_sidecar.observer.identity.told import Told, fields


class Question(NamedTuple):
    """What is asked for, and who reads the answer. Pure: somebody else asks."""

    path: str
    read: Callable[[Any, Told], None]
    """Is given the answer's JSON, whatever it is."""
    older: str = ""
    """Where earlier releases have it."""
    quiet: bool = False
    """Its answer takes more than a look at memory by whoever speaks HTTP there: it is asked while
    nobody waits in the engine's queue."""
    body: bytes | None = None
    """Of a POST; None: a GET."""
    then: "Callable[[Told], Sequence[Question]] | None" = None
    """What there is to be asked when this was answered."""


def read_version(answer: Any, told: Told) -> None:
    """`{"version": ...}`: vLLM, TensorRT-LLM, MAX, Ollama, and the inference protocol."""
    told.version(fields(answer).get("version"))


VERSION = Question("/version", read_version)
