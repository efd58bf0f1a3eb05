"""docs/metrics.md from the metrics themselves, so that names, labels and help are always right.

`python hack/metrics_doc.py > docs/metrics.md`; `make generate` does it, and a test compares.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from prometheus_client.registry import Collector

from sidelight_contract.config import SidecarConfig
from sidelight_contract.weights import WeightsPlan
from sidelight_sidecar.observer.app import register_devices, register_live
from sidelight_sidecar.observer.asking import Asking
from sidelight_sidecar.observer.capture.child import CaptureChild
from sidelight_sidecar.observer.engine.client import Answer
from sidelight_sidecar.observer.engine.known import Known
from sidelight_sidecar.observer.metrics.capture import CaptureCollector
from sidelight_sidecar.observer.pipeline import Pipeline
from sidelight_sidecar.observer.weights import WeightsReader

PREAMBLE = """# Metrics

What a sidecar serves on `/metrics` (port 15020), in Prometheus' text format or in OpenMetrics (with
exemplars: the trace id of the request's `traceparent`). This page is made from the code by
`make generate`.

Times are those of the relay's reads, on its monotonic clock:

* **time to first token**: first byte of the request to the first read that brought output; streams
  alone. A role, a comment, a `ping` or `response.created` is no output; reasoning and tool calls
  are.
* **time per output token**: from the first such read to the last, divided by the tokens after the
  first; streams alone that ended well, with one choice and the engine's own count of tokens.
* **inter-chunk latency**: between reads that brought output. A chunk is not a token.
* **request duration**: first byte of the request to the last byte of the response.

`model` is the engine's own word, never the client's: at most 32 of them, then `_other` (places are
kept for the adapters that the engine lists); `_unknown` where the engine said none. `operation` is
the API: `chat`, `text_completion`, `responses`, `messages`, `generate`, `embeddings`, `infer`, or
`other` for what is no inference. Each model has its first operation; of further ones 24 in all are
told apart, then they are of `_other`: a sidecar has some 24,500 series at most, and some 400 with
one model.

`sidelight_gpu_*` with a label `gpu` are of one device: its index and `uuid`; of an instance (MIG)
its `gpu_instance_id` and `mig_profile`, too. `shared="true"`: other pods use it as well, so do not
add it up over pods. These three are empty, so not there, on others. A device has some 50 series, at
most 32 are told apart, and what is too old is not shown ([gpu-states.md](gpu-states.md),
[energy.md](energy.md)).

Counts of tokens from different sources are never in one series: `sidelight_output_tokens_total` is
the engine's usage alone, `sidelight_tokens_tokenized_total` what the engine's own tokenizer counted
where usage was missing, `sidelight_tokens_estimated_total` counted events where there was neither.

`sidelight_engine_*` are the engine's own values, as it says them; whether they agree with the
sidecar's is in `sidelight_reconciliation_*` ([agreement.md](agreement.md)).

| name | type | labels | meaning |
|---|---|---|---|
"""


class Nobody:
    """An engine that is never asked."""

    async def get(self, address: str, path: str) -> Answer:
        """Nothing."""
        raise NotImplementedError(address + path)

    async def post(self, address: str, path: str, body: bytes) -> Answer:
        """Nothing."""
        raise NotImplementedError(address + path + str(body))


def collectors() -> list[Collector]:
    """Everything that a running observer registers."""
    pipeline = Pipeline(0, 0, SidecarConfig(version=1))
    asking = Asking(pipeline, Nobody(), Known(), now_ns=int, unix=float)
    register_live(pipeline, asking, WeightsReader(WeightsPlan(), float))
    register_devices(pipeline, int)
    bodies = pipeline.context.body_budget
    pipeline.metrics.registry.register(CaptureCollector(pipeline.offers, bodies, CaptureChild()))
    return list(pipeline.metrics.registry._collector_to_names)


def rows() -> Iterator[str]:
    """One table row for each family, without their samples' suffixes but `_total`."""
    for collector in collectors():
        families = collector.collect()
        for family in families:
            own = getattr(family, "_labelnames", None)
            names = own if own is not None else getattr(collector, "_labelnames", ())
            suffix = "_total" if family.type == "counter" else ""
            labels = ", ".join(f"`{name}`" for name in names)
            yield f"| `{family.name}{suffix}` | {family.type} | {labels} | {family.documentation} |"


def page() -> str:
    """The whole page."""
    return PREAMBLE + "\n".join(sorted(rows())) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())
