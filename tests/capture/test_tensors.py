"""Binary tensors: texts are read and masked, numbers are left out, and what is wrong is safe."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight_contract.capture import CaptureSettings, Payloads
from sidelight_sidecar.capture.redact import redactor_for
from sidelight_sidecar.capture.tensors import as_json
from sidelight_sidecar.records.handover import Captured, Payload
from sidelight_sidecar.records.record import Origin, Record, Times

MAIL = "ada@example.com"


def bytes_tensor(*texts: str) -> bytes:
    return b"".join(struct.pack("<I", len(t.encode())) + t.encode() for t in texts)


def tensor(name: str, datatype: str, data: bytes) -> dict[str, Any]:
    parameters = {"binary_data_size": len(data)}
    return {"name": name, "datatype": datatype, "shape": [1], "parameters": parameters}


def body(*tensors: tuple[str, str, bytes], side: str = "inputs") -> tuple[bytes, int]:
    """A request as Triton's client sends it, and where its JSON ends."""
    head = json.dumps({"id": "1", side: [tensor(*one) for one in tensors]}).encode()
    return head + b"".join(data for _, _, data in tensors), len(head)


def passed_on(data: bytes, json_bytes: int, mode: Payloads, *, size: int = 0) -> Any:
    """What of a request is passed on."""
    record = Record(
        id="0" * 32, request_id="r-1", origin=Origin(), times=Times(1, 1.0), operation="infer",
        payloads=mode.value, api="kserve",
    )  # fmt: skip
    payload = Payload(
        data, "application/octet-stream", size=size or len(data), json_bytes=json_bytes
    )
    return redactor_for(CaptureSettings(payloads=mode))(Captured(record, payload, Payload()))


def test_texts_of_binary_tensors_are_masked_and_numbers_are_left_out():
    """A prompt in two elements, a picture behind it, a text behind that."""
    data, end = body(
        ("text_input", "BYTES", bytes_tensor(f"Write to {MAIL}", "caf\u00e9")),
        ("image", "UINT8", bytes(range(256))),
        ("system", "BYTES", bytes_tensor("Be kind")),
    )
    redacted = passed_on(data, end, Payloads.REDACTED)
    told = json.loads(bytes(redacted.request.content))
    text, image, system = told["inputs"]
    assert text["data"] == ["Write to [EMAIL]", "caf\u00e9"]
    assert "data" not in image
    assert system["data"] == ["Be kind"]
    assert redacted.findings == {"email": 1}
    assert redacted.request.bytes == len(data)
    full = passed_on(data, end, Payloads.FULL)
    assert json.loads(bytes(full.request.content))["inputs"][0]["data"][0] == f"Write to {MAIL}"


@pytest.mark.parametrize("mode", [Payloads.REDACTED, Payloads.FULL])
@pytest.mark.parametrize("end", [-1, 1, 3], ids=["short", "long", "longer"])
def test_with_a_length_that_is_wrong_no_tensor_passes(mode: Payloads, end: int):
    """Nobody knows where it begins; the JSON is read as any that ends and goes on."""
    data, right = body(("text_input", "BYTES", bytes_tensor(MAIL)))
    redacted = passed_on(data, right + end, mode)
    (text,) = json.loads(bytes(redacted.request.content))["inputs"]
    assert "data" not in text
    assert MAIL.encode() not in bytes(redacted.request.content)


def test_a_body_that_was_cut_has_what_is_whole():
    """The JSON, and tensors before the cut."""
    data, end = body(
        ("a", "BYTES", bytes_tensor("one")), ("b", "BYTES", bytes_tensor("two", "three"))
    )
    redacted = passed_on(data[:-4], end, Payloads.REDACTED, size=len(data))
    told = json.loads(bytes(redacted.request.content))
    assert told["inputs"][0]["data"] == ["one"]
    assert "data" not in told["inputs"][1]
    assert redacted.request.truncated


@given(st.binary(max_size=80), st.integers(0, 80))
def test_any_bytes_are_json_or_none(data: bytes, json_bytes: int):
    """Nothing is raised."""
    made = as_json(data, json_bytes)
    assert made is None or isinstance(json.loads(made), dict)


@given(
    st.binary(max_size=40),
    st.one_of(
        st.integers(),
        st.none(),
        st.text(max_size=3),
        st.floats(allow_nan=False, allow_infinity=False),
    ),
    st.sampled_from(["BYTES", "FP32", 1, None]),
)
def test_any_sizes_and_types_are_safe(rest: bytes, size: object, datatype: object):
    """Negative, huge, none."""
    head = {"inputs": [{"datatype": datatype, "parameters": {"binary_data_size": size}}, 1]}
    told = json.dumps(head).encode()
    made = as_json(told + rest, len(told))
    assert made is not None
    found = json.loads(made)["inputs"][0].get("data", [])
    assert sum(len(text) for text in found) <= len(rest)
