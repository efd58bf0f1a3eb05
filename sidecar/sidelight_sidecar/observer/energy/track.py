"""One exchange's work over time: how many tokens it had computed in which part of it. Pure.

Rules:
1. Output that came after a gap was computed in that gap. How many arrivals each cell of the grid
   saw is kept while they come; what they are in tokens is known at the end, and scales them all.
2. A prompt is computed last before the first output, as fast as the model is known to: what lies
   before is the queue. Where the engine tells how long it took, that holds.
3. An answer that is no stream is a queue, a prompt and a decode, by what its model's streams take.
4. Refused requests computed nothing.
"""

from array import array
from collections.abc import Sequence

from sidelight_sidecar.observer.energy.rates import Rates
from sidelight_sidecar.observer.energy.told import Outcome, Share
from sidelight_sidecar.observer.exchange import CLIENT_LEFT, Exchange


class Done:
    """What was done in an interval."""

    __slots__ = (
        "context", "decode", "flight_ns", "output", "prefill", "present_ns", "steps",
    )  # fmt: skip

    def __init__(self) -> None:
        self.prefill = self.decode = 0.0
        self.context = 0.0
        """Decode tokens times thousands of tokens before them."""
        self.steps = 0.0
        """Its part of the steps of decoding."""
        self.output = 0.0
        """Tokens that came, those of the first arrival included."""
        self.present_ns = 0
        """How long it was computed."""
        self.flight_ns = 0
        """How long it was in flight, the queue included."""


