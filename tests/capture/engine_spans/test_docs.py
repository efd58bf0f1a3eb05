"""docs/otlp.md says of the engine's own spans what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from sidelight_contract.names import ENGINE_SPANS_PORT, OWN_PORTS_BESIDE_MESH, RESERVED_PORTS
from sidelight_sidecar.capture.engine_spans import allowed, intake, passing, weigh

PAGE = (Path(__file__).parents[3] / "docs" / "otlp.md").read_text(encoding="utf-8")
TEXT = PAGE.partition("\n## The engine's own spans\n")[2].partition("\n## ")[0].replace("\n", " ")


def test_port_and_path_are_those_of_the_code_and_nobody_elses():
    """Users copy the address."""
    assert f'"http://127.0.0.1:{ENGINE_SPANS_PORT}{intake.PATH}"' in TEXT
    assert ENGINE_SPANS_PORT in RESERVED_PORTS
    first = OWN_PORTS_BESIDE_MESH.liveness
    assert ENGINE_SPANS_PORT not in {*OWN_PORTS_BESIDE_MESH, *range(first, first + 8)}


def test_limits_are_those_of_the_code():
    """Each that the page names."""
    sizes = (intake.MAX_BODY_BYTES, intake.MAX_INBOX_BYTES, passing.MAX_BYTES)
    assert set(sizes) == {4 << 20}
    assert f"{weigh.MAX_SPANS} spans and {weigh.MAX_MESSAGES:,} messages" in TEXT
    assert f"at most {allowed.MAX_NAME} characters" in TEXT
    assert f"from {allowed._LONG:,} on" in TEXT
    assert allowed.MAX_EVENTS == allowed.MAX_ATTRIBUTES == 128
    assert f"At most {allowed.MAX_ATTRIBUTES} attributes, events and links" in TEXT
    assert f"every {intake.TRY_SECONDS:.0f} seconds" in TEXT


def test_texts_that_the_page_says_are_passed_on_are():
    """By example."""
    row = re.search(r"\| texts \| (.*?) \|", TEXT)
    assert row is not None
    of_span, _, of_resource = row[1].partition("; of the resource ")
    assert set(re.findall(r"`([\w.]+)`", of_span)) <= allowed.TEXTS
    for start in re.findall(r"`([\w.]+)\*`", of_resource):
        assert any(name.startswith(start) for name in allowed.OF_RESOURCE)


def test_every_result_has_its_word():
    """And none that there is not."""
    row = re.search(r"exports by `result`: (.*?) \|", TEXT)
    assert row is not None
    assert set(re.findall(r"`(\w+)`", row[1])) == {
        intake.TAKEN, "malformed", "too_many", "no_room", "fault",
        "no_export", "media_type", "too_large", "encoding", "ratio", "slow", "busy",
    }  # fmt: skip
