"""Traffic that is meant to hurt, in a process with the observer's own limit: what it weighs."""

from __future__ import annotations

import hostile
import pytest

from sidelight_sidecar.observer.app import MEMORY_LIMIT_MIB
from sidelight_sidecar.observer.budget import KEPT_BYTES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

MOST_MIB = 96.0
"""The budget (48 MiB), and about 3 KB for each of ten thousand flows; a process begins at 43."""
MIB_OF = {
    "idle_flows": 20, "partial_events_in_crumbs": 6, "partial_documents_in_crumbs": 6,
    "partial_requests_in_crumbs": 8, "long_heads_of_requests": 8, "many_headers_of_requests": 8,
    "long_heads_of_responses": 10, "long_texts": 6, "long_models": 32, "tool_calls": 40,
    "choices": 40, "all_kinds_of_gaps": 16, "bytes_after_an_offer_in_crumbs": 32,
    "pipelined_requests": 10, "model_names": 12, "documents_of_nothing": 48,
    "strings_and_numbers": 80, "h2_streams": 32, "h2_rapid_resets": 16, "h2_floods": 16,
    "h2_full_tables": 40, "h2_header_bombs": 6,
}  # fmt: skip
"""Of cases that must stay far below that: two to three times what was measured."""
POLLED = {"strings_and_numbers"}
"""Requests that are polled are open until nobody polls them any more."""


@pytest.fixture(scope="module")
def fed() -> dict[str, dict[str, object]]:
    """All cases, one after another."""
    return hostile.fed()


@pytest.mark.parametrize("name", hostile.CASES)
def test_observer_survives_and_stays_small(name: str, fed: dict[str, dict[str, object]]) -> None:
    """It lives, keeps within the budget, and keeps nothing once all connections are closed."""
    assert MOST_MIB + 60 < MEMORY_LIMIT_MIB
    assert name in fed, "this case killed its process"
    case = fed[name]
    grown, kept = case["grown_mib"], case["kept"]
    assert isinstance(grown, float)
    assert grown < MIB_OF.get(name, MOST_MIB)
    assert isinstance(kept, int)
    assert kept <= KEPT_BYTES
    assert case["left"] == 0
    assert case["in_flight"] == 0 or name in POLLED


def test_models_and_statuses_without_number_are_few_labels(
    fed: dict[str, dict[str, object]],
) -> None:
    """50,000 models are 32, `_other` and `_unknown`; the metrics stay as long as they are."""
    case = fed["model_names"]
    assert case["requests"] == 50_000
    assert case["models"] == 34
    assert isinstance(case["exposition"], int)
    assert case["exposition"] < 400_000


def test_pipelines_and_streams_without_end_are_opaque(fed: dict[str, dict[str, object]]) -> None:
    """10,000 requests, or 100,000 streams, without an answer: past some hundred it is no client."""
    assert fed["pipelined_requests"]["opaque"] == {"http1/too_many": 10}
    assert fed["h2_streams"]["opaque"] == {"http2/too_many": 2}
    assert fed["h2_header_bombs"]["opaque"] == {"http2/too_long": 200}


def test_what_is_refused_is_counted(fed: dict[str, dict[str, object]]) -> None:
    """Where the budget is too small, the metric says how often."""
    for name in ("partial_events", "partial_documents", "partial_requests", "partial_heads"):
        refusals = fed[name]["refusals"]
        assert isinstance(refusals, int)
        assert refusals > 1_000
