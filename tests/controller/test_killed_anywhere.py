"""A controller that is killed at any call of any round: before it reached the API server, or after
it took effect there. The next one knows nothing, and goes on to the same end, and nothing is done
twice.
"""

import copy
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from controller_world import (
    AFTER,
    BEFORE,
    IMAGE,
    INSTALLED,
    TOKENS,
    FakeKube,
    injects,
    model_body,
    pod_body,
    replica_set_body,
)
from reconcile_world import KilledError, Sidecars

from sidelight_contract.names import ANNOTATION_INJECTION, ANNOTATION_RESTARTED
from sidelight_operator.controller.decision import Plan, planner
from sidelight_operator.controller.models import Model, parse_time
from sidelight_operator.controller.reconcile import Reconciler
from sidelight_operator.controller.settings import parse_settings
from sidelight_operator.inject import Decision, NamespaceFacts
from sidelight_operator.kube import Json, KubeError

NOW = parse_time(AFTER) + timedelta(minutes=1)
OLD = "localhost/sidelight-sidecar:old"
ROUNDS = 6


class Kube(FakeKube):
    """An API server, and everything that acts on what the controller writes there."""

    def __init__(self) -> None:
        super().__init__()
        self.plan: Plan = injects
        self.broken = False
        """Whether the new image does not run."""
        self.images: list[str] = []
        """Every image that a running pod was given."""

    async def patch_model_status(self, namespace: str, name: str, patch: Json) -> None:
        before = copy.deepcopy(self.models[name].get("status"))
        await super().patch_model_status(namespace, name, patch)
        assert self.models[name]["status"] != before, "a status is written that stood already"

    async def patch_pod(self, namespace: str, name: str, patch: Json) -> None:
        before = self.writes.count("patch pod")
        try:
            await super().patch_pod(namespace, name, patch)
        finally:  # it may take effect and the controller be killed
            if self.writes.count("patch pod") > before:
                self.images += [change["image"] for change in patch["spec"]["initContainers"]]

    def go_on(self) -> None:
        """Kubelet, workload controllers and webhook do their part, at once."""
        for pod in self.pods:
            if pod["spec"].get("ephemeralContainers"):
                running = {"name": "sidelight-tap", "state": {"running": {}}}
                pod["status"]["ephemeralContainerStatuses"] = [running]
            self._image(pod)
        template = self.workloads["deployment", "chat"]["spec"]["template"]
        if ANNOTATION_RESTARTED in template["metadata"].get("annotations", {}):
            self.pods = [self.new(number) for number in range(len(self.pods))]
        if not self.pods:  # it was deleted; its owner makes it anew, the webhook reads the breaker
            self.pods = [self.new(0)]

    def _image(self, pod: Json) -> None:
        for sidecar in pod["spec"]["initContainers"]:
            if self.broken and sidecar["image"] == IMAGE and OLD in json.dumps(pod["metadata"]):
                waiting = {"waiting": {"reason": "ErrImagePull"}}
                pod["status"]["initContainerStatuses"] = [
                    {"name": "sidelight", "ready": False, "restartCount": 0, "state": waiting}
                ]
                pod["metadata"]["resourceVersion"] = "80"
            elif sidecar["image"] == OLD:
                pod["status"]["initContainerStatuses"] = [{"name": "sidelight", "ready": True}]

    def new(self, number: int) -> Json:
        """A pod of the Deployment as it is made now."""
        breaker = self.models["chat"].get("status", {}).get("breaker")
        return pod_body(f"chat-new-{number}", "" if breaker else "chat")


def first() -> Kube:
    """Nothing was written yet: ConfigMap, status, Events."""
    kube = Kube()
    kube.models["chat"] = model_body()
    kube.pods = [pod_body("chat-a"), pod_body("chat-b", "", created=BEFORE)]
    return kube


def restart() -> Kube:
    """A workload is outdated."""
    kube = Kube()
    kube.models["chat"] = model_body(rollout={"policy": "WhenOutdated"})
    kube.pods = [pod_body(f"chat-{name}", sidecar_image=OLD) for name in "ab"]
    return kube


def in_place() -> Kube:
    """Two pods with an old image, which is changed while they run."""
    kube = restart()
    kube.models["chat"] = model_body(rollout={"policy": "WhenOutdated", "inPlace": True})
    return kube


def in_place_in_vain() -> Kube:
    """The new image does not run: the pod gets the old one back, and the breaker opens."""
    kube = in_place()
    kube.broken = True
    return kube


def breaker() -> Kube:
    """A pod is stuck because of the sidecar: it makes way."""
    kube = Kube()
    kube.models["chat"] = model_body()
    stuck = pod_body("chat-7c9d-a", phase="Pending", ready=False)
    stuck["status"]["initContainerStatuses"] = [
        {
            "name": "sidelight", "ready": False, "restartCount": 2,
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"exitCode": 3}},
        }
    ]  # fmt: skip
    kube.pods = [stuck]
    kube.workloads["replicaset", "chat-7c9d"] = replica_set_body()
    return kube


