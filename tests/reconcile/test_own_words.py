"""An engine without metrics: what its answers say of their times, against when they came."""

from __future__ import annotations

from sidelight_contract.names import DifferenceCause
from sidelight_sidecar.observer.engine.signals import EngineSample
from sidelight_sidecar.observer.engine_times import EngineTimes
from sidelight_sidecar.observer.exchange import Exchange
from sidelight_sidecar.observer.reconcile.compare import Figure
from sidelight_sidecar.observer.reconcile.reconciler import Reconciler
from sidelight_sidecar.observer.reconcile.told import reconciliation_of

SECOND = 1_000_000_000


def stream(at: int, said: float, *, choices: int = 1, error: str = "") -> Exchange:
    """A stream of a hundred tokens over two seconds, of which the engine says it took `said`."""
    exchange = Exchange(1, at * SECOND)
    exchange.method, exchange.operation, exchange.generating = "POST", "chat", True
    exchange.code, exchange.stream, exchange.choices, exchange.error = 200, True, choices, error
    exchange.request_end_ns = exchange.start_ns
    exchange.first_output_ns = exchange.start_ns + SECOND
    exchange.last_output_ns = exchange.stop_ns = exchange.start_ns + 3 * SECOND
    exchange.prompt_tokens, exchange.output_tokens, exchange.arrivals = 10, 100, 100
    exchange.engine_times = EngineTimes(decode_ns=int(said * SECOND))
    return exchange


def run(*exchanges: Exchange) -> Reconciler:
    """A reconciler that was told of them."""
    reconciler = Reconciler()
    for exchange in exchanges:
        reconciler.started(exchange)
        reconciler.finished(exchange)
        reconciler.counted(exchange)
    return reconciler


def test_times_that_agree_are_told_a_minute_at_a_time() -> None:
    """Exactly of the same requests, so that nothing straddles."""
    reconciler = run(*[stream(at, 2.01) for at in range(10, 140, 10)])
    assert reconciler.spans == {True: 2, False: 0}
    told = reconciliation_of(reconciler)
    assert (told.read, told.silent, told.compared, told.exact) == (0, 1, 1, 1)
    decode = told.figures["decode_time"]
    assert (decode.sidecar, decode.engine) == (12 * SECOND, 6 * int(2.01 * SECOND))
    assert decode.sidecar_count == decode.engine_count == 600


def test_times_that_differ_are_named() -> None:
    """The engine says that it took half of the time."""
    reconciler = run(*[stream(at, 1.0) for at in range(10, 140, 10)])
    assert reconciler.spans == {True: 0, False: 2}
    assert reconciler.last is not None
    assert reconciler.last.causes == (DifferenceCause.TIMES_DIFFER,)
    assert set(reconciler.last.figures) == {Figure.DECODE_TIME}


def test_answers_that_show_or_say_no_time_are_left_out() -> None:
    """Several choices at once, failures, and those that say nothing."""
    silent = stream(20, 2.0)
    silent.engine_times = None
    broken, several = stream(30, 9.0, error="x"), stream(40, 9.0, choices=2)
    reconciler = run(*[stream(at, 2.0) for at in (10, 50, 80)], silent, broken, several)
    assert reconciler.spans == {True: 1, False: 0}
    assert reconciler.last is not None
    assert reconciler.last.figures[Figure.DECODE_TIME].engine == 4 * SECOND


def test_an_engine_with_metrics_is_held_against_them_alone() -> None:
    """They say more."""
    reconciler = Reconciler()
    reconciler.engine_said(EngineSample(asked_ns=1, at_ns=2, output_tokens=0.0))
    for at in range(10, 200, 10):
        reconciler.counted(stream(at, 9.0))
    assert reconciler.last is None
