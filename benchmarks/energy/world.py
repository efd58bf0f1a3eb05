"""An engine and its device, simulated, with the truth of what each request cost.

The engine computes in steps, as vLLM does: each sequence that decodes gets a token, and prompts get
what room there is in chunks, first come first served. The device is richer than the fitted model: a
step takes as long as memory or arithmetic needs, whichever is more; each byte read and each
operation has its energy; leakage grows with warmth, idle power drifts, there is noise, and the
clocks stay high for a second after work.

The truth: arithmetic belongs to whose tokens they are, reading a cache to whose it is, and what is
done once for all of a step (the weights are read, the chip is awake meanwhile) in equal parts to
those in it; if arithmetic takes longer than reading, that time is whose tokens they are. Drift,
leakage and high clocks are nobody's.
"""

from __future__ import annotations

import math
import random
from collections import deque
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Chip:
    """An H100 and a model of 8 billion weights, about."""

    idle_watts: float = 95.0
    awake_watts: float = 90.0
    weights_bytes: float = 16e9
    cache_bytes: float = 131e3
    """For each token of context."""
    bytes_a_second: float = 2.6e12
    byte_joules: float = 62e-12
    token_seconds: float = 1 / 32_000
    """Of arithmetic."""
    token_joules: float = 0.0105
    step_seconds: float = 0.0012
    """Of every step: scheduling, launches."""
    chunk: int = 2048
    slots: int = 128
    drift: float = 0.06
    leakage: float = 0.05
    noise: float = 0.03
    calm_watts: float = 35.0
    cap_watts: float = math.inf
    """Above it the clocks go down: a step takes longer, and its energy is what the cap allows."""
    curve: float = 0.0
    """By how much more a token costs where arithmetic is all that counts: higher voltage."""
    drafts: int = 0
    """Tokens that are guessed in each step, of which a request's own share comes true."""


@dataclass
class Request:
    """What is asked, and what became of it."""

    at: float
    prompt: int
    output: int
    model: str = "m"
    cached: int = 0
    stream: bool = True
    usage: bool = True
    cache_told: bool = True
    tokens_a_chunk: int = 1
    leaves_after: float = math.inf
    """Seconds after which the client leaves."""
    guessed: float = 0.6
    """How likely a guess comes true, where the engine guesses."""
    runs_on: bool = False
    """The engine goes on all the same, and nobody sees when it ends."""
    joules: float = 0.0
    """The truth."""
    computed: int = 0
    """Tokens of its prompt that are done, those cached included."""
    tokens: list[float] = field(default_factory=list)
    """When each token of output was there."""
    done_at: float = math.inf
    left_at: float = math.inf


class Device:
    """Its energy as a list of pieces; counters are read off it later."""

    def __init__(self, chip: Chip, dice: random.Random) -> None:
        self.chip = chip
        self._dice = dice
        self._warmth = 0.0
        self._wander = 0.0
        self.times = [0.0]
        self.joules = [0.0]
        self._calm_until = 0.0
        self._phase = dice.random() * 2 * math.pi

    def background(self, now: float) -> float:
        """Watts that are nobody's."""
        chip = self.chip
        drift = chip.drift * math.sin(now / 97 + self._phase)
        return chip.idle_watts * (1 + drift) + chip.leakage * self._warmth

    def spend(self, until: float, joules: float) -> float:
        """Pass to `until` with so much work; the noisy energy of that work."""
        now = self.times[-1]
        span = until - now
        if span <= 0:
            return 0.0
        self._wander += 0.2 * (self._dice.gauss(0, self.chip.noise) - self._wander)
        work = joules * (1 + self._wander)
        watts = self.background(now)
        if joules:
            self._calm_until = until + 1.0
        elif now < self._calm_until:
            watts += self.chip.calm_watts
        self._warmth += min(1.0, span / 30) * (work / span - self._warmth)
        self.times.append(until)
        self.joules.append(self.joules[-1] + watts * span + work)
        return work


class Engine:
    """Computes requests; gives them their tokens and their true joules."""

    def __init__(self, chip: Chip, device: Device) -> None:
        self._chip = chip
        self._device = device
        self._dice = random.Random(5)
        self.now = 0.0

    def run(self, requests: list[Request], until: float) -> None:
        """All of them, in the order of their times."""
        coming = deque(sorted(requests, key=lambda request: request.at))
        waiting: deque[Request] = deque()
        running: list[Request] = []
        while self.now < until:
            while coming and coming[0].at <= self.now:
                waiting.append(coming.popleft())
            for request in [*waiting, *running]:
                if request.at + request.leaves_after <= self.now:
                    request.left_at = request.at + request.leaves_after
            waiting = deque(r for r in waiting if r.left_at == math.inf)
            gone = [r for r in running if r.left_at < math.inf and not r.runs_on]
            for request in gone:
                request.done_at = self.now
            running = [r for r in running if r.done_at == math.inf]
            while waiting and len(running) < self._chip.slots:
                request = waiting.popleft()
                request.computed = min(request.cached, request.prompt - 1)
                running.append(request)
            if not running:
                soonest = min(coming[0].at if coming else until, until)
                self._rest(soonest)
                continue
            self._step(running)
            running = [r for r in running if r.done_at == math.inf]

    def _rest(self, until: float) -> None:
        while self.now < until:
            self.now = min(until, self.now + 0.05)
            self._device.spend(self.now, 0.0)

    def _step(self, running: list[Request]) -> None:
        chip = self._chip
        room = chip.chunk
        chunks: list[tuple[Request, int]] = []
        for request in running:
            if request.computed < request.prompt:
                tokens = min(room, request.prompt - request.computed)
            else:
                tokens = min(room, 1 + chip.drafts)
            if tokens:
                chunks.append((request, tokens))
                room -= tokens
        cached = [r.computed + len(r.tokens) for r, _ in chunks]
        all_tokens = sum(tokens for _, tokens in chunks)
        read = chip.weights_bytes + sum(cached) * chip.cache_bytes
        arithmetic = all_tokens * chip.token_seconds
        reading = chip.step_seconds + read / chip.bytes_a_second
        longer = max(0.0, arithmetic - read / chip.bytes_a_second)
        seconds = reading + longer
        shared = reading * chip.awake_watts + chip.weights_bytes * chip.byte_joules
        own = [
            tokens * (chip.token_joules + longer * chip.awake_watts / all_tokens)
            + context * chip.cache_bytes * chip.byte_joules
            for (_, tokens), context in zip(chunks, cached, strict=True)
        ]
        costlier = 1 + chip.curve * min(1.0, arithmetic / seconds)
        shared, own = shared * costlier, [joules * costlier for joules in own]
        joules = shared + sum(own)
        over = self._device.background(self.now) + joules / seconds - chip.cap_watts
        self.now += seconds * (1 + max(0.0, over) / chip.cap_watts)
        factor = self._device.spend(self.now, joules) / joules
        for (request, tokens), mine in zip(chunks, own, strict=True):
            request.joules += factor * (mine + shared / len(chunks))
            if request.computed < request.prompt:
                request.computed += tokens
                if request.computed < request.prompt:
                    continue
            request.tokens.append(self.now)
            if len(request.tokens) > 1:
                for _ in range(tokens - 1):
                    if not self._guesses(request):
                        break
                    request.tokens.append(self.now)
            if len(request.tokens) >= request.output:
                request.done_at = self.now

    def _guesses(self, request: Request) -> bool:
        return len(request.tokens) < request.output and self._dice.random() < request.guessed
