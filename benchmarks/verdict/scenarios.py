"""What is simulated: versions that are the same, at the edge of tolerance, and worse."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.verdict.world import Scenario

_SWINGS = Scenario("90/10, load swings, mix drifts")
_EVEN = Scenario("50/50, load swings", candidate_share=0.5, pods=(3, 3))

SAME = (
    _SWINGS,
    _EVEN,
    Scenario("95/5, few requests", requests_a_minute=15, candidate_share=0.05, pods=(2, 1)),
    Scenario("overload in every burst", requests_a_minute=120, burst=6, slots=8),
    Scenario("slow and fast minutes of each pod", pod_noise=0.1, noise_minutes=2),
    Scenario("errors are rare", errors=0.001),
)
"""A/A: nothing is true but "no difference"."""

SLOW_NODES = Scenario("pods slow for 15 minutes at a time", pod_noise=0.1, noise_minutes=15)
"""Beyond what the test allows for; shown so that nobody need guess."""

EDGE = (
    replace(_EVEN, name="50/50, decode slower by just the tolerated 5 %", decode=1.05),
    replace(_SWINGS, name="90/10, just the tolerated point more errors", more_errors=0.01),
)

WORSE = (
    replace(_SWINGS, name="90/10, decode 10 % slower", decode=1.1, minutes=720),
    replace(_EVEN, name="50/50, decode 10 % slower", decode=1.1, minutes=720),
    replace(_SWINGS, name="90/10, 2 points more errors", more_errors=0.02, minutes=720),
    replace(_EVEN, name="50/50, 2 points more errors", more_errors=0.02, minutes=720),
    replace(_SWINGS, name="90/10, decode 30 % slower", decode=1.3),
    replace(_SWINGS, name="90/10, 10 points more errors", more_errors=0.1),
)
