"""The way into the path: the one asked for, else the first that pod and namespace allow.

Each way has its own obstacles; `Auto` takes the first without one and says what kept it from those
before. It never takes `Tap`, which loses what it cannot keep up with.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sidelight_contract.names import InterceptionMode, Reason
from sidelight_contract.spec import RequestedMode
from sidelight_operator.inject.bind import Bind
from sidelight_operator.inject.mesh import mesh_of
from sidelight_operator.inject.named_port import check_named
from sidelight_operator.inject.proxies import proxy_before
from sidelight_operator.inject.scene import Scene
from sidelight_operator.inject.takeover import check_movable
from sidelight_operator.inject.tap import POD_SECURITY, check_tap
from sidelight_operator.inject.types import RefusedError

_FORBIDS_NET_ADMIN = frozenset({"baseline", "restricted"})
_INSTEAD = {
    Reason.PRIVILEGE_NOT_ALLOWED: Reason.POD_SECURITY_FORBIDS_REDIRECT,
    Reason.MESH_IN_POD: Reason.MESH_FORBIDS_REDIRECT,
    Reason.ENGINE_BEHIND_PROXY: Reason.PROXY_FORBIDS_REDIRECT,
    Reason.ENGINE_ON_LOOPBACK: Reason.LOOPBACK_FORBIDS_REDIRECT,
}


@dataclass(frozen=True, slots=True)
class Choice:
    """A mode, and why it is that one."""

    mode: InterceptionMode
    reason: Reason
    message: str


def choose(asked: RequestedMode, scene: Scene) -> Choice:
    """The mode for a pod.

    Raises:
        RefusedError: the one asked for is not possible, or none is.
    """
    if asked is RequestedMode.AUTO:
        return _auto(scene)
    mode = InterceptionMode(asked.value)
    try:
        _CHECKS[mode](scene)
    except RefusedError as refused:
        if mode is InterceptionMode.PORT_TAKEOVER:
            raise
        raise RefusedError(
            refused.reason, f"mode {mode.value} was asked for, but {refused.message}"
        ) from refused
    return Choice(mode, Reason.MODE_REQUESTED, "asked for in the spec")


def _auto(scene: Scene) -> Choice:
    no_redirect = _refusal(InterceptionMode.REDIRECT, scene)
    if no_redirect is None:
        message = "the namespace's Pod Security level allows NET_ADMIN in an init container"
        return Choice(InterceptionMode.REDIRECT, Reason.REDIRECT_ALLOWED, message)
    no_takeover = _refusal(InterceptionMode.PORT_TAKEOVER, scene)
    if no_takeover is None:
        reason = _INSTEAD[no_redirect.reason]
        return Choice(InterceptionMode.PORT_TAKEOVER, reason, no_redirect.message)
    no_name = _refusal(InterceptionMode.NAMED_PORT, scene)
    if no_name is None:
        return Choice(
            InterceptionMode.NAMED_PORT,
            Reason.ONLY_NAMED_PORT_POSSIBLE,
            f"no Redirect: {no_redirect.message}; no PortTakeover: {no_takeover.message}; only "
            "traffic through Services that use the port's name is seen",
        )
    raise RefusedError(
        no_takeover.reason,
        f"Redirect is not possible: {no_redirect.message}; nor is PortTakeover: "
        f"{no_takeover.message}; nor is NamedPort: {no_name.message}",
    )


def _refusal(mode: InterceptionMode, scene: Scene) -> RefusedError | None:
    try:
        _CHECKS[mode](scene)
    except RefusedError as refused:
        return refused
    return None


def _check_redirect(scene: Scene) -> None:
    level = scene.namespace.labels.get(POD_SECURITY, "privileged")
    if level in _FORBIDS_NET_ADMIN:
        raise RefusedError(
            Reason.PRIVILEGE_NOT_ALLOWED,
            f"the namespace's Pod Security level is {level}, which forbids NET_ADMIN",
        )
    if mesh := mesh_of(scene.pod, scene.namespace):
        raise RefusedError(
            Reason.MESH_IN_POD,
            f"the pod is in the service mesh {mesh}, which redirects its connections itself",
        )
    _check_behind(scene)
    if scene.found.bind is Bind.LOOPBACK:
        raise RefusedError(
            Reason.ENGINE_ON_LOOPBACK,
            f"container {scene.found.container} listens on 127.0.0.1 alone, where a redirect of "
            "what enters the pod sees nothing",
        )


def _check_behind(scene: Scene) -> None:
    if proxy := proxy_before(scene.pod, scene.found.container, scene.found.port):
        raise RefusedError(
            Reason.ENGINE_BEHIND_PROXY,
            f"container {proxy} takes the requests and hands them on inside the pod",
        )


def _check_takeover(scene: Scene) -> None:
    check_movable(scene.pod, scene.container, scene.found)


def _check_named(scene: Scene) -> None:
    check_named(scene.container, scene.found)
    _check_behind(scene)


def _check_tap(scene: Scene) -> None:
    check_tap(scene.namespace)
    if scene.found.more_asked:
        raise RefusedError(
            Reason.PORT_UNKNOWN, "engine.morePorts are asked for, and a tap reads one port"
        )


_CHECKS: dict[InterceptionMode, Callable[[Scene], None]] = {
    InterceptionMode.REDIRECT: _check_redirect,
    InterceptionMode.PORT_TAKEOVER: _check_takeover,
    InterceptionMode.NAMED_PORT: _check_named,
    InterceptionMode.TAP: _check_tap,
}
