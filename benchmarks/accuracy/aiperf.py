"""`make accuracy-aiperf`: a sidecar's figures beside the report of a public load generator, AIPerf.

AIPerf asks a real llama.cpp server through a whole sidecar. Its record of each request is compared
with the sidecar's exchange; they are matched by the X-Request-ID that AIPerf sends. Which of its
figures equals which of ours is in `EQUALS`; docs/accuracy.md says why. Exit 1 when a count differs,
or a time for which nothing but the two clocks' places stands between the two is beyond the bound.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.accuracy.asks import mix
from benchmarks.accuracy.compare import BOUND_NS, BOUND_SHARE
from benchmarks.accuracy.recorded import Recording, recording
from benchmarks.accuracy.report import quantile
from benchmarks.accuracy.stand import ROOT, engine, sidecar, until
from benchmarks.quiet import NOISY, Others

from sidelight_contract.summary import Summary, Traffic
from sidelight_sidecar.observer.exchange import Exchange

INSTALL = ROOT / "hack" / "aiperf.sh"
_REQUEST_ID = re.compile(rb"\r\nx-request-id: (\S+)\r\n", re.IGNORECASE)
Record = dict[str, Any]
"""Values by AIPerf's names; times in nanoseconds."""


class Equal(NamedTuple):
    """A figure of AIPerf's, and the same of ours."""

    theirs: str
    ours: str
    of_record: Callable[[Record], float]
    of_exchange: Callable[[Exchange], float | None]


COUNTS = (
    Equal("output_sequence_length", "output tokens",
          lambda record: record["output_sequence_length"], lambda exchange: exchange.output_tokens),
    Equal("input_sequence_length", "prompt tokens",
          lambda record: record["input_sequence_length"], lambda exchange: exchange.prompt_tokens),
    Equal("usage_prompt_cache_read_tokens", "cached prompt tokens",
          lambda record: record["usage_prompt_cache_read_tokens"],
          lambda exchange: exchange.cached_tokens),
    Equal("inter_chunk_latency, how many", "arrivals but the first",
          lambda record: len(record["inter_chunk_latency"]),
          lambda exchange: exchange.arrivals - 1),
)  # fmt: skip


