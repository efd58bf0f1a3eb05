"""How long the API server waits for the webhook: the real process, over TLS, at a steady rate.

    .venv/bin/python -m benchmarks.webhook            50 pods a second for 30 s
    .venv/bin/python -m benchmarks.webhook 500 10     so many a second, for so many seconds

Reviews are due at equal distances, whatever came of those before: a slow answer delays nobody's
start, and the time counts from when a review was due. Half of the pods are selected by one of 50
ObservedModels in 200 namespaces, and get a sidecar. Connections are kept, as the API server does.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import aiohttp
import yaml
from benchmarks.measure import cpu_seconds, memory
from benchmarks.numbers import percentile
from benchmarks.quiet import NOISY, Others
from benchmarks.ways import ROOT

sys.path[:0] = [str(ROOT / "tests" / "support")]
from admission_world import (  # noqa: E402 - from the folder above
    ApiServer,
    model_object,
    namespace_object,
    review,
    webhook_process,
)
from tls_world import (  # noqa: E402
    new_authority,
    trusting,
    write_serving,
)

NAMESPACES, MODELS = 200, 50
VARIABLES = 60
"""In the engine's environment: with them the pod has 8 KB, more than most."""


def pod(*, selected: bool) -> dict[str, object]:
    """The example's pod with a long environment."""
    deployment = next(yaml.safe_load_all((ROOT / "examples/llm.yaml").read_text()))
    made: dict[str, object] = deployment["spec"]["template"]
    made["metadata"] = {
        "generateName": "chat-", "namespace": "n7",
        "labels": {"app": "chat" if selected else "other"},
    }  # fmt: skip
    deployment["spec"]["template"]["spec"]["containers"][0]["env"] = [
        {"name": f"SETTING_{number}", "value": "a value of the usual length " * 3}
        for number in range(VARIABLES)
    ]
    return made


async def load(url: str, context: object, rate: float, seconds: float) -> list[float]:
    """Send reviews at the rate; each one's milliseconds from when it was due."""
    bodies = [json.dumps(review(pod(selected=flag), "n7")).encode() for flag in (True, False)]
    took: list[float] = []
    begin = time.perf_counter() + 0.5

    async def one(client: aiohttp.ClientSession, number: int) -> None:
        due = begin + number / rate
        await asyncio.sleep(due - time.perf_counter())
        async with client.post(url, data=bodies[number % 2], ssl=context) as response:
            answer = (await response.json())["response"]
        took.append((time.perf_counter() - due) * 1e3)
        assert ("patch" in answer) == (number % 2 == 0)

    async with aiohttp.ClientSession() as client, asyncio.TaskGroup() as tasks:
        for number in range(int(rate * seconds)):
            tasks.create_task(one(client, number))
    return sorted(took)


async def main(rate: float, seconds: float) -> None:
    """Run it and print what came out."""
    models = [model_object("chat", f"n{number}") for number in range(MODELS)]
    namespaces = [namespace_object(f"n{number}") for number in range(NAMESPACES)]
    authority = new_authority()
    others = Others()
    with tempfile.TemporaryDirectory() as folder:
        write_serving(Path(folder), authority)
        async with (
            ApiServer(models, namespaces).listen() as server,
            webhook_process(Path(folder), server) as webhook,
        ):
            context = trusting(authority)
            await load(webhook.url, context, rate, 2)  # its first answers load modules
            before = cpu_seconds(webhook.process.pid)
            took = await load(webhook.url, context, rate, seconds)
            used = cpu_seconds(webhook.process.pid) - before
            held = memory([webhook.process.pid])
    report(rate, took, used, held.rss)
    if (share := others.share_of_a_core()) > NOISY:
        print(f"NOISY: others used {share:.2f} of a core; the webhook itself counts among them")


def report(rate: float, took: Sequence[float], used: float, rss: float) -> None:
    """The figures."""
    size = len(json.dumps(pod(selected=True)))
    print(f"{len(took)} reviews of pods of {size} bytes, {rate:g} a second")
    for share in (0.5, 0.99, 0.999, 1.0):
        print(f"  p{share * 100:<5g} {percentile(took, share):7.2f} ms")
    print(f"  {used / len(took) * 1e3:.2f} ms of processor time each, {rss:.0f} MB resident")


if __name__ == "__main__":
    asyncio.run(main(*map(float, sys.argv[1:] or ("50", "30"))))
