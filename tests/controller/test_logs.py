"""Log lines: stable messages, fields beside them, and nothing of what models are asked."""

import ast
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

import sidelight_operator
from sidelight_contract.summary import SummaryError, decode_summary
from sidelight_operator.controller.logs import JsonFormatter

LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
SOURCES = sorted(Path(sidelight_operator.__file__).parent.rglob("*.py"))
CARRIERS = {"body", "content", "payload", "prompt", "text", "answer", "request"}
"""Names under which something of a request or an answer could come."""


def log_calls(source: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in LEVELS
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "logger"
        ):
            yield node


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_messages_are_constant_and_carry_no_payload(source: Path) -> None:
    """One literal sentence; what varies is in fields, and no field is made of a body."""
    for call in log_calls(source):
        where = f"{source.name}:{call.lineno}"
        (message,) = call.args
        literals = [message.body, message.orelse] if isinstance(message, ast.IfExp) else [message]
        assert all(isinstance(part, ast.Constant) for part in literals), where
        for keyword in call.keywords:
            assert keyword.arg in ("extra", "exc_info"), where
            used = {n.id for n in ast.walk(keyword.value) if isinstance(n, ast.Name)}
            assert not used & CARRIERS, where


def test_there_are_log_calls_to_judge() -> None:
    """The test above looks at something."""
    assert sum(1 for source in SOURCES for _ in log_calls(source)) > 10


def test_a_summary_that_is_none_is_not_quoted() -> None:
    """A sidecar that answers with a prompt does not get it into a status or a log."""
    for body in (b'"my secret prompt"', b'{"version": "my secret prompt"}', b"my secret prompt"):
        with pytest.raises(SummaryError) as caught:
            decode_summary(body)
        assert "secret" not in str(caught.value)


def test_a_line_is_an_object_with_its_fields() -> None:
    """Whatever the fields hold; a field never replaces what every line has."""
    record = logging.makeLogRecord(
        {"name": "sidelight.controller", "levelname": "INFO", "msg": "told", "msecs": 1.0,
         "reason": "Injected", "count": 3, "level": "mine", "odd": object},
    )  # fmt: skip
    line = json.loads(JsonFormatter().format(record))
    assert (line["message"], line["reason"], line["count"]) == ("told", "Injected", 3)
    assert (line["level"], line["logger"]) == ("INFO", "sidelight.controller")
    assert isinstance(line["odd"], str)
