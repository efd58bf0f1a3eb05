"""How far a sink is within a batch."""

from receiver import chat, entries

from sidelight_sidecar.capture.ship.policy import Delivery, Outcome
from sidelight_sidecar.capture.sinks.progress import Progress

HAD = Delivery(Outcome.DELIVERED)
NEVER = Delivery(Outcome.REFUSED, "status 400")
LATER = Delivery(Outcome.LATER, "status 503")


def test_only_what_is_not_settled_is_left():
    """What may go later is left."""
    progress, batch = Progress(), entries(*map(chat, range(4)))
    progress.settle(batch[:1], HAD)
    progress.settle(batch[1:2], NEVER)
    progress.settle(batch[2:3], LATER)
    assert progress.left(batch) == batch[2:]


def test_the_end_of_a_batch_counts_what_was_refused_and_forgets_it():
    """The next one begins anew."""
    progress, batch = Progress(), entries(*map(chat, range(3)))
    progress.settle(batch[:2], HAD)
    progress.settle(batch[2:], NEVER)
    assert progress.end(batch) == (Outcome.DELIVERED, "status 400", None, 1)
    assert progress.left(batch) == batch


def test_a_smaller_batch_after_a_failure_forgets_nothing_that_is_behind_it():
    """Single records are tried while the sink is down."""
    progress, batch = Progress(), entries(*map(chat, range(4)))
    progress.settle(batch[:3], HAD)
    progress.end(batch[:1])
    assert progress.left(batch[1:]) == batch[3:]
