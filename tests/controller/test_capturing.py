"""What sidecars are told of capture and export, and what the status says of it."""

from __future__ import annotations

from typing import Any

import pytest
from controller_world import model_body, summary

from sidelight_contract.capture import KeepSettings, Payloads
from sidelight_contract.config import decode_config, encode_config
from sidelight_contract.export import KafkaSinkSettings
from sidelight_contract.names import ConditionType, Reason
from sidelight_contract.summary import CaptureReport, SinkReport, Summary
from sidelight_operator.controller.capturing import capture_conditions
from sidelight_operator.controller.models import Model, parse_model
from sidelight_operator.controller.objects import sidecar_config

KAFKA = {
    "name": "topic",
    "secretRef": {"name": "sidelight-kafka"},
    "kafka": {"brokers": ["kafka:9092"], "topic": "llm"},
}


def model(payloads: str = "Off", *sinks: dict[str, Any], **capture: Any) -> Model:
    capture = {"payloads": payloads, **capture}
    return parse_model(model_body(capture=capture, export={"sinks": list(sinks) or [KAFKA]}))


def told(*sinks: SinkReport, **more: Any) -> list[Summary]:
    """A summary for each state of the one sink."""
    found = []
    for sink in sinks:
        one = summary()
        one.capture = CaptureReport(1, 5, sinks={"topic": sink}, **more)
        found.append(one)
    return found


def conditions(
    of: Model, summaries: list[Summary], *, allow_full: bool = False
) -> dict[str, tuple[str, str, str]]:
    judged = capture_conditions(of, summaries, allow_full=allow_full)
    return {kind: (status, reason, message) for kind, status, reason, message in judged}


def test_the_configuration_has_what_the_spec_says_and_no_secret():
    """It survives the wire; a tap without volumes ships nothing."""
    asked = model("Redacted", KAFKA, keep={"share": "0.01", "slowerThan": "10s"})
    config = decode_config(encode_config(sidecar_config(asked)))
    assert config.capture.payloads is Payloads.REDACTED
    assert config.capture.keep == KeepSettings(share=0.01, slower_than=10.0)
    assert config.export.sinks == [
        KafkaSinkSettings(name="topic", brokers=["kafka:9092"], topic="llm")
    ]
    assert b"sidelight-kafka" not in encode_config(config)
    assert sidecar_config(asked, ships=False).export.sinks == []


@pytest.mark.parametrize(
    ("payloads", "allow", "in_force", "status", "reason"),
    [
        ("Off", False, Payloads.OFF, "True", Reason.METADATA_ONLY),
        ("Redacted", False, Payloads.REDACTED, "True", Reason.PAYLOADS_REDACTED),
        ("Full", False, Payloads.REDACTED, "False", Reason.FULL_NOT_ALLOWED),
        ("Full", True, Payloads.FULL, "True", Reason.PAYLOADS_FULL),
    ],
)
def test_full_takes_two_consents_and_is_said(
    payloads: str, allow: bool, in_force: Payloads, status: str, reason: Reason
):
    """The resource's and the installation's; without the second it is redacted."""
    asked = model(payloads)
    assert sidecar_config(asked, allow_full=allow).capture.payloads is in_force
    found = conditions(asked, told(SinkReport(1)), allow_full=allow)
    assert found[ConditionType.CAPTURED][:2] == (status, reason)


def test_a_pattern_that_cannot_be_used_is_said_by_its_sidecar():
    """And nothing is recorded of payloads."""
    found = conditions(model("Redacted"), told(SinkReport(1), refused="pattern X: missing )"))
    assert found[ConditionType.CAPTURED] == (
        "False", Reason.REDACTION_REFUSED,
        "no payload is recorded, for spec.capture.redaction cannot be used: pattern X: missing )",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("sinks", "status", "reason", "message"),
    [
        ([], "Unknown", Reason.NO_SIDECAR_ANSWERED, "no sidecar has told of its sinks yet"),
        (
            [SinkReport(1, delivered=9), SinkReport(1)],
            "True", Reason.RECORDS_DELIVERED, "topic: nothing is lost, no sink is down",
        ),
        (
            [SinkReport(1, down=1, lag_seconds=754.2, why="no connection"), SinkReport(1)],
            "False", Reason.SINK_DOWN,
            "topic is down for 1 of 2 sidecars (no connection), 12 min behind",
        ),
        (
            [SinkReport(1, lost=1234), SinkReport(1, lost=4, refused=3)],
            "False", Reason.RECORDS_LOST,
            "topic lost some 1000 records for want of room or time, topic refused some 1",
        ),
        (
            [SinkReport(1, metrics_down=1, metrics_why="status 404"), SinkReport(1)],
            "False", Reason.METRICS_NOT_DELIVERED,
            "topic has no metrics of 1 of 2 sidecars (status 404)",
        ),
    ],
    ids=["nothing yet", "well", "down", "losing", "without metrics"],
)  # fmt: skip
def test_how_sinks_do_is_one_condition_over_all_sidecars(
    sinks: list[SinkReport], status: str, reason: Reason, message: str
):
    """Magnitudes only, so that the status is not rewritten for each record."""
    found = conditions(model(), told(*sinks))
    assert found[ConditionType.EXPORTED] == (status, reason, message)


def test_records_that_were_not_made_are_said():
    """The capture process lagged."""
    found = conditions(model(), told(SinkReport(1), dropped={"no_room": 7}))
    assert found[ConditionType.EXPORTED][1:] == (
        Reason.RECORDS_LOST, "some records were not made (no_room)",
    )  # fmt: skip


def test_a_spool_that_is_not_on_disk_is_said():
    """Records wait all the same."""
    found = conditions(model(), told(SinkReport(1), spool_failed="Read-only file system"))
    assert found[ConditionType.EXPORTED][:2] == ("False", Reason.SPOOL_NOT_ON_DISK)


def test_engines_spans_that_cannot_come_are_said():
    """The pod has the port; records arrive."""
    found = conditions(model(), told(SinkReport(1), spans_not_taken=1))
    assert found[ConditionType.EXPORTED] == (
        "False", Reason.ENGINE_SPANS_NOT_TAKEN,
        "1 of 1 sidecars take no spans of the engine: port 15418 is used by the pod itself",
    )  # fmt: skip


def test_without_sinks_there_is_nothing_to_say():
    """No condition."""
    assert capture_conditions(parse_model(model_body()), [], allow_full=False) == ()
