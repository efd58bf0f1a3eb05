"""Phoenix and MLflow, installed from PyPI, and what they say of one span."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.accuracy.stand import ROOT, free_port, get, until

INSTALL = ROOT / "hack" / "otlp-backends.sh"
ASK_MLFLOW = """
import json, sys, mlflow
mlflow.set_tracking_uri(sys.argv[1])
found = []
for trace in mlflow.search_traces(locations=["0"], return_type="list"):
    for span in trace.data.spans:
        found.append({
            "trace": trace.info.trace_id, "metadata": trace.info.request_metadata,
            "tokens": trace.info.token_usage, "took_ms": trace.info.execution_duration,
            "span": span.to_dict(), "kind": span.span_type, "inputs": span.inputs,
            "outputs": span.outputs, "attributes": span.attributes,
        })
print(json.dumps(found, default=str))
"""
_QUIET = {
    "PHOENIX_TELEMETRY_ENABLED": "false",
    "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
}


@dataclass(frozen=True, slots=True)
class Backends:
    """Running ones."""

    home: Path
    phoenix: int
    phoenix_grpc: int
    mlflow: int

    def of_phoenix(self, project: str) -> list[dict[str, Any]]:
        """Spans of a project, as its API shows them."""
        path = f"/v1/projects/{urllib.parse.quote(project)}/spans"
        said = get(self.phoenix, path)
        return list(json.loads(said)["data"]) if said else []

    def of_mlflow(self) -> list[dict[str, Any]]:
        """Spans of the default experiment, as its client shows them."""
        done = subprocess.run(
            [self.home / "mlflow/bin/python", "-c", ASK_MLFLOW, f"http://127.0.0.1:{self.mlflow}"],
            stdout=subprocess.PIPE, check=True, timeout=120, env={**os.environ, **_QUIET},
        )  # fmt: skip
        return list(json.loads(done.stdout.splitlines()[-1]))


@contextlib.contextmanager
def backends(folder: Path) -> Iterator[Backends]:
    """Both of them, with their data in a folder."""
    home = Path(
        subprocess.run([INSTALL], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    )
    ports = [free_port() for _ in range(3)]
    running = Backends(home, *ports)
    phoenix = {
        "PHOENIX_HOST": "127.0.0.1", "PHOENIX_PORT": str(running.phoenix),
        "PHOENIX_GRPC_PORT": str(running.phoenix_grpc),
        "PHOENIX_WORKING_DIR": str(folder / "phoenix"),
    }  # fmt: skip
    mlflow = [
        home / "mlflow/bin/mlflow", "server", "--host", "127.0.0.1", "--port", str(running.mlflow),
        "--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--workers", "1",
        "--artifacts-destination", str(folder / "artifacts"),
    ]  # fmt: skip
    with (
        server([home / "phoenix/bin/phoenix", "serve"], phoenix, folder / "phoenix.log"),
        server(mlflow, {}, folder / "mlflow.log"),
    ):
        until("Phoenix answers", lambda: get(running.phoenix, "/healthz"))
        until("MLflow answers", lambda: get(running.mlflow, "/health"))
        yield running


@contextlib.contextmanager
def server(command: list[str | Path], environment: dict[str, str], log: Path) -> Iterator[None]:
    """A program that ends with the block."""
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, stdout=output, stderr=output, start_new_session=True,
            env={**os.environ, **_QUIET, **environment},
        ) as process,
    ):  # fmt: skip
        try:
            yield
        except TimeoutError as error:
            error.add_note(f"it said:\n{log.read_text()[-2000:]}")
            raise
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
