"""What a mode does to a pod's own containers, and what it adds."""

from sidelight_contract.names import InterceptionMode, OwnPorts
from sidelight_operator.inject.detect import Found
from sidelight_operator.inject.edits import Editor
from sidelight_operator.inject.mesh import move_probers
from sidelight_operator.inject.named_port import move_name
from sidelight_operator.inject.probes import Ways, containers_of, move_probes
from sidelight_operator.inject.scene import Scene
from sidelight_operator.inject.sidecar import redirect_container, sidecar_container
from sidelight_operator.inject.takeover import move_engine
from sidelight_operator.inject.tap import tap_sidecar
from sidelight_operator.inject.types import Json


def change_containers(
    scene: Scene, mode: InterceptionMode, own: OwnPorts, editor: Editor
) -> list[Json]:
    """Change the pod's containers for a mode; return the ports that are the sidecar's now."""
    found = scene.found
    if mode is InterceptionMode.REDIRECT:
        ways = Ways({port: own.liveness + place for place, port in enumerate(found.ports)})
        _lead(scene.pod, ways, editor)
    elif mode is InterceptionMode.PORT_TAKEOVER:
        _lead(scene.pod, _takeover_ways(found, own), editor)
        for container in containers_of(scene.pod):
            move_probers(container, found.port, own.takeover, editor)
        return move_engine(scene.container, found, own.takeover, editor)
    elif mode is InterceptionMode.NAMED_PORT:
        return move_name(scene.container, found, own.relay, editor)
    return []


def added_containers(
    scene: Scene, mode: InterceptionMode, own: OwnPorts, ports: list[Json]
) -> list[Json]:
    """The containers to add, with the resources that they want; the sidecar is the last one."""
    sidecar = sidecar_container(scene, mode, own, ports)
    if mode is InterceptionMode.TAP:
        return [tap_sidecar(sidecar, scene.found.port, scene.namespace, own.admin)]
    if mode is InterceptionMode.REDIRECT:
        return [redirect_container(scene, own), sidecar]
    return [sidecar]


def _lead(pod: Json, ways: Ways, editor: Editor) -> None:
    for container in containers_of(pod):
        move_probes(container, ways, editor)


def _takeover_ways(found: Found, own: OwnPorts) -> Ways:
    moved = {found.port: own.takeover}
    return Ways(around=moved, through={found.port: found.port}, commands=moved)
