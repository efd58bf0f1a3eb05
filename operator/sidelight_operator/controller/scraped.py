"""Which sidecars and taps the last round found, for Prometheus to scrape (`GET /targets`).

A sidecar is found by its pod's label and named port, too; a tap that was attached to a running pod
has neither. Nothing is in it but addresses and names. A forged annotation leads Prometheus to
another port of the forger's own pod, and nowhere else.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sidelight_contract.names import InterceptionMode
from sidelight_operator.controller.pods import PodView

MAX_SCRAPED = 20_000
"""Named at most: some 5 MB of JSON, and more than one controller looks after."""
_MODES = frozenset(InterceptionMode)


@dataclass(frozen=True, slots=True)
class Scraped:
    """One sidecar or tap."""

    address: str
    namespace: str
    pod: str
    model: str
    mode: str
    node: str
    attached: bool
    """Whether it is a tap that was added while the pod ran."""


def scraped_of(namespace: str, pods: Iterable[PodView]) -> tuple[Scraped, ...]:
    """Of the pods of a namespace, those that have a sidecar or a tap, and run."""
    return tuple(
        Scraped(
            address=f"[{pod.ip}]:{port}" if ":" in pod.ip else f"{pod.ip}:{port}",
            namespace=namespace,
            pod=pod.name,
            model=pod.model,
            mode=pod.injection.mode if pod.injection.mode in _MODES else "",
            node=pod.node,
            attached=pod.tap is not None,
        )
        for pod in pods
        if pod.model
        and pod.phase == "Running"
        and pod.ip
        and 0 < (port := pod.injection.admin_port) < 65536
    )


def target_groups(found: Iterable[Scraped]) -> list[dict[str, object]]:
    """As `http_sd_configs` reads it: a group for each, for each has labels of its own."""
    return [
        {
            "targets": [one.address],
            "labels": {
                label: value
                for label, value in (
                    ("namespace", one.namespace),
                    ("pod", one.pod),
                    ("observed_model", one.model),
                    ("mode", one.mode),
                    ("node", one.node),
                )
                if value
            },
        }
        for one in found
    ]


class Scrapes:
    """Remembers them by ObservedModel, until its next round."""

    def __init__(self) -> None:
        self.known = False
        """Whether a round has ended. Before it nothing is told: Prometheus would forget all."""
        self._found: dict[str, tuple[Scraped, ...]] = {}

    def saw(self, model_uid: str, found: tuple[Scraped, ...]) -> None:
        """A round of this ObservedModel has looked at its pods."""
        self._found[model_uid] = found

    def forget_models(self, but: Iterable[str]) -> None:
        """Forget all models but those with these uids."""
        kept = frozenset(but)
        self._found = {uid: found for uid, found in self._found.items() if uid in kept}

    def listed(self, *, attached_only: bool = False) -> list[Scraped]:
        """Each pod once, whoever selects it; in order, and so many at most."""
        found = {
            (one.namespace, one.pod): one
            for every in self._found.values()
            for one in every
            if one.attached or not attached_only
        }
        return [found[key] for key in sorted(found)[:MAX_SCRAPED]]
