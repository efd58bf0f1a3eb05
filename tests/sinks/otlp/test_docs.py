"""docs/otlp.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from receiver import chat, off

from sidelight_contract.export import OtlpDialect
from sidelight_sidecar.capture.sinks.otlp.content import _PARAMETERS
from sidelight_sidecar.capture.sinks.otlp.dialects import DIALECTS
from sidelight_sidecar.capture.sinks.otlp.span import _PROVIDERS, span_of
from sidelight_sidecar.records.record import Record

TEXT = (Path(__file__).parents[3] / "docs" / "otlp.md").read_text(encoding="utf-8")
ROWS = {
    cells[0]: cells[1:]
    for line in TEXT.splitlines()
    if line.startswith("| `")
    for cells in [[cell.strip().strip("`") for cell in line.strip("|").split("|")]]
}


def test_every_field_of_a_record_has_a_row():
    """And no other."""
    names = {field.name for field in msgspec.structs.fields(Record)}
    table = TEXT.partition("| of the record | becomes |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == names


def test_every_attribute_of_a_span_is_named():
    """With everything that a record can have."""
    full = span_of(chat(error="engine_error", choices=2, tool_calls=1)).attributes
    names = {re.sub(r"findings\..*", "findings.", name) for name in full}
    assert {name for name in names if name not in TEXT} == set()
    assert {name for name in _PROVIDERS.values() if f"`{name}`" not in TEXT} == set()
    short = {name.removeprefix("gen_ai.request.").split("_")[-1] for name, _, _ in _PARAMETERS}
    assert {"temperature", "seed", "penalty"} <= short
    assert len(off().kept_for) == 1


@pytest.mark.parametrize("dialect", list(OtlpDialect))
def test_every_dialect_has_a_row_as_the_table_in_the_code_and_an_example(dialect: OtlpDialect):
    """Path, token, protocols, compression, size."""
    table = DIALECTS[dialect]
    path, token, protocols, gzip, size, _ = ROWS[dialect]
    assert path == table.path
    ((header, value),) = table.authorization("pk:sk").items()
    assert header in token
    for word in ("Bearer", "Basic"):
        assert (word in token) == value.startswith(word)
    assert protocols == ("HTTP, gRPC" if table.grpc else "HTTP")
    assert gzip == ("yes" if table.gzip else "no")
    assert size == f"{table.max_request_bytes >> 20} MiB"
    example = TEXT.partition(f"### {dialect}\n")[2].partition("\n#")[0]
    assert "otlp:" in example
    assert dialect is OtlpDialect.STANDARD or f"dialect: {dialect}" in example
