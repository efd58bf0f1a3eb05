"""Answers of exporters, read as the sidecar of `llm/llama-0` reads them."""

from __future__ import annotations

from pathlib import Path

from sidelight_sidecar.observer.accelerators.exporter_rows import Vendor
from sidelight_sidecar.observer.accelerators.exporter_text import ExporterText, Scrape
from sidelight_sidecar.observer.accelerators.source import Sample

FOLDER = Path(__file__).parents[1] / "fixtures" / "exporters"
NAMESPACE, POD = "llm", "llama-0"
AT = 5_000_000_000


def answer(layout: str) -> bytes:
    """As the exporter sends it."""
    return (FOLDER / f"{layout}.prom").read_bytes()


def scraped(vendor: Vendor, text: bytes) -> Scrape:
    """The rows of this pod."""
    reader = ExporterText(NAMESPACE, POD, vendor.identity, vendor.marker)
    reader.feed(text)
    return reader.finish()


def samples(vendor: Vendor, text: bytes) -> list[Sample]:
    """What they come to."""
    return vendor.samples(scraped(vendor, text), AT)
