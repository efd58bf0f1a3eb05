"""What each pod's injection would be today; decided again only when something has changed.

A decision takes a quarter of a millisecond, and most pods are as they were in the round before.
"""

from collections.abc import Iterable

from sidelight_contract import names
from sidelight_contract.injection import decode_record
from sidelight_operator.controller.decision import Scene
from sidelight_operator.controller.pods import Target
from sidelight_operator.inject import Decision
from sidelight_operator.kube import Json


class Targets:
    """Remembers decisions, by ObservedModel and pod."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, tuple[object, Target | None]]] = {}

    def of(self, pod: Json, scene: Scene) -> Target | None:
        """What `pod` would be given today; None when it would be left alone."""
        metadata = pod["metadata"]
        known = self._known.setdefault(scene.model.uid, {})
        rests_on = (metadata.get("resourceVersion"), _rests_on(scene))
        before = known.get(metadata["uid"])
        if before is None or before[0] != rests_on:
            before = known[metadata["uid"]] = (rests_on, target_of(scene.decide(pod)))
        return before[1]

    def forget(self, model_uid: str, but: Iterable[str]) -> None:
        """Forget the pods of a model, but those with these uids."""
        kept = frozenset(but)
        known = self._known.get(model_uid, {})
        self._known[model_uid] = {uid: known[uid] for uid in known if uid in kept}

    def forget_models(self, but: Iterable[str]) -> None:
        """Forget all models but those with these uids."""
        kept = frozenset(but)
        self._known = {uid: pods for uid, pods in self._known.items() if uid in kept}


def target_of(decision: Decision) -> Target | None:
    """What is asked of a pod that the webhook would make so."""
    if decision.patched is None:
        return None
    annotations = decision.patched["metadata"]["annotations"]
    record = decode_record(annotations[names.ANNOTATION_INJECTION])
    return Target(record.config_hash, record.image) if record else None


def _rests_on(scene: Scene) -> object:
    models = tuple((model.uid, model.generation, model.breaker) for model in scene.neighbours)
    return models, scene.namespace
