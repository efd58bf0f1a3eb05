"""Sidecars for rounds of the controller that are not about HTTP."""

from controller_world import FakeKube, summary

from sidelight_operator.controller.collect import Collector
from sidelight_operator.controller.evaluate import Answer
from sidelight_operator.controller.reconcile import Reconciler
from sidelight_operator.kube import KubeError


class KilledError(BaseException):
    """The process ends here; nothing may catch it."""


async def killed_round(reconciler: Reconciler, kube: FakeKube, at: int, *, answered: bool) -> None:
    """A round that is killed at its call number `at`, before or after that took effect."""
    calls = 0

    def kill(_what: str) -> KubeError | None:
        nonlocal calls
        calls += 1
        if calls == at:
            raise KilledError
        return None

    kube.fault, kube.after = (None, kill) if answered else (kill, None)
    try:
        await reconciler.round()
    except* KilledError:
        pass
    kube.fault = kube.after = None


class Sidecars(Collector):
    """Answers as told, and remembers the tokens."""

    def __init__(self) -> None:
        self.answer: Answer = summary()
        self.tokens: list[str | None] = []
        self.accelerators: list[str] = []
        """What each was told of exporters on its node."""
        self.by_address: dict[str, Answer] = {}
        """Of sidecars that answer something of their own."""
        self.strata_asked = 0
        self.slo_asked = 0

    async def collect(
        self,
        address: str,
        token: str | None,
        port: int = 0,
        *,
        strata: bool = False,
        slo_history: bool = False,
        accelerators: str = "",
    ) -> Answer:
        self.accelerators.append(accelerators)
        self.tokens.append(token)
        self.strata_asked += strata
        self.slo_asked += slo_history
        return self.by_address.get(address, self.answer)