def attach() -> Kube:
    """Two pods from before the ObservedModel get a tap, one after the other."""
    kube = Kube()
    kube.models["chat"] = model_body(rollout={"attachRunning": True})
    kube.pods = [pod_body(name, "", created=BEFORE) for name in ("chat-a", "chat-b")]
    for pod in kube.pods:
        pod["spec"]["containers"][0] |= {"command": ["llama-server"], "args": ["--port", "8080"]}
    decide = planner(parse_settings(["--sidecar-image", "localhost/s:1"], {}))

    def plan(pod: Json, facts: NamespaceFacts, models: Sequence[Model]) -> Decision:
        level = {"pod-security.kubernetes.io/enforce": "privileged"}
        return decide(pod, replace(facts, labels={**facts.labels, **level}), models)

    kube.plan = plan
    return kube


def edited() -> Kube:
    """The ConfigMap is another one than it should be."""
    kube = first()
    owner = [{"uid": "uid-chat"}]
    metadata = {"name": "sidelight-chat", "ownerReferences": owner}
    kube.config_maps["sidelight-chat"] = {"metadata": metadata, "data": {"config.json": "{}"}}
    return kube


WORLDS = {
    make.__name__: make
    for make in (first, restart, in_place, in_place_in_vain, breaker, attach, edited)
}
DOES = {
    "first": {"create config map": 1},
    "restart": {"create config map": 1, "patch workload": 1},
    "in_place": {"create config map": 1, "patch pod": 2},
    "in_place_in_vain": {"create config map": 1, "patch pod": 2},
    "breaker": {"create config map": 1, "delete pod": 1},
    "attach": {"create config map": 1, "patch pod": 2},
    "edited": {"patch config map": 1},
}
"""What is done in all, but for statuses and Events."""


class Taps(Sidecars):
    """Sidecars and taps that do as they are told."""

    async def tell_tokens(self, where: tuple[str, int], token: str, accepted: str) -> bool:
        return True

    async def tell_config(self, where: tuple[str, int], token: str, config: bytes) -> bool:
        return True

    async def end(self, where: tuple[str, int], token: str, why: str) -> bool:
        return True


def controller(kube: Kube) -> Reconciler:
    """One that has just been started."""
    return Reconciler(
        kube, Taps(), kube.plan, installed=INSTALLED, clock=lambda: NOW, tokens=TOKENS
    )


class Killer:
    """Ends the process at a call, counted over all rounds."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.calls = 0

    def __call__(self, what: str) -> KubeError | None:
        self.calls += 1
        if self.calls == self.at:
            raise KilledError
        return None


async def run(kube: Kube, killer: Killer, *, answered: bool) -> None:
    """Rounds until all is settled; after a kill with a new controller."""
    kube.fault, kube.after = (None, killer) if answered else (killer, None)
    running = controller(kube)
    for _ in range(ROUNDS):
        try:
            await running.round()
        except* KilledError:
            running = controller(kube)
        kube.go_on()
    kube.fault = kube.after = None
    for _ in range(2):
        await controller(kube).round()
        kube.go_on()


def done(kube: Kube) -> Counter[str]:
    return Counter(w for w in kube.writes if w not in ("patch status", "create event"))


def told(kube: Kube) -> list[str]:
    return sorted(
        f"{e['involvedObject']['kind']} {e['reason']} {e['message']}" for e in kube.events.values()
    )


def state(kube: Kube) -> Json:
    return {
        "models": kube.models, "pods": kube.pods, "config": kube.config_maps,
        "workloads": kube.workloads, "events": dict(sorted(kube.events.items())),
    }  # fmt: skip


@pytest.mark.parametrize("name", WORLDS)
@pytest.mark.parametrize("answered", [False, True], ids=["before", "after"])
async def test_killed_at_any_call_it_ends_the_same_and_does_nothing_twice(
    name: str, answered: bool
) -> None:
    """Every call in turn: the end is that of an undisturbed run, and so are restarts, deletions,
    images, taps and Events on the way.
    """
    make: Callable[[], Kube] = WORLDS[name]
    undisturbed, counting = make(), Killer(0)
    await run(undisturbed, counting, answered=answered)
    assert done(undisturbed) == DOES[name]
    for call in range(1, counting.calls + 1):
        kube = make()
        await run(kube, Killer(call), answered=answered)
        assert done(kube) == done(undisturbed), call
        assert kube.images == undisturbed.images, call
        assert told(kube) == told(undisturbed), call
        taps = [len(pod["spec"].get("ephemeralContainers", ())) for pod in kube.pods]
        assert max(taps) <= 1, call
        assert state(kube) == state(undisturbed), call


async def test_what_the_images_went_through_is_no_back_and_forth() -> None:
    """Each pod once; and one that did not run once there and once back, and no second pod."""
    well, ill = in_place(), in_place_in_vain()
    for kube in (well, ill):
        await run(kube, Killer(0), answered=False)
    assert well.images == [IMAGE, IMAGE]
    assert ill.images == [IMAGE, OLD]
    records = [json.loads(p["metadata"]["annotations"][ANNOTATION_INJECTION]) for p in ill.pods]
    assert [record["image"] for record in records] == [OLD, OLD]