class Track:
    """See the module; `max_cells`: older ones are forgotten."""

    __slots__ = (
        "_base", "_before", "_carry", "_cells", "_decode_end_ns", "_max_cells", "_missed",
        "_outputs", "_per_arrival", "_per_ns", "_per_step", "_prefill_per_ns", "_prompt",
        "_start_output", "_step_ns", "_told", "begin_ns", "compute_ns", "covered_ns", "end_ns",
        "exchange", "first_ns", "model", "operation", "outcome", "over", "settled_mj", "share",
        "sparse_ns", "tokens_in", "tokens_out", "virtual",
    )  # fmt: skip

    def __init__(self, exchange: Exchange, step_ns: int, max_cells: int) -> None:
        self.exchange: Exchange | None = exchange
        self.share = Share()
        self.model = ""
        self.operation = ""
        self.outcome = Outcome.COMPLETE
        self.over = False
        """It is in flight no more."""
        self.begin_ns = 0
        """When the request was whole; 0: it is not."""
        self.compute_ns = 0
        self.first_ns = 0
        """When its prompt was computed and decoding began."""
        self.end_ns = 0
        self.covered_ns = 0.0
        """How long of its computing the energy is known."""
        self.settled_mj = 0
        self.sparse_ns = 0.0
        """How long of its computing is in long intervals."""
        self.tokens_in = self.tokens_out = 0.0
        self.virtual = 0.0
        """Seconds of its time, each divided by how many were in flight."""
        self._step_ns = step_ns
        self._max_cells = max_cells
        self._cells = array("f")
        self._base = 0
        self._carry = 0.0
        self._told = 0
        """Arrivals in cells."""
        self._missed = 0
        """Arrivals before it was followed."""
        self._decode_end_ns = 0
        self._before = self._prompt = self._outputs = self._start_output = 0.0
        self._per_arrival = self._per_ns = self._prefill_per_ns = 0.0
        self._per_step = 1.0

    def adopted(self, exchange: Exchange) -> None:
        """It is followed from its middle on: what came before was before anything was measured."""
        self._missed = max(0, exchange.arrivals - 1 - len(exchange.fresh_gaps))

    def arrived(self, exchange: Exchange, gaps: Sequence[float]) -> None:
        """Put arrivals into cells; the last gap ends at the last output."""
        per_second = 1e9 / self._step_ns
        cells, carry = self._cells, self._carry
        at = exchange.last_output_ns / self._step_ns - sum(gaps) * per_second
        if not self._told:
            self._base = int(at)
        at -= self._base
        edge = len(cells) + 1
        for gap in gaps:
            after = at + gap * per_second
            if after <= edge:
                carry += 1.0
            elif after - edge > self._max_cells:  # a pause of minutes: what was before is settled
                del cells[:]
                self._base += int(after)
                at, after, edge, carry = 0.0, after - int(after), 1, 1.0
            else:
                width = after - at
                cells.append(carry + (edge - max(at, edge - 1)) / width)
                edge += 1
                while after > edge:
                    cells.append(1.0 / width)
                    edge += 1
                carry = (after - (edge - 1)) / width
            at = after
        self._carry = carry
        self._told += len(gaps)
        if len(cells) > 2 * self._max_cells:
            del cells[: self._max_cells]
            self._base += self._max_cells

    # --- what is known of it --------------------------------------------------------------------
    def read(self, exchange: Exchange, rates: Rates, now_ns: int) -> None:
        """Take what is known by now: of an exchange that goes on it is an estimate."""
        over = exchange.stop_ns > 0
        self.begin_ns = exchange.request_end_ns or (
            exchange.start_ns if exchange.response_start_ns or over else 0
        )
        if not self.begin_ns:
            return
        self.end_ns = max(self.begin_ns, exchange.engine_end_ns or exchange.stop_ns or now_ns)
        prompt = exchange.prompt_tokens
        if prompt is None:
            prompt = exchange.tokenized_prompt
        known = rates.prompt_of(exchange.bytes_in) if prompt is None else prompt
        self._before = float(known)
        self._prompt = max(0.0, known - exchange.cached_tokens)
        output = exchange.output_tokens
        if output is None:
            output = exchange.tokenized_output
        self._per_step = max(rates.output_of(1), 1e-3)
        self._outputs = rates.output_of(exchange.events) if output is None else float(output)
        if not exchange.has_output and output is None:
            self._outputs = 0.0
        if _refused(exchange):
            self.compute_ns = self.first_ns = self._decode_end_ns = self.end_ns
            self._prompt = self._outputs = self._start_output = 0.0
        elif exchange.first_output_ns:
            self._read_stream(exchange, rates, over=over)
        else:
            self._read_whole(exchange, rates)
        self.tokens_in, self.tokens_out = self._prompt, self._outputs
        span_ns = self.first_ns - self.compute_ns
        self._prefill_per_ns = self._prompt / span_ns if span_ns > 0 else 0.0

    def _read_stream(self, exchange: Exchange, rates: Rates, *, over: bool) -> None:
        self.first_ns = max(self.begin_ns, exchange.first_output_ns)
        self.compute_ns = max(self.begin_ns, self.first_ns - self._prefill_ns(exchange, rates))
        last_ns = max(self.first_ns, exchange.last_output_ns)
        whole = over and not exchange.error
        self._decode_end_ns = last_ns if whole else max(last_ns, self.end_ns)
        self._start_output = self._outputs
        if self._decode_end_ns > self.first_ns:
            self._start_output = min(self._outputs, float(exchange.first_arrival_tokens))
        later = self._outputs - self._start_output
        told = self._told
        arrivals = max(1, exchange.arrivals - 1, told)
        self._per_arrival = later / arrivals
        # What no gaps were told of: polls, and the last arrivals of a stream that goes on.
        untold = later * max(0.0, 1 - (told + self._missed) / arrivals)
        since_ns = self._cells_end_ns if told else self.first_ns
        self._per_ns = untold / (last_ns - since_ns) if last_ns > since_ns else 0.0

    def _read_whole(self, exchange: Exchange, rates: Rates) -> None:
        """An answer that came all at once, or not at all."""
        span_ns = self.end_ns - self.begin_ns
        prefill_ns, decode_ns = self._parts_ns(exchange, rates, span_ns)
        if prefill_ns + decode_ns > span_ns:
            decode_ns = round(span_ns * (decode_ns / (prefill_ns + decode_ns)))
            prefill_ns = span_ns - decode_ns
        self._decode_end_ns = self.end_ns
        self.first_ns = self.end_ns - decode_ns
        self.compute_ns = self.first_ns - prefill_ns
        self._start_output = min(1.0, self._outputs)
        later = self._outputs - self._start_output
        self._per_ns = later / decode_ns if decode_ns > 0 else 0.0
        if not self._outputs and exchange.error:  # it was left before its first output
            self.compute_ns = self.begin_ns
            most = (rates.tokens_a_second or float("inf")) * span_ns / 1e9
            self._prompt = min(self._prompt, most)

    def _parts_ns(self, exchange: Exchange, rates: Rates, span_ns: int) -> tuple[int, int]:
        """How long its prompt and its output took, if nothing else held them up."""
        if not exchange.generating or self._outputs <= 1:
            return (span_ns if rates.tokens_a_second is None else self._prompt_ns(rates)), 0
        times, later = exchange.engine_times, self._outputs - 1
        if times is not None and times.decode_ns is not None:
            return times.prefill_ns or 0, times.decode_ns
        if rates.seconds_a_token is not None and rates.tokens_a_second is not None:
            return self._prompt_ns(rates), round(later * rates.seconds_a_token * 1e9)
        prompt, output = rates.seconds_each() or (0.0, span_ns / 1e9 / later)
        return round(prompt * self._prompt * 1e9), round(output * later * 1e9)

    def _prompt_ns(self, rates: Rates) -> int:
        speed = rates.tokens_a_second
        return round(self._prompt / speed * 1e9) if speed is not None else 0

    def _prefill_ns(self, exchange: Exchange, rates: Rates) -> int:
        times = exchange.engine_times
        if times is not None and times.prefill_ns is not None:
            return times.prefill_ns
        if rates.tokens_a_second is None:
            return max(0, exchange.first_output_ns - self.begin_ns)
        return self._prompt_ns(rates)

    def resolve(self, outcome: Outcome) -> None:
        """It is over and counted: its exchange, and what that holds, is let go."""
        if self._told:
            self._cells.append(self._carry)
            self._carry = 0.0
        self.outcome = outcome
        self.exchange = None

    @property
    def computing_ns(self) -> int:
        """From the beginning of its prompt to its last output."""
        return max(0, self._decode_end_ns - self.compute_ns)

    def work(self) -> tuple[float, float, float, float]:
        """All of it: prefill tokens, decode tokens, those times thousands before them, steps."""
        decode = self._outputs - self._start_output
        context = decode * (self._before + self._outputs / 2) / 1000
        return self._prompt, decode, context, self._told or decode / self._per_step

    @property
    def _cells_end_ns(self) -> int:
        return (self._base + len(self._cells)) * self._step_ns

    # --- what it did ------------------------------------------------------------------------
    def did(self, since_ns: int, until_ns: int, done: Done) -> float:
        """Add to `done` what it did between two steps of the grid, both within its flight at least
        in part; give how many steps of decoding it was in.
        """
        end_ns, first_ns = self._decode_end_ns, self.first_ns
        if first_ns <= since_ns and until_ns <= end_ns <= self.end_ns:  # as most of the time
            span_ns = until_ns - since_ns
            done.flight_ns += span_ns
            done.present_ns += span_ns
        else:
            done.flight_ns += min(until_ns, self.end_ns) - max(since_ns, self.begin_ns)
            if since_ns < first_ns <= until_ns:
                done.output += self._start_output
            present_ns = min(until_ns, end_ns) - max(since_ns, self.compute_ns)
            if present_ns <= 0:
                return 0.0
            done.present_ns += present_ns
            span_ns = min(until_ns, first_ns) - max(since_ns, self.compute_ns)
            if span_ns > 0:
                done.prefill += span_ns * self._prefill_per_ns
            if until_ns <= first_ns:
                return 0.0
        arrivals, tokens = self._decoded(since_ns, until_ns)
        decode = arrivals * self._per_arrival + tokens
        part = ((since_ns + until_ns) / 2 - first_ns) / ((end_ns - first_ns) or 1)
        part = min(part, 1.0)
        done.decode += decode
        done.output += decode
        if part > 0.0:
            done.context += decode * (self._before + self._outputs * part) / 1000
        else:
            done.context += decode * self._before / 1000
        return arrivals + tokens / self._per_step

    def _decoded(self, since_ns: int, until_ns: int) -> tuple[float, float]:
        """Arrivals that are in cells, and tokens of which only the time is known."""
        arrivals = tokens = 0.0
        uniform_ns = self.first_ns
        if self._told:
            base, step_ns = self._base, self._step_ns
            low = since_ns // step_ns - base
            high = until_ns // step_ns - base
            cells = self._cells
            if high - low == 1:
                arrivals = cells[low] if 0 <= low < len(cells) else 0.0
            else:
                arrivals = sum(cells[max(0, low) : max(0, high)])
            uniform_ns = self._cells_end_ns
        if self._per_ns:
            span = min(until_ns, self._decode_end_ns) - max(since_ns, uniform_ns)
            if span > 0:
                tokens = span * self._per_ns
        return arrivals, tokens


def _refused(exchange: Exchange) -> bool:
    """Whether the engine did not compute it at all."""
    code = exchange.code
    refused = code >= 400 and code != CLIENT_LEFT
    return (refused or exchange.error == "upstream_connect") and not exchange.has_output
