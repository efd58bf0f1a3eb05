"""When an exchange did how much of its work."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight_sidecar.observer.energy.intervals import STEP_NS
from sidelight_sidecar.observer.energy.rates import Rates
from sidelight_sidecar.observer.energy.told import Outcome
from sidelight_sidecar.observer.energy.track import Done, Track
from sidelight_sidecar.observer.engine_times import EngineTimes
from sidelight_sidecar.observer.exchange import Exchange

SECOND = 1_000_000_000
ZERO = 1_000 * SECOND
MAX_CELLS = 1200


def at(seconds: float) -> int:
    return ZERO + round(seconds * SECOND)


def exchange_of(outputs: list[float], *, stream: bool = True) -> tuple[Exchange, Track]:
    """A request that was whole at 0, and had its outputs so many seconds later."""
    exchange = Exchange(1, at(-0.01))
    exchange.request_end_ns = at(0)
    exchange.generating, exchange.stream, exchange.operation = True, stream, "chat"
    track = Track(exchange, STEP_NS, MAX_CELLS)
    for when in outputs:
        exchange.arrival(at(when), 1)
        if len(exchange.fresh_gaps) >= 7:
            track.arrived(exchange, exchange.take_gaps())
    if exchange.fresh_gaps:
        track.arrived(exchange, exchange.take_gaps())
    return exchange, track


def ended(
    exchange: Exchange, track: Track, when: float, prompt: int | None, output: int | None,
    rates: Rates | None = None,
) -> None:  # fmt: skip
    exchange.stop_ns, exchange.code = at(when), 200
    exchange.prompt_tokens, exchange.output_tokens = prompt, output
    track.read(exchange, rates or Rates(), at(when))
    track.resolve(Outcome.COMPLETE)


def did(track: Track, since: float, until: float) -> Done:
    done = Done()
    track.did(at(since), at(until), done)
    return done


def test_output_is_computed_in_the_gap_before_it() -> None:
    """Tokens every 40 ms: two and a half in each tenth of a second."""
    exchange, track = exchange_of([1.0 + 0.04 * n for n in range(51)])
    ended(exchange, track, 3.0, 100, 51)
    tenths = [did(track, 1 + n / 10, 1.1 + n / 10).decode for n in range(20)]
    assert tenths == pytest.approx([2.5] * 20, abs=1e-5)


def test_arrivals_are_scaled_to_the_engines_own_count() -> None:
    """Chunks of eight tokens: the first arrival's are no decoding, the others' are."""
    exchange, track = exchange_of([1.0 + 0.2 * n for n in range(11)])
    exchange.first_arrival_tokens = 8
    ended(exchange, track, 3.0, 100, 88)
    assert did(track, 1.0, 3.0).decode == pytest.approx(80)
    assert did(track, 0.0, 3.0).output == pytest.approx(88)


def test_without_a_count_events_are_taken_for_tokens() -> None:
    """Or what the model's other exchanges have for an event."""
    exchange, track = exchange_of([1.0 + 0.1 * n for n in range(11)])
    ended(exchange, track, 2.0, None, None)
    assert did(track, 0.0, 2.0).output == pytest.approx(11)
    rates, learned = Rates(), exchange_of([0.5, 0.6])[0]
    learned.prompt_tokens, learned.output_tokens, learned.bytes_in = 500, 8, 1000
    rates.learn(learned)
    exchange, track = exchange_of([1.0 + 0.1 * n for n in range(11)])
    exchange.bytes_in = 300
    ended(exchange, track, 2.0, None, None, rates)
    assert did(track, 0.0, 2.0).output == pytest.approx(44)
    assert did(track, 0.0, 2.0).prefill == pytest.approx(150)


def test_a_prompt_is_computed_last_before_the_first_output_at_the_models_speed() -> None:
    """What lies before is the queue; cached tokens were not computed."""
    rates, fast = Rates(), exchange_of([0.1])[0]
    fast.prompt_tokens = 1000
    rates.learn(fast)
    assert rates.tokens_a_second == pytest.approx(10_000)
    exchange, track = exchange_of([3.0, 3.1])
    exchange.cached_tokens = 3000
    ended(exchange, track, 3.1, 5000, 2, rates)
    assert did(track, 0.0, 2.8).prefill == 0
    assert did(track, 0.0, 2.8).present_ns == 0
    assert did(track, 0.0, 2.8).flight_ns == 2.8 * SECOND
    assert did(track, 2.8, 2.9).prefill == pytest.approx(1000)
    assert did(track, 2.8, 3.1).prefill == pytest.approx(2000)


