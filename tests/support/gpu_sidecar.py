"""A whole sidecar as its container runs it, configured for devices, with an engine behind it."""

from __future__ import annotations

import contextlib
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import fake_vllm
from prometheus import until
from prometheus_client.parser import text_string_to_metric_families
from real_engine import free_port, get, process

from sidelight_contract.config import SidecarConfig, encode_config
from sidelight_contract.export import ExportSettings
from sidelight_contract.gpu import EXPORTER_HEADER, GpuSettings
from sidelight_contract.summary import Summary, decode_summary

TOKEN = "a-token"


class Sidecar:
    """Its ports, its files, and what it says."""

    def __init__(self, folder: Path) -> None:
        self.port, self.admin = free_port(), free_port()
        self.config = folder / "config.json"
        self.token = folder / "token"
        self.token.write_text(TOKEN)

    def configure(
        self, gpu: GpuSettings, revision: str, export: ExportSettings | None = None
    ) -> None:
        """Put a configuration where it is read."""
        export = export or ExportSettings()
        config = SidecarConfig(version=1, gpu=gpu, revision=revision, export=export)
        fresh = self.config.with_suffix(".new")
        fresh.write_bytes(encode_config(config))
        fresh.rename(self.config)

    def summary(self, told: str = "", token: str = TOKEN) -> Summary | None:
        """What the operator reads, when it tells this of exporters; None: nothing."""
        headers = {"Authorization": f"Bearer {token}"}
        if told:
            headers[EXPORTER_HEADER] = told
        asked = urllib.request.Request(f"http://127.0.0.1:{self.admin}/summary", headers=headers)
        with contextlib.suppress(OSError), urllib.request.urlopen(asked, timeout=30) as answer:
            return decode_summary(answer.read())
        return None

    def metric(self, name: str) -> dict[str, float]:
        """By device, added up over its other labels."""
        families = text_string_to_metric_families(get(self.admin, "/metrics").decode())
        found: dict[str, float] = {}
        for sample in (sample for family in families for sample in family.samples):
            if sample.name == name:
                device = sample.labels.get("gpu", "")
                found[device] = found.get(device, 0.0) + sample.value
        return found

    def ask(self) -> None:
        """One chat."""
        body = {"model": "base", "messages": [{"role": "user", "content": "x"}], "stream": True}
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/v1/chat/completions", json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )  # fmt: skip
        with urllib.request.urlopen(request, timeout=30) as response:
            response.read()


@contextlib.contextmanager
def running(ports: Sidecar, *options: str) -> Iterator[None]:
    """As its container runs it, with an engine behind it."""
    engine = free_port()
    with (
        process(fake_vllm.__file__, str(engine)),
        process(
            "-m", "sidelight_sidecar", "run", "--listen", f"127.0.0.1:{ports.port}",
            "--engine", f"127.0.0.1:{engine}", "--admin", f"127.0.0.1:{ports.admin}",
            "--config", str(ports.config), "--token-file", str(ports.token), *options,
        ),
    ):  # fmt: skip
        until(lambda: get(engine, "/version"), "the engine serves")
        until(ports.summary, "the sidecar answers")
        yield