def _nanoseconds(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1e9


EQUALS = (
    Equal("inter_token_latency", "TPOT",
          lambda record: record["inter_token_latency"],
          lambda exchange: _nanoseconds(exchange.time_per_output_token)),
    Equal("time_to_first_token - http_req_sending", "TTFT",
          lambda record: record["time_to_first_token"] - record["http_req_sending"],
          lambda exchange: _nanoseconds(exchange.time_to_first_token)),
    Equal("request_latency - http_req_sending", "last output - t0",
          lambda record: record["request_latency"] - record["http_req_sending"],
          lambda exchange: exchange.last_output_ns - exchange.start_ns),
    Equal("http_req_duration - http_req_sending", "E2E",
          lambda record: record["http_req_duration"] - record["http_req_sending"],
          lambda exchange: exchange.stop_ns - exchange.start_ns),
    Equal("request_latency - time_to_first_token", "last output - first",
          lambda record: record["request_latency"] - record["time_to_first_token"],
          lambda exchange: exchange.last_output_ns - exchange.first_output_ns),
)  # fmt: skip
"""AIPerf's request begins before it connects; `http_req_sending` is its own measurement of the time
from there until the request was sent, which is where the sidecar's begins."""
RAW = (
    Equal("time_to_first_token", "TTFT", lambda record: record["time_to_first_token"],
          lambda exchange: _nanoseconds(exchange.time_to_first_token)),
)  # fmt: skip


def ask_with_aiperf(port: int, folder: Path, number: int, at_once: int) -> None:
    """Run AIPerf against a port; what it exports goes to the folder."""
    python = subprocess.run(
        [str(INSTALL)], check=True, stdout=subprocess.PIPE, text=True
    ).stdout.strip()
    tokenizer, prompts = folder / "tokenizer", folder / "prompts.jsonl"
    subprocess.run([python, str(Path(__file__).parent / "tokenizer.py"), str(tokenizer)],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    prompts.write_text("".join(json.dumps(prompt) + "\n" for prompt in _prompts(number)))
    environment = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    log = folder / "aiperf.log"
    with log.open("wb") as output:
        done = subprocess.run(
            [
                str(Path(python).parent / "aiperf"), "profile", "--model", "smollm2",
                "--url", f"http://127.0.0.1:{port}", "--endpoint-type", "chat", "--streaming",
                "--concurrency", str(at_once), "--request-count", str(number),
                "--input-file", str(prompts), "--custom-dataset-type", "single_turn",
                "--tokenizer", str(tokenizer), "--use-server-token-count",
                "--extra-inputs", '{"max_tokens": 24, "temperature": 0}',
                "--random-seed", "1", "--artifact-dir", str(folder), "--ui", "none",
                # From its pool it takes connections that the engine has just closed.
                "--connection-reuse-strategy", "never",
            ],
            stdout=output, stderr=output, timeout=900, env=environment, check=False,
        )  # fmt: skip
    if done.returncode:
        raise SystemExit(
            f"accuracy: AIPerf ended with {done.returncode}:\n{log.read_text()[-2000:]}"
        )


def _prompts(number: int) -> Iterable[dict[str, str]]:
    chance = random.Random(9)
    for ask in mix(number * 4, 9):
        if ask.kind == "chat, streamed" and number:
            yield {"text": json.loads(ask.body)["messages"][0]["content"]}
    yield {"text": f"Count to {chance.randint(3, 9)}."}


def records(folder: Path) -> dict[str, Record]:
    """AIPerf's records by the request's id."""
    found = {}
    for line in (folder / "profile_export.jsonl").read_text().splitlines():
        record = json.loads(line)
        if "error" in record:
            raise SystemExit(f"accuracy: AIPerf failed: {record['error']}")
        metrics = record["metrics"]
        found[record["metadata"]["x_request_id"]] = {
            name: _in_nanoseconds(metric["value"], metric["unit"])
            for name, metric in metrics.items()
        }
    return found


def _in_nanoseconds(value: Any, unit: str) -> Any:
    return value * 1e6 if unit == "ms" and not isinstance(value, list) else value


def exchanges(recorded: Recording) -> dict[str, Exchange]:
    """The sidecar's exchanges by the same id."""
    found: dict[str, Exchange] = {}
    for flow in recorded.flows:
        asked = [exchange for exchange in flow.exchanges if exchange.method == "POST"]
        names = [name.decode() for name in _REQUEST_ID.findall(flow.heads)]
        found.update(zip(names, asked, strict=True))  # it also looks for /metrics
    return found


def compare(theirs: dict[str, Record], ours: dict[str, Exchange]) -> tuple[list[str], list[str]]:
    """The tables, and what is wrong."""
    wrong = [f"{request_id}: seen by one of the two" for request_id in theirs.keys() ^ ours.keys()]
    both = [(theirs[request_id], ours[request_id]) for request_id in theirs.keys() & ours.keys()]
    lines = ["| AIPerf | Sidelight | requests | equal |", "|---|---|---|---|"]
    for equal in COUNTS:
        same = sum(equal.of_record(record) == equal.of_exchange(exchange)
                   for record, exchange in both)  # fmt: skip
        lines.append(f"| `{equal.theirs}` | {equal.ours} | {len(both)} | {same} |")
        if same != len(both) and equal is not COUNTS[-1]:  # AIPerf may merge what it reads late
            wrong.append(f"{equal.ours}: {len(both) - same} differ")
    lines += [
        "", "| AIPerf | Sidelight | median of AIPerf's | difference: median | 95 % | greatest |"
        " within 1 ms or 1 % |", "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for equal in (*RAW, *EQUALS):
        row, within = _times(equal, both)
        lines.append(row)
        if equal is EQUALS[0] and within < len(both):
            wrong.append(f"{equal.ours}: {len(both) - within} beyond the bound")
    return lines, wrong


def _times(equal: Equal, both: list[tuple[Record, Exchange]]) -> tuple[str, int]:
    pairs = []
    for record, exchange in both:
        ours = equal.of_exchange(exchange)
        if ours is not None:
            pairs.append((equal.of_record(record), ours))
    apart = [abs(theirs - ours) / 1e6 for theirs, ours in pairs]
    bounds = [max(BOUND_NS, BOUND_SHARE * theirs) / 1e6 for theirs, _ in pairs]
    within = sum(gap <= bound for gap, bound in zip(apart, bounds, strict=True))
    cells = (
        f"`{equal.theirs}`", equal.ours, f"{quantile([one for one, _ in pairs], 0.5) / 1e6:.1f} ms",
        f"{quantile(apart, 0.5):.3f}", f"{quantile(apart, 0.95):.3f}", f"{max(apart):.3f}",
        f"{within} of {len(pairs)}",
    )  # fmt: skip
    return f"| {' | '.join(cells)} |", within


def chats(summary: Summary) -> Traffic:
    """What it says of chats."""
    traffic = Traffic(model="", operation="chat")
    for each in summary.total:
        if each.operation == "chat":
            traffic.merge(each)
    return traffic


def reported(folder: Path, live: Summary) -> list[str]:
    """AIPerf's aggregate report beside what the operator reads of the sidecar."""
    report = json.loads((folder / "profile_export_aiperf.json").read_text())
    traffic = chats(live)
    lines = ["| of all requests | AIPerf's report | the sidecar's `/summary` |", "|---|---|---|"]
    rows = [
        ("requests", report["request_count"]["avg"], traffic.requests),
        ("output tokens", report["total_usage_completion_tokens"]["avg"], traffic.tokens.output),
        ("prompt tokens", report["total_usage_prompt_tokens"]["avg"], traffic.tokens.prompt),
    ]
    lines += [f"| {name} | {theirs:.0f} | {ours} |" for name, theirs, ours in rows]
    for name, key, sketch in (
        ("time to first token", "time_to_first_token", traffic.time_to_first_token),
        ("time per output token", "inter_token_latency", traffic.time_per_output_token),
    ):
        mean = (sketch.mean or 0) * 1e3
        lines.append(f"| {name}, mean | {report[key]['avg']:.1f} ms | {mean:.1f} ms |")
        for share in (50, 95):
            ours = (sketch.quantile(share / 100) or 0) * 1e3
            lines.append(
                f"| {name}, p{share} | {report[key][f'p{share}']:.1f} ms | {ours:.1f} ms |"
            )
    return lines


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy.aiperf")
    parser.add_argument("--requests", type=int, default=60, help="default 60")
    parser.add_argument("--at-once", type=int, default=4)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, engine() as port:
        folder, others = Path(name), Others()
        frames = folder / "frames"
        with sidecar(port, frames) as running:
            ask_with_aiperf(running.port, folder, options.requests, options.at_once)
            sent = len(records(folder))
            counted = lambda: chats(running.summary()).requests  # noqa: E731
            try:
                until("all are counted", lambda: counted() >= sent)
            except TimeoutError as error:
                error.add_note(f"AIPerf has {sent} records, the sidecar {counted()}")
                raise
            live = running.summary()
        lines, wrong = compare(records(folder), exchanges(recording(frames)))
        lines += ["", *reported(folder, live), ""]
    share = others.share_of_a_core()
    print("\n".join(lines))
    print("\n".join(f"WRONG {line}" for line in wrong) or "Nothing is wrong.")
    warning = "  NOISY" if share > NOISY else ""
    print(f"\nOther processes used {share:.2f} of one core meanwhile.{warning}")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