def test_an_engines_own_word_on_its_prompt_goes_before_the_models_speed() -> None:
    """As llama.cpp and Ollama give it."""
    exchange, track = exchange_of([3.0, 3.1])
    exchange.engine_times = EngineTimes(prefill_ns=SECOND // 2)
    ended(exchange, track, 3.1, 5000, 2)
    assert did(track, 0.0, 2.5).prefill == 0
    assert did(track, 2.5, 3.0).prefill == pytest.approx(5000)


def test_an_answer_that_is_no_stream_is_a_prompt_and_a_decode_by_the_models_rates() -> None:
    """Its end is known, so what lies before both is the queue."""
    rates, stream = Rates(), exchange_of([0.1 + 0.02 * n for n in range(101)])[0]
    stream.prompt_tokens, stream.output_tokens, stream.choices = 1000, 101, 1
    rates.learn(stream)
    exchange, track = exchange_of([], stream=False)
    exchange.has_output = True
    ended(exchange, track, 5.0, 2000, 101, rates)
    assert did(track, 0.0, 2.8).present_ns == pytest.approx(0, abs=1e5)
    assert did(track, 2.8, 3.0).prefill == pytest.approx(2000, rel=1e-3)
    assert did(track, 4.0, 4.5).decode == pytest.approx(25, rel=1e-3)
    assert did(track, 0.0, 5.0).output == pytest.approx(101)


def test_an_embedding_is_all_prompt() -> None:
    """From the whole request to the answer, for nothing tells of a queue."""
    exchange, track = exchange_of([], stream=False)
    exchange.generating = False
    ended(exchange, track, 0.5, 400, None)
    done = did(track, 0.0, 0.5)
    assert (done.prefill, done.decode) == (pytest.approx(400), 0)


def test_a_refused_request_did_nothing() -> None:
    """Neither a prompt nor time computed; it was in flight."""
    exchange, track = exchange_of([], stream=False)
    exchange.bytes_in = 4000
    exchange.code, exchange.error, exchange.stop_ns = 429, "rate_limited", at(0.1)
    track.read(exchange, Rates(), at(0.1))
    done = did(track, 0.0, 0.1)
    assert (done.prefill, done.present_ns, done.flight_ns) == (0, 0, 0.1 * SECOND)


def test_one_that_was_left_before_its_output_computed_no_more_than_the_time_allows() -> None:
    """At the model's speed, from when it came to when the engine stopped."""
    rates, fast = Rates(), exchange_of([0.1])[0]
    fast.prompt_tokens = 1000
    rates.learn(fast)
    exchange, track = exchange_of([], stream=True)
    exchange.bytes_in = 400_000
    exchange.code, exchange.error, exchange.stop_ns = 499, "client_disconnect", at(0.2)
    exchange.engine_end_ns = at(0.3)
    track.read(exchange, rates, at(0.3))
    assert did(track, 0.0, 1.0).prefill == pytest.approx(3000)


def test_longer_contexts_weigh_more() -> None:
    """Tokens times thousands of tokens before them, cached ones included."""
    exchange, track = exchange_of([1.0 + 0.01 * n for n in range(101)])
    exchange.cached_tokens = 3000
    ended(exchange, track, 2.0, 4000, 101)
    whole = did(track, 1.0, 2.0)
    assert whole.context == pytest.approx(100 * 4.05, rel=0.01)
    assert did(track, 1.9, 2.0).context > did(track, 1.0, 1.1).context


def test_the_last_minutes_of_an_endless_stream_are_kept_and_no_more() -> None:
    """Memory is bounded; a pause of an hour is no hour of cells."""
    outputs = [1.0 + 0.5 * n for n in range(2000)] + [5000.0, 5000.1, 9000.0, 9000.5]
    exchange, track = exchange_of(outputs)
    track.read(exchange, Rates(), at(9001))
    assert len(track._cells) <= 2 * MAX_CELLS
    assert did(track, 9000.0, 9000.4).decode > 0


GAPS = st.lists(st.floats(0.0, 3.0), min_size=1, max_size=80)


@given(GAPS, st.integers(1, 500), st.integers(1, 30))
def test_all_of_the_work_is_in_some_interval_and_once(
    gaps: list[float], output: int, cells: int
) -> None:
    """However outputs come, and however long intervals are."""
    outputs = [1.0]
    for gap in gaps:
        outputs.append(outputs[-1] + gap)
    exchange, track = exchange_of(outputs)
    end = outputs[-1] + 0.1
    ended(exchange, track, end, 700, output)
    total = Done()
    since = at(0.0)
    while since < at(end) + STEP_NS:
        if track.begin_ns < since + cells * STEP_NS and track.end_ns > since:
            track.did(since, since + cells * STEP_NS, total)
        since += cells * STEP_NS
    assert total.prefill == pytest.approx(700, rel=1e-5)
    assert total.output == pytest.approx(output, rel=1e-4, abs=1e-3)
    assert total.flight_ns == track.end_ns - track.begin_ns
    assert total.present_ns == track.computing_ns


@given(st.lists(st.floats(-2.0, 4.0), min_size=1, max_size=60))
def test_a_clock_that_is_set_back_makes_no_work_negative(steps: list[float]) -> None:
    """The tap's clock is the kernel's; nothing raises, and nothing is less than none."""
    now, outputs = 5.0, []
    for step in steps:
        now = max(0.0, now + step)
        outputs.append(now)
    exchange, track = exchange_of(outputs)
    ended(exchange, track, max(0.0, now - 1.0), 700, 50)
    for second in range(-1, 30):
        done = did(track, second, second + 1)
        assert min(done.prefill, done.decode, done.context, done.present_ns) >= 0
