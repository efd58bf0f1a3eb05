"""`python -m benchmarks.otlp.metrics`: what a real Prometheus holds of a sidecar's metrics that
were sent to it over OTLP, beside what `/metrics` said. Part of `make otlp-backends`; exit 1 if
anything is wrong.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.accuracy.stand import engine, free_port, get, process, until
from benchmarks.otlp.ask import BOUND_MS, ask
from benchmarks.otlp.prometheus import Prometheus, Series, labels_of, prometheus
from prometheus_client.parser import text_string_to_metric_families

CHATS = 3
MOVING = tuple(
    f"sidelight_{part}_" for part in ("process", "capture", "sink", "relay", "engine", "tokenizer")
)
"""What goes on without requests."""
GEN_AI = {
    "gen_ai_server_request_duration_seconds": "sidelight_request_duration_seconds",
    "gen_ai_server_time_to_first_token_seconds": "sidelight_time_to_first_token_seconds",
    "gen_ai_server_time_per_output_token_seconds": "sidelight_time_per_output_token_seconds",
}
"""The conventions' metrics as Prometheus calls them, each with the one of ours that has the same
count and sum of chats that went well."""
LABELS = {
    "gen_ai_operation_name": "chat", "gen_ai_provider_name": "llama_cpp",
    "gen_ai_request_model": "smollm2", "gen_ai_response_model": "smollm2",
}  # fmt: skip


@contextlib.contextmanager
def sidecar(engine_port: int, to: Prometheus, folder: Path) -> Iterator[tuple[int, int]]:
    """A whole one that sends nothing but metrics; its port and that of `/metrics`."""
    port, admin = free_port(), free_port()
    sink = {
        "kind": "otlp", "name": "prometheus", "endpoint": to.endpoint,
        "records": False, "metrics": True, "metrics_seconds": 1,
    }  # fmt: skip
    config = folder / "config.json"
    config.write_text(
        json.dumps(
            {"version": 1, "model": "chat", "engine": "LlamaCpp", "export": {"sinks": [sink]}}
        )
    )
    with process(
        "-m", "sidelight_sidecar", "run", "--listen", f"127.0.0.1:{port}",
        "--engine", f"127.0.0.1:{engine_port}", "--admin", f"127.0.0.1:{admin}",
        "--config", str(config), "--spool", str(folder / "spool"), log=folder / "sidecar.log",
    ):  # fmt: skip
        captures = b"sidelight_capture_running 1.0"
        until("the sidecar runs", lambda: captures in get(admin, "/metrics"))
        yield port, admin


def said(admin: int) -> Series:
    """What `/metrics` says, but for what goes on without requests."""
    return {
        (sample.name, labels_of(sample.labels)): sample.value
        for family in text_string_to_metric_families(get(admin, "/metrics").decode())
        for sample in family.samples
        if not sample.name.startswith(MOVING) and not sample.name.endswith("_created")
    }


def wrong(held: Series, was: Series) -> Iterator[str]:
    """What Prometheus holds otherwise than it was."""
    for key, value in was.items():
        name, labels = key[0], dict(key[1])
        if key not in held:
            yield f"{name}{labels} is not there"
        elif held[key] != value:
            yield f"{name}{labels} is {held[key]}, not {value}"
    for name, labels in held.keys() - was.keys():
        if name.startswith("sidelight_") and not name.startswith(MOVING):
            yield f"{name}{dict(labels)} was never said"


def wrong_gen_ai(held: Series, was: Series) -> Iterator[str]:
    """The same of the conventions' own."""
    for theirs, ours in GEN_AI.items():
        for part in ("count", "sum"):
            whole = sum(v for (name, _), v in was.items() if name == f"{ours}_{part}")
            is_ = held.get((f"{theirs}_{part}", labels_of(LABELS)))
            if is_ is None or abs(is_ - whole) > 1e-9:
                yield f"{theirs}_{part} with {LABELS} is {is_}, not {whole}"
        last = held.get((f"{theirs}_bucket", labels_of({**LABELS, "le": "+Inf"})))
        if last != CHATS:
            yield f"{theirs}'s last bucket is {last}, not {CHATS}"


def main() -> int:
    """Ask, look, and print."""
    with (
        tempfile.TemporaryDirectory() as name,
        prometheus(Path(name)) as backend,
        engine() as port,
        sidecar(port, backend, Path(name)) as (listening, admin),
    ):
        chats = [ask(listening) for _ in range(CHATS)]
        count = f'sum(sidelight_requests_total{{operation="chat"}}) >= {CHATS}'
        until("Prometheus has the chats", lambda: backend.ask(count))
        was = said(admin)
        until("Prometheus has all", lambda: not list(wrong(backend.series("sidelight_"), was)))
        held = backend.series("(sidelight_|gen_ai_)")
        (target,) = backend.ask("target_info")
        p50 = backend.ask("histogram_quantile(0.5, sum by (le) "
                          "(sidelight_time_to_first_token_seconds_bucket))")  # fmt: skip
    errors = [*wrong(held, was), *wrong_gen_ai(held, was)]
    firsts = sorted(chat.first_ms / 1e3 for chat in chats)
    measured = held["gen_ai_server_time_to_first_token_seconds_sum", labels_of(LABELS)]
    if abs(measured - sum(firsts)) > CHATS * BOUND_MS / 1e3:
        errors.append(f"times to first token are {measured} s together, not {sum(firsts)} s")
    labels = {k: v for k, v in target["metric"].items() if not k.startswith("__")}
    print(f"Prometheus holds {len(held)} series; {len(was)} were compared with /metrics.")
    print(f"target_info: {labels}")
    median = float(p50[0]["value"][1])
    print(f"median time to first token: {median:.3f} s; the client's: {firsts[CHATS // 2]:.3f} s")
    print("\n".join(f"WRONG {line}" for line in errors) or "Nothing is wrong.")
    return bool(errors)


if __name__ == "__main__":
    sys.exit(main())
