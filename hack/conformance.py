"""`make conformance CASSETTES=folder`: recorded exchanges of real servers, through the sidecar.

The folder holds recordings (`*.jsonl`), a server that answers with them (`cassette_server.py`) and
a client that sends them and checks every byte of the answers (`cassette_client.py`). They go
    client -> sidelight-sidecar -> server
four times: event by event, cut at random places, both at the paths that were recorded; event by
event at the paths that engines serve; and once more with `run` instead of `record`, to compare the
metrics with the sums. What the observer made of each exchange is compared with what the recording
says of itself (`conformance_rules`). Exit 1 at any difference that no rule explains.
"""

import argparse
import collections
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from conformance_rules import NOT_READ, RULES, Tape, differences, explained_by
from prometheus_client.parser import text_string_to_metric_families

from sidelight_contract.config import SidecarConfig
from sidelight_sidecar.frames.codec import CLIENT_BYTES
from sidelight_sidecar.frames.file import FrameFileReader
from sidelight_sidecar.observer.consumers import Consumer
from sidelight_sidecar.observer.exchange import Exchange
from sidelight_sidecar.observer.pipeline import Pipeline

DEADLINE_SECONDS = 20
CLIENT_SECONDS = 300
_ID = re.compile(rb"\r\nx-cassette-id: (\S+)\r\n")
_ENVIRONMENT = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}


class Way(NamedTuple):
    """One way of sending all recordings."""

    name: str
    client_options: tuple[str, ...]


WAYS = (
    Way("event by event", ()),
    Way("cut at random", ("--mode", "split")),
    Way("native paths", ("--native",)),
)


