"""A Prometheus that is sent metrics over OTLP and scrapes nobody, and what it holds."""

from __future__ import annotations

import contextlib
import json
import subprocess
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.accuracy.stand import ROOT, free_port, get, until
from benchmarks.otlp.backends import server

INSTALL = ROOT / "hack" / "prometheus3.sh"
Labels = frozenset[tuple[str, str]]
Series = dict[tuple[str, Labels], float]
OF_RESOURCE = frozenset({"job", "instance"})


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running one."""

    port: int

    @property
    def endpoint(self) -> str:
        """Of an OTLP sink."""
        return f"http://127.0.0.1:{self.port}/api/v1/otlp"

    def ask(self, expression: str) -> list[dict[str, Any]]:
        """The result of an expression, now."""
        query = urllib.parse.urlencode({"query": expression})
        said = get(self.port, f"/api/v1/query?{query}")
        return list(json.loads(said)["data"]["result"]) if said else []

    def series(self, start: str) -> Series:
        """All whose names begin so, without what tells whose they are."""
        found: Series = {}
        for one in self.ask(f'{{__name__=~"{start}.*"}}'):
            labels = {k: v for k, v in one["metric"].items() if k not in OF_RESOURCE}
            found[labels.pop("__name__"), labels_of(labels)] = float(one["value"][1])
        return found


def labels_of(labels: dict[str, str]) -> Labels:
    """As both sides have them: a bucket's bound is a number."""
    return frozenset((k, str(float(v)) if k == "le" else v) for k, v in labels.items() if v)


@contextlib.contextmanager
def prometheus(folder: Path) -> Iterator[Prometheus]:
    """It, with its data in a folder."""
    program = subprocess.run([INSTALL], check=True, stdout=subprocess.PIPE, text=True)
    running = Prometheus(free_port())
    config = folder / "prometheus.yaml"
    config.write_text("{}\n")
    command: list[str | Path] = [
        program.stdout.strip(), f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'prometheus'}", "--web.enable-otlp-receiver",
        f"--web.listen-address=127.0.0.1:{running.port}",
    ]  # fmt: skip
    with server(command, {}, folder / "prometheus.log"):
        until("Prometheus answers", lambda: get(running.port, "/-/ready"))
        yield running
