"""An OpenTelemetry Collector that takes spans by HTTP and gRPC, and hands on what it got."""

from __future__ import annotations

import contextlib
import gzip
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from benchmarks.accuracy.stand import ROOT, free_port, until
from benchmarks.otlp.backends import server
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

INSTALL = ROOT / "hack" / "otelcol.sh"


@dataclass(slots=True)
class Collector:
    """A running one."""

    http: int
    grpc: int
    handed_on: list[tuple[str, Span]] = field(default_factory=list)
    """Spans with their resource's `service.name`."""

    def spans(self, service: str) -> list[Span]:
        """Those of a service."""
        return [span for name, span in self.handed_on if name == service]


@contextlib.contextmanager
def collector(folder: Path) -> Iterator[Collector]:
    """It, and who gets what it hands on."""
    program = subprocess.run([INSTALL], check=True, stdout=subprocess.PIPE, text=True)
    running = Collector(free_port(), free_port())

    class Behind(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                data = gzip.decompress(data)
            for resource in ExportTraceServiceRequest.FromString(data).resource_spans:
                names = {one.key: one.value.string_value for one in resource.resource.attributes}
                running.handed_on += [
                    (names["service.name"], span)
                    for scope in resource.scope_spans
                    for span in scope.spans
                ]
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Behind) as behind:
        threading.Thread(target=behind.serve_forever, daemon=True).start()
        config = folder / "collector.yaml"
        config.write_text(
            f"receivers: {{otlp: {{protocols: {{http: {{endpoint: '127.0.0.1:{running.http}'}}, "
            f"grpc: {{endpoint: '127.0.0.1:{running.grpc}'}}}}}}}}\n"
            f"exporters: {{otlphttp: {{endpoint: 'http://127.0.0.1:{behind.server_port}'}}}}\n"
            "service:\n  telemetry: {metrics: {level: none}}\n"
            "  pipelines: {traces: {receivers: [otlp], exporters: [otlphttp]}}\n"
        )
        log = folder / "collector.log"
        with server([program.stdout.strip(), "--config", config], {}, log):
            until("the collector is ready", lambda: "Everything is ready" in log.read_text())
            yield running
        behind.shutdown()
