"""Keeps the webhook's view whole: lists against what the watch has told."""

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable, Sequence

from sidelight_operator.inject.bounds import KINDS, kept
from sidelight_operator.kube import Json, KubeError
from sidelight_operator.kube.api import ApiClient, connect
from sidelight_operator.webhook.bounds import Bounds, Key, key_of
from sidelight_operator.webhook.readiness import Readiness
from sidelight_operator.webhook.view import ClusterView

logger = logging.getLogger("sidelight.webhook")

LIST_SECONDS = 1.0
"""How often the API server is asked what there is, until the view is complete: seconds at start."""
COMPARE_SECONDS = 30.0
"""And how often afterwards, to compare."""
RETRY_SECONDS = 5.0
"""After a list that failed, and while the watch is in doubt."""
DOUBT_COMPARISONS = 120
"""Ten minutes: for so long a watch is in doubt after a list said otherwise. It may be deaf."""


async def keep_whole(
    kubeconfig: str | None,
    namespaces: Sequence[str],
    readiness: Readiness,
    view: ClusterView,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Ask the API server what there is: first often, until the view has it, for what is deleted
    between this list and kopf's own is never seen, and must not be waited for; then now and then,
    to put the view right. While the API server is away, the view stays as it is.
    """
    frozen, doubts = False, 0
    async with connect(kubeconfig, namespaces) as kube:
        while True:
            since = view.now
            try:
                models = await kube.list_models()
                labels = None if namespaces else await kube.list_namespaces()
            except KubeError as error:
                logger.warning("view not compared", extra={"error": str(error)})
                await sleep(RETRY_SECONDS)
                continue
            wrong_bounds = await _compare_bounds(kube, view.bounds)
            if readiness.complete:
                wrong = view.put_right(models, labels, since) + wrong_bounds
                doubts = DOUBT_COMPARISONS if wrong else max(doubts - 1, 0)
                if wrong:
                    logger.warning("view put right", extra={"corrections": wrong})
            listed = {(m["metadata"]["namespace"], m["metadata"]["name"]) for m in models}
            readiness.expect(listed, set(namespaces if labels is None else labels))
            if readiness.complete and not frozen:
                # What is there now stays: the collector need not walk over it while a pod waits
                # (40 ms).
                gc.collect()
                gc.freeze()
                frozen = True
            well = RETRY_SECONDS if doubts else COMPARE_SECONDS
            await sleep(well if frozen else LIST_SECONDS)


async def _compare_bounds(kube: ApiClient, bounds: Bounds) -> int:
    """Put bounds right; how many corrections there were. Nothing waits for those that cannot be
    read: what is known of them stays as it is.
    """
    since = bounds.now
    try:
        listed: dict[Key, Json] = {
            key_of(kind, body): less
            for kind in KINDS
            async for body in kube.list_bounds(kind)
            if (less := kept(kind, body)) is not None
        }
    except KubeError as error:
        if bounds.known is not False:
            logger.warning("bounds not read", extra={"error": str(error)})
        bounds.known = False
        return 0
    bounds.known = True
    return bounds.put_right(listed, since)
