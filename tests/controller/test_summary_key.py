"""Tokens are derived; a rotation leaves nobody without one that is accepted."""

import hashlib
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from sidelight_operator.controller.summary_key import (
    ACCEPT_OLD_FOR,
    ROTATE_AFTER,
    Keys,
    key_data,
    read_keys,
    rotated,
    tokens_of,
)

NOW = datetime(2026, 11, 24, tzinfo=UTC)
KUBELET = timedelta(minutes=2)
"""How late a ConfigMap may reach a pod."""


def sha256(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def test_tokens_differ_by_model_and_key_and_are_accepted() -> None:
    """One model's token opens no other's sidecars."""
    keys, others = rotated(None, NOW), rotated(None, NOW)
    made = tokens_of(keys, "one", NOW)
    assert made.accepted == (sha256(made.send),)
    sent = {tokens_of(k, uid, NOW).send for k in (keys, others) for uid in ("one", "two")}
    assert len(sent) == 4
    assert tokens_of(keys, "one", NOW + timedelta(days=5)) == made


def test_what_is_written_is_what_is_read() -> None:
    """Also with a key before it."""
    for keys in (rotated(None, NOW), Keys(b"a" * 32, NOW, b"b" * 32)):
        assert read_keys({"data": key_data(keys)}) == keys


def test_a_damaged_secret_holds_no_key() -> None:
    """A new one is made then; the chart's own Secret begins empty."""
    good = key_data(rotated(None, NOW))
    damaged = [None, {}, {"data": None}, {"data": {}}]
    damaged += [{"data": {**good, key: value}} for key in good for value in ("", "%", "YQ==")]
    assert [read_keys(secret) for secret in damaged] == [None] * len(damaged)


@given(st.lists(st.integers(min_value=1, max_value=60 * 24 * 10), min_size=5, max_size=60))
def test_every_sidecar_takes_what_the_controller_sends(minutes: list[int]) -> None:
    """Over months, with looks minutes to days apart: the token that is sent is accepted by a
    sidecar that has the newest hashes, and by one that is two minutes behind.
    """
    now, keys = NOW, rotated(None, NOW)
    written = [(now, tokens_of(keys, "u", now).accepted)]
    for step in minutes:
        now += timedelta(minutes=step)
        keys = rotated(keys, now)
        made = tokens_of(keys, "u", now)
        if made.accepted != written[-1][1]:
            written.append((now, made.accepted))
        late = [accepted for since, accepted in written if since + KUBELET <= now]
        for accepted in (written[-1][1], (late or [written[0][1]])[-1]):
            assert sha256(made.send) in accepted
    assert now - keys.since < ROTATE_AFTER


def test_the_key_before_is_given_up_after_a_day() -> None:
    """And the one that became known with it."""
    old = rotated(None, NOW)
    later = NOW + ROTATE_AFTER
    new = rotated(old, later)
    assert new.previous == old.current
    assert tokens_of(new, "u", later).send == tokens_of(old, "u", later).send
    final = rotated(new, later + ACCEPT_OLD_FOR)
    assert final == Keys(new.current, later)
    assert rotated(final, later + ACCEPT_OLD_FOR) is final
