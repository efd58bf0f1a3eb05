"""Whole comparisons, minute by minute: every verdict, what it says, and what it goes on from."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from strata_world import some

from sidelight_contract.spec import Compare
from sidelight_contract.status import CompareStatus
from sidelight_contract.strata import Stratum
from sidelight_operator.verdict.comparison import MAX_REASONS, proceed

START = datetime(2026, 11, 24, 12, tzinfo=UTC)
VERSIONS = {"v1": START - timedelta(hours=9), "v2": START}
MINUTE = timedelta(minutes=1)


class Story:
    """A comparison and its clock."""

    def __init__(self, **compare: object) -> None:
        self.compare = Compare.model_validate(compare)
        self.versions = dict(VERSIONS)
        self.now = START
        self.status: CompareStatus | None = None

    def minute(self, block: dict[str, list[Stratum]] | None) -> CompareStatus:
        self.now += MINUTE
        self.status = proceed(self.compare, self.status, self.versions, block, self.now)
        return self.status

    def until(self, blocks: Iterator[dict[str, list[Stratum]]], minutes: int) -> CompareStatus:
        """Until something is decided; as if the controller were restarted after each minute."""
        for _ in range(minutes):
            said = self.minute(next(blocks))
            self.status = CompareStatus.model_validate_json(said.model_dump_json(by_alias=True))
            if said.verdict != "NeedMoreData":
                break
        assert self.status is not None
        return self.status


def traffic(seed: int = 0, **candidate: object) -> Iterator[dict[str, list[Stratum]]]:
    """Forty requests a minute of v1 and ten of v2."""
    dice = random.Random(seed)
    failing = float(candidate.pop("failing", 0.0))  # type: ignore[arg-type]
    while True:
        failed = sum(dice.random() < failing for _ in range(10))
        yield {
            "v1": [some(40, seed=dice.getrandbits(30))],
            "v2": [some(10, seed=dice.getrandbits(30), failed=failed, **candidate)],  # type: ignore[arg-type]
        }


def test_a_slower_decode_is_rolled_back_with_the_reason_that_a_person_would_give():
    """How much, how sure, on how many, and what is tolerated."""
    said = Story().until(traffic(token=0.0225), 300)
    assert said.verdict == "Rollback"
    reason = next(reason for reason in said.reasons if "per output token" in reason)
    assert reason.startswith("time per output token is 12.")
    assert "% slower (between " in reason
    assert reason.endswith("matched requests; tolerated are 5 %")
    figure = next(f for f in said.figures if f.name == "timePerOutputToken")
    assert (figure.effect[0], figure.low[0], figure.tolerance) == ("+", "+", "5%")
    assert 100 < figure.requests < figure.baseline_requests
    assert said.candidate_requests >= figure.requests


def test_the_same_version_is_promoted_and_what_could_not_be_compared_is_said():
    """Within tolerance in all that there is; times to first token were never streamed here."""

    def unary() -> Iterator[dict[str, list[Stratum]]]:
        for block in traffic():
            for rows in block.values():
                for row in rows:
                    row.time_to_first_token.count = row.time_per_output_token.count = 0
            yield block

    said = Story().until(unary(), 1000)
    assert said.verdict == "Promote"
    assert {figure.name for figure in said.figures} == {"duration", "errors"}
    assert "time to first token, time per output token" in said.reasons[-1]


def test_more_failures_are_rolled_back():
    """Six points where one is tolerated."""
    said = Story().until(traffic(failing=0.06), 500)
    assert said.verdict == "Rollback"
    assert "share of failed requests is" in said.reasons[0]
    assert "points" in said.reasons[0]


def test_too_few_requests_promote_nothing():
    """However good they look."""
    story = Story(minRequests=1_000_000)
    said = story.until(traffic(), 400)
    assert said.verdict == "NeedMoreData"
    assert "at least 1,000,000 are asked for" in said.reasons[0]


def test_versions_that_serve_other_traffic_are_on_hold():
    """Nothing is alike in any minute: one has all the load."""
    story = Story()
    for _ in range(40):
        said = story.minute({"v1": [some(40, concurrency=60)], "v2": [some(10)]})
        if said.verdict == "Hold":
            break
    assert said.verdict == "Hold"
    assert said.candidate_requests == 200
    assert "they do not serve the same traffic" in said.reasons[0]


def test_what_stays_undecided_is_on_hold_when_patience_ends():
    """And says what is known."""
    story = Story(patience="30m")
    said = story.until(traffic(token=0.021), 40)
    assert (said.verdict, story.now - START) == ("Hold", timedelta(minutes=31))
    assert any("per output token is not decided yet" in reason for reason in said.reasons)


def test_rollback_is_the_last_word_until_something_changes():
    """Better minutes afterwards do not take it back; another tolerance begins anew."""
    story = Story()
    assert story.until(traffic(token=0.03), 100).verdict == "Rollback"
    good = traffic(token=0.015)
    for _ in range(200):
        assert story.minute(next(good)).verdict == "Rollback"
    since = story.status.since if story.status else ""
    story.compare = Compare.model_validate({"tolerance": {"timePerOutputToken": "60%"}})
    anew = story.minute(None)
    assert (anew.verdict, anew.figures, anew.since > since) == ("NeedMoreData", [], True)


def test_another_candidate_begins_anew():
    """With the one of before as its baseline."""
    story = Story()
    story.until(traffic(token=0.03), 100)
    story.versions["v3"] = story.now
    said = story.minute(None)
    assert (said.baseline, said.candidate, said.verdict) == ("v2", "v3", "NeedMoreData")
    assert said.figures == []


@pytest.mark.parametrize(("token", "verdict"), [(0.03, "Rollback"), (0.0205, "Hold")])
def test_when_the_baseline_has_gone_the_last_word_stands(token, verdict):
    """What was decided stays; what was not will not be."""
    story = Story()
    story.until(traffic(token=token), 30)
    del story.versions["v1"]
    said = story.minute({"v2": [some(10)]})
    assert said.verdict == verdict
    assert story.minute({"v2": [some(10)]}) == said
    if verdict == "Hold":
        assert said.reasons == ["v1 has no observed pod any more; until then nothing was decided"]


def test_nothing_changes_between_blocks_and_without_traffic():
    """A status is rewritten once a minute at most, and not at all where nothing came."""
    story = Story()
    blocks = traffic()
    first = [story.minute(next(blocks)) for _ in range(3)][-1]
    assert story.minute(None) == first
    assert story.minute({"v1": [], "v2": []}) == first


def test_patience_begins_with_the_first_requests():
    """Two days without a candidate, or without traffic, are no two days of trying."""
    story = Story(baseline="v1", candidate="v2")
    del story.versions["v2"]
    story.minute(None)
    story.now += timedelta(days=2)
    assert story.minute({"v1": [some(40)]}).reasons == ["v2 has no observed pod"]
    story.versions["v2"] = story.now
    assert story.minute({"v1": [], "v2": []}).verdict == "NeedMoreData"
    blocks = traffic()
    for _ in range(5):
        assert story.minute(next(blocks)).verdict == "NeedMoreData"


def test_promote_stays_while_nothing_speaks_against_it():
    """Minutes that make it less sure are no reason to stop a rollout; worse ones are."""
    story = Story()
    assert story.until(traffic(), 1000).verdict == "Promote"
    rather_slow = traffic(token=0.024)
    said = [story.minute(next(rather_slow)) for _ in range(400)]
    verdicts = [one.verdict for one in said]
    assert verdicts == sorted(verdicts), "Promote, then Rollback"
    assert set(verdicts) == {"Promote", "Rollback"}
    unsure = next(one for one in said if "not decided yet" in "; ".join(one.reasons))
    assert unsure.verdict == "Promote"
    assert unsure.reasons[0].startswith("it was within tolerance before")


def test_a_figure_of_another_release_is_left_out():
    """A status that a newer controller wrote stops no round."""
    story = Story()
    blocks = traffic()
    said = story.minute(next(blocks))
    other = said.figures[0].model_copy(update={"name": "joules"})
    story.status = said.model_copy(update={"figures": [*said.figures, other]})
    assert "joules" not in {figure.name for figure in story.minute(next(blocks)).figures}


def test_a_comparison_that_cannot_begin_says_why():
    """One version alone."""
    story = Story()
    del story.versions["v2"]
    said = story.minute(None)
    assert said.verdict == "NeedMoreData"
    assert said.reasons == ["v1 is the only version with observed pods"]
    assert story.minute(None) == said


def test_the_status_is_bounded():
    """Some four kilobytes, whatever the numbers."""
    said = Story().until(traffic(token=0.03), 50)
    assert len(said.reasons) <= MAX_REASONS
    assert len(said.model_dump_json(by_alias=True)) < 4096


# --- adapters -----------------------------------------------------------------------------------
def lora(minutes: int, *, seed: int = 0) -> Iterator[dict[str, list[Stratum]]]:
    """A model and its adapter, which decodes 30 % slower, in the pods of two versions. A block has
    an adapter's rows under the model's name.
    """
    dice = random.Random(seed)
    for _ in range(minutes):
        block = {}
        for pods in ("v1", "v2"):
            block[pods] = [some(30, seed=dice.getrandbits(30))]
            block[f"{pods}/sql"] = [some(30, seed=dice.getrandbits(30), token=0.026)]
        yield block


def test_an_adapter_is_compared_with_its_model_where_both_are_named():
    """The model's requests are those without the adapter's."""
    story = Story(baseline="v1", candidate="v1/sql")
    said = story.until(lora(300), 300)
    assert said.verdict == "Rollback"
    assert (said.baseline, said.candidate) == ("v1", "v1/sql")
    assert "time per output token is" in said.reasons[0]
    assert said.baseline_requests == said.candidate_requests


def test_an_adapter_is_compared_with_itself_in_another_version():
    """It is as slow there."""
    said = Story(candidate="v2/sql").until(lora(300), 300)
    assert (said.baseline, said.candidate, said.verdict) == ("v1/sql", "v2/sql", "Promote")


def test_versions_of_pods_are_compared_on_all_that_both_serve():
    """An adapter's requests with the same adapter's: v2 is all adapter here, and not slower."""
    story = Story()
    for block in lora(200):
        block["v2"] = []
        said = story.minute(block)
        if said.verdict != "NeedMoreData":
            break
    assert (said.baseline, said.candidate, said.verdict) == ("v1", "v2", "Promote")
    assert said.baseline_requests == 2 * said.candidate_requests