class Kept(Consumer):
    """A consumer that keeps finished exchanges."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []

    def finished(self, exchange: Exchange) -> None:
        """Keep it."""
        self.exchanges.append(exchange)


# --- processes ------------------------------------------------------------------------------
def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _until(what: str, done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not done():
        if time.monotonic() > deadline:
            raise SystemExit(f"conformance: {what} did not come within {DEADLINE_SECONDS} s")
        time.sleep(0.02)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@contextlib.contextmanager
def _process(*command: str, ports: tuple[int, ...], log: Path) -> Iterator[None]:
    """A process that listens on the ports, until the block ends; what it says goes to the log."""
    with log.open("ab") as output:
        process = subprocess.Popen(command, env=_ENVIRONMENT, stdout=output, stderr=output)
    try:
        for port in ports:
            _until(f"port {port} of {Path(command[1]).name}", lambda port=port: _listens(port))
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(DEADLINE_SECONDS)
    if process.returncode not in (0, -signal.SIGTERM):
        raise SystemExit(f"conformance: exit {process.returncode}:\n{log.read_text()}")


def _send(folder: Path, port: int, way: Way) -> list[str]:
    """Send all recordings; return the differences in bytes that the client found."""
    files = [str(path) for path in sorted(folder.glob("*.jsonl"))]
    client = subprocess.run(
        [sys.executable, str(folder / "cassette_client.py"), str(port), *files,
         *way.client_options],
        capture_output=True, text=True, timeout=CLIENT_SECONDS, env=_ENVIRONMENT, check=False,
    )  # fmt: skip
    try:
        report = json.loads(client.stdout)
    except ValueError:
        raise SystemExit(f"conformance: the client failed:\n{client.stderr}") from None
    missing = report["sent"] - report["answered"]
    return [*report["differences"], *([f"{missing} without an answer"] if missing else [])]


def _sidecar(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "sidelight_sidecar", *arguments)


# --- one way ----------------------------------------------------------------------------------
def observed(file: Path) -> list[tuple[str, Exchange]]:
    """The exchanges of a frame file, each with the id that its request carried."""
    ids: dict[int, bytes] = collections.defaultdict(bytes)
    kept = Kept()
    with file.open("rb") as opened:
        reader = FrameFileReader(opened)
        pipeline = Pipeline(reader.monotonic_ns, reader.wall_ns, SidecarConfig(version=1), kept)
        for frame in reader:
            if frame[1] == CLIENT_BYTES:
                ids[frame[0]] += frame[4]
            pipeline.feed([frame])
    by_flow: dict[int, list[Exchange]] = collections.defaultdict(list)
    for exchange in kept.exchanges:
        by_flow[exchange.flow].append(exchange)
    matched = []
    for flow, exchanges in by_flow.items():
        exchanges.sort(key=lambda exchange: exchange.start_ns)
        names = [name.decode() for name in _ID.findall(ids[flow])]
        matched += list(zip(names, exchanges, strict=True))
    return matched


def record(folder: Path, way: Way, engine: int, work: Path) -> tuple[list[str], Path]:
    """Send all recordings through `sidelight-sidecar record`; bytes that differ, and the frames."""
    file = work / f"{way.name.replace(' ', '-')}.frames"
    port = _free_port()
    command = _sidecar(
        "record", "--listen", f"127.0.0.1:{port}", "--engine", f"127.0.0.1:{engine}", str(file)
    )
    with _process(*command, ports=(port,), log=work / "relay.log"):
        bad = _send(folder, port, way)
    return bad, file


class Report:
    """What came of one way, by file of recordings."""

    def __init__(self) -> None:
        self.rows: dict[str, collections.Counter[str]] = collections.defaultdict(
            collections.Counter
        )
        self.rules: collections.Counter[str] = collections.Counter()
        self.wrong: list[str] = []

    def add(self, tape: Tape, exchange: Exchange) -> None:
        """Compare one exchange."""
        shape = tape["shape"] if tape["dialect"] == "other" else ""
        row = self.rows[f"{tape['dialect']} {shape}".strip()]
        row["exchanges"] += 1
        verdict = "not read" if tape["shape"] in NOT_READ else "equal"
        for difference in differences(tape, exchange):
            rule = explained_by(tape, exchange, difference)
            if rule is None:
                field, expected, got = difference
                self.wrong.append(f"{tape['id']}: {field}: expected {expected!r}, got {got!r}")
                verdict = "wrong"
            else:
                self.rules[rule.name] += 1
                verdict = verdict if verdict == "wrong" else "defensible"
        row[verdict] += 1

    def show(self, title: str) -> None:
        """Print the table."""
        columns = ("exchanges", "equal", "defensible", "not read", "wrong")
        print(f"\n## {title}\n\n| recordings | {' | '.join(columns)} |")
        print("|---" * (len(columns) + 1) + "|")
        total: collections.Counter[str] = collections.Counter()
        for name, row in [*sorted(self.rows.items()), ("**all**", total)]:
            print(f"| {name} | {' | '.join(str(row[column]) for column in columns)} |")
            total.update(row)
        for line in self.wrong:
            print(f"WRONG {line}")


def compare(tapes: dict[str, Tape], file: Path, report: Report) -> None:
    """Compare what was observed with what was recorded."""
    seen = set()
    for name, exchange in observed(file):
        seen.add(name)
        report.add(tapes[name], exchange)
    report.wrong += [f"{name}: not observed" for name in tapes.keys() - seen]


# --- metrics ----------------------------------------------------------------------------------
def sums(exchanges: list[Exchange]) -> dict[tuple[str, str], float]:
    """What the counters must say, by name and operation."""
    total: dict[tuple[str, str], float] = collections.Counter()
    for exchange in exchanges:
        for name, value in (
            ("sidelight_requests_total", 1),
            ("sidelight_request_errors_total", bool(exchange.error)),
            ("sidelight_prompt_tokens_total", exchange.prompt_tokens or 0),
            ("sidelight_output_tokens_total", exchange.output_tokens or 0),
            ("sidelight_cached_prompt_tokens_total", exchange.cached_tokens),
            ("sidelight_reasoning_tokens_total", exchange.reasoning_tokens),
            ("sidelight_tool_calls_total", exchange.tool_calls),
            ("sidelight_finish_reasons_total", len(exchange.finishes)),
            ("sidelight_empty_answers_total", exchange.empty),
        ):
            if value:
                total[name, exchange.operation] += value
    return dict(total)


def scraped(admin: int, names: set[str]) -> dict[tuple[str, str], float]:
    """The counters of a running sidecar, by name and operation."""
    with urllib.request.urlopen(f"http://127.0.0.1:{admin}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    total: dict[tuple[str, str], float] = collections.Counter()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name in names and sample.value:
                total[sample.name, sample.labels["operation"]] += sample.value
    return dict(total)


def live(
    folder: Path, engine: int, work: Path, expected: dict[tuple[str, str], float]
) -> list[str]:
    """Send all recordings through `sidelight-sidecar run`; what is wrong with bytes or metrics."""
    port, admin = _free_port(), _free_port()
    names = {name for name, _ in expected}
    command = _sidecar(
        "run", "--listen", f"127.0.0.1:{port}", "--engine", f"127.0.0.1:{engine}",
        "--admin", f"127.0.0.1:{admin}",
    )  # fmt: skip
    with _process(*command, ports=(port, admin), log=work / "sidecar.log"):
        bad = _send(folder, port, WAYS[0])
        with contextlib.suppress(SystemExit):  # the comparison says what did not come
            _until("metrics", lambda: scraped(admin, names) == expected)
        got = scraped(admin, names)
    return bad + [
        f"metrics: {' '.join(key)}: expected {expected.get(key, 0)}, got {got.get(key, 0)}"
        for key in sorted(expected.keys() | got.keys())
        if expected.get(key, 0) != got.get(key, 0)
    ]


def main() -> int:
    """Run it all."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder.resolve()
    files = sorted(folder.glob("*.jsonl"))
    tapes = {tape["id"]: tape for file in files for tape in map(json.loads, file.open("rb"))}
    engine = _free_port()
    server = (sys.executable, str(folder / "cassette_server.py"), str(engine), *map(str, files))
    wrong: list[str] = []
    rules: collections.Counter[str] = collections.Counter()
    expected: dict[tuple[str, str], float] = {}
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        work = Path(name)
        stack.enter_context(_process(*server, ports=(engine,), log=work / "server.log"))
        for way in WAYS:
            report = Report()
            bytes_wrong, file = record(folder, way, engine, work)
            report.wrong += [f"bytes: {line}" for line in bytes_wrong]
            compare(tapes, file, report)
            report.show(way.name)
            wrong += report.wrong
            rules.update(report.rules)
            if way is WAYS[0]:
                expected = sums([exchange for _, exchange in observed(file)])
        live_wrong = live(folder, engine, work, expected)
    print(f"\n## metrics of a live run: {len(expected)} sums\n")
    print("\n".join(f"WRONG {line}" for line in live_wrong) or "all equal")
    print(
        "\n## defensible differences, in all ways together\n"
        "\n| rule | count | reason |\n|---|---|---|"
    )
    for rule in RULES:
        print(f"| {rule.name} | {rules[rule.name]} | {rule.reason} |")
    wrong += live_wrong
    print(f"\n{len(wrong)} wrong" if wrong else "\nNothing unexplained.")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
