"""kopf's watches, made to outlast an API server that is away: both roles run kopf by way of this.

kopf tries a request nine times in a minute; what then still answers 5xx, 401, or an error inside a
watch, ends all of it, and the process. A process that is started again into the same is a crash
loop: minutes away after the API server is back, and a webhook without a view of the cluster.

1. A request is tried for ever, ten seconds apart.
2. Where kopf ends all the same it is begun again in the same process, which keeps what it knows.
   It ends its own tasks alone. `kopf.operator` would cancel all that were created since it began:
   a round's, and those of open connections, whose clients would wait for ever.
3. An answer that does not come is given up after a minute.
"""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Collection, Iterator
from itertools import chain, repeat
from typing import Any

import kopf

logger = logging.getLogger("sidelight.kube")

BACKOFFS = (1.0, 1.0, 2.0, 3.0, 5.0, 8.0)
"""kopf's own, in seconds; then `LAST_BACKOFF` again and again."""
LAST_BACKOFF = 10.0
REQUEST_SECONDS = 60.0
"""For an answer other than a watch: the API server itself gives up then."""
CONNECT_SECONDS = 10.0
AGAIN_SECONDS = 5.0
"""From kopf's end to its next beginning."""
_MESSAGE_LIMIT = 500


class Endless:
    """Seconds to wait before each further try. It has no length: kopf prints the number of tries,
    and there is none.
    """

    def __iter__(self) -> Iterator[float]:
        """From the first try on; each request has its own."""
        return chain(BACKOFFS, repeat(LAST_BACKOFF))


def watch_settings() -> kopf.OperatorSettings:
    """Kopf without anything that writes, and patient."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    # Watching CustomResourceDefinitions would need a permission; the chart installs ours first.
    settings.scanning.disabled = True
    # After a failure kopf would have the process killed, ten minutes later.
    settings.process.ultimate_exiting_timeout = None
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 330
    settings.networking.error_backoffs = Endless()
    settings.networking.request_timeout = REQUEST_SECONDS
    settings.networking.connect_timeout = CONNECT_SECONDS
    return settings


async def run_kopf(
    registry: kopf.OperatorRegistry,
    settings: kopf.OperatorSettings,
    stopping: asyncio.Event | None = None,
    namespaces: Collection[str] = (),
) -> None:
    """Run kopf until `stopping`, or a signal; in these namespaces, or in all.

    Raises:
        Exception: whatever ended it.
    """
    tasks = await kopf.spawn_tasks(
        registry=registry, settings=settings, stop_flag=stopping, standalone=True,
        clusterwide=not namespaces, namespaces=namespaces,
    )  # fmt: skip
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):  # no cancellation
            raise result


async def follow(
    watch: Callable[[], Awaitable[Any]],
    stopping: asyncio.Event,
    told: Callable[[], None] | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Run kopf until it ends by itself, because it was told to; after a failure run it again.

    Args:
        watch: begins kopf.
        stopping: set when the process is to end; kopf has it as its stop flag.
        told: what a signal does while kopf does not run; None: it sets `stopping`.
        sleep: waits between two beginnings.
    """
    while True:
        try:
            await watch()
        except Exception as error:  # noqa: BLE001 - the end of the process would mend no more
            what = f"{type(error).__name__}: {error}"
            logger.warning("watch ended", extra={"error": what[:_MESSAGE_LIMIT]})
        else:
            return
        take_signals(told or stopping.set)
        await sleep(AGAIN_SECONDS)
        if stopping.is_set():
            return


def take_signals(act: Callable[[], None]) -> None:
    """Take SIGTERM and SIGINT: kopf has its own hands on them while it runs, and not after."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, act)
