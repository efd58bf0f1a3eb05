"""Which address an engine binds: what reaches it, and where the sidecar reaches it."""

from collections.abc import Sequence
from enum import StrEnum

from sidelight_contract.engines import EngineProfile
from sidelight_operator.inject.environment import POD_IP
from sidelight_operator.inject.flags import value_of
from sidelight_operator.inject.recognise import Engined
from sidelight_operator.inject.word import Word

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1", "[::1]"})
_ALL = frozenset({"0.0.0.0", "*", ""})  # noqa: S104 - what engines are told
_ALL6 = frozenset({"::", "[::]"})


class Bind(StrEnum):
    """What an engine listens on."""

    ALL = "every address"
    ALL6 = "every IPv6 address, and IPv4's with it on most systems"
    LOOPBACK = "127.0.0.1 alone"
    POD_IP = "the pod's own address"
    UNSTATED = "what it does when it is told nothing"
    UNKNOWN = "an address that the pod does not say"


def bind_of(engined: Engined) -> Bind:
    """What an engine binds, by its arguments, else its environment."""
    profile = engined.profile
    if profile is None:
        return Bind.UNSTATED
    arguments = engined.start.arguments if engined.start else ()
    value = value_of(arguments, profile.host_flags)
    if value is not None:
        return _of_word(engined, value)
    for name in (*profile.host_variables, *profile.address_variables):
        if name in engined.environment:
            return _of_variable(engined, profile, name)
    return Bind.UNSTATED


def _of_word(engined: Engined, value: Word) -> Bind:
    part = value.sole
    if part is not None and engined.environment.field(part.variable) == POD_IP:
        return Bind.POD_IP
    return _of_text(value.text)


def _of_variable(engined: Engined, profile: EngineProfile, name: str) -> Bind:
    environment = engined.environment
    if environment.field(name) == POD_IP:
        return Bind.POD_IP
    text = environment.literal(name)
    if text is None or name not in profile.address_variables:
        return _of_text(text)
    rest = text.rpartition("://")[2].partition("/")[0]
    host, colon, port = rest.rpartition(":")
    return _of_text(host if colon and not port.endswith("]") else rest)


def _of_text(text: str | None) -> Bind:
    if text is None:
        return Bind.UNKNOWN
    sets: Sequence[tuple[frozenset[str], Bind]] = (
        (_LOOPBACK, Bind.LOOPBACK), (_ALL, Bind.ALL), (_ALL6, Bind.ALL6),
    )  # fmt: skip
    return next((bind for texts, bind in sets if text in texts), Bind.UNKNOWN)
