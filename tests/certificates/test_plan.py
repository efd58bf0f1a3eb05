"""The plan for certificates, followed through years with every replica late."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidelight_operator.certificates.make import AUTHORITY_LIFE, make_authority, make_serving
from sidelight_operator.certificates.plan import OVERLAP, SETTLE, Found, What, next_step
from sidelight_operator.certificates.read import Pair, read_bundle, read_pair

NOW = datetime(2026, 11, 24, tzinfo=UTC)
HOSTS = ("sidelight-webhook.sidelight-system.svc",)


def steps(found: Found, now: datetime) -> tuple[Found, list[What]]:
    """Do what is to be done now."""
    done = []
    while (step := next_step(found, now)) is not None:
        done.append(step.what)
        assert step.why
        assert len(done) < 10, f"no end: {done}"
        if step.what is What.MAKE_AUTHORITY:
            found = replace(found, authority=make_authority("s", now), trusted_for=timedelta(0))
        elif step.what is What.TRUST:
            found = replace(found, bundle=step.bundle)
        else:
            assert found.authority
            found = replace(found, serving=make_serving(found.authority, HOSTS, now))
    return found, done


def installed(now: datetime = NOW) -> Found:
    """What a first look leaves behind."""
    return steps(Found(HOSTS, None, None, ""), now)[0]


def served_by(found: Found, pair: Pair | None, now: datetime) -> bool:
    """Whether the API server accepts a replica that serves `pair`."""
    assert pair is not None
    certificate = pair.certificate
    return certificate.begins <= now < certificate.ends and any(
        certificate.issued_by(known) and known.ends > now for known in read_bundle(found.bundle)
    )


def test_the_first_look_makes_everything_at_once() -> None:
    """Nobody serves yet, so nothing has to be waited for."""
    found, done = steps(Found(HOSTS, None, None, ""), NOW)
    assert done == [What.MAKE_AUTHORITY, What.TRUST, What.MAKE_SERVING]
    assert served_by(found, found.serving, NOW)
    assert found.serving is not None
    assert found.serving.certificate.hosts == set(HOSTS)


def test_a_second_look_does_nothing() -> None:
    """Nothing is written twice."""
    assert next_step(installed(), NOW) is None
    assert next_step(installed(), NOW + timedelta(days=59)) is None


def test_a_new_authority_is_trusted_before_it_is_used() -> None:
    """Old and new are in the bundle together; the old one goes a day after it served last."""
    old = installed()
    assert old.serving is not None
    now = NOW + AUTHORITY_LIFE - timedelta(days=100)
    # Its serving certificate was renewed in the meantime.
    old = replace(old, serving=make_serving(old.authority, HOSTS, now - timedelta(days=1)))  # type: ignore[arg-type]
    between, done = steps(old, now)
    assert done == [What.MAKE_AUTHORITY, What.TRUST]
    assert between.serving is old.serving
    assert len(read_bundle(between.bundle)) == 2
    assert next_step(between, now + SETTLE) is None, "not seen in the bundle for long enough"
    after, done = steps(replace(between, trusted_for=SETTLE), now + SETTLE)
    assert done == [What.MAKE_SERVING]
    assert served_by(after, old.serving, now + SETTLE), "a replica that has not read it yet"
    assert served_by(after, after.serving, now + SETTLE)
    assert next_step(after, now + SETTLE + OVERLAP - timedelta(minutes=1)) is None
    final, done = steps(after, now + SETTLE + OVERLAP)
    assert done == [What.TRUST]
    assert len(read_bundle(final.bundle)) == 1


def test_what_another_chart_made_stays_trusted() -> None:
    """An upgrade: the replicas of before serve with an authority whose key nobody has."""
    before = make_authority("helm", NOW - timedelta(days=1000 // 10))
    serving = make_serving(before, HOSTS, NOW - timedelta(days=50))
    found, done = steps(Found(HOSTS, None, None, before.certificate.pem), NOW)
    assert done == [What.MAKE_AUTHORITY, What.TRUST, What.MAKE_SERVING]
    assert served_by(found, serving, NOW)
    assert served_by(found, found.serving, NOW)


@pytest.mark.parametrize("damage", ["key", "certificate", "other"])
def test_a_damaged_secret_is_made_again(damage: str) -> None:
    """A key that does not fit would stop every handshake after the next restart."""
    good = make_authority("s", NOW)
    other = make_authority("s", NOW)
    certificate = "no PEM" if damage == "certificate" else good.certificate.pem
    key = {"key": "no PEM", "other": other.key}.get(damage, good.key)
    assert read_pair(certificate, key) is None
    assert read_pair(good.certificate.pem, good.key) is not None


def test_another_name_of_the_service_is_served_at_once() -> None:
    """No handshake works with the old one anyway."""
    found = replace(installed(), hosts=("other.sidelight-system.svc",))
    step = next_step(found, NOW)
    assert step is not None
    assert step.what is What.MAKE_SERVING


def test_a_bundle_with_rubbish_is_written_anew() -> None:
    """The API server would refuse it whole; strangers stay for the time of the overlap only."""
    found = replace(installed(), bundle="rubbish" + installed().bundle)
    step = next_step(found, NOW)
    assert step is not None
    assert step.what is What.TRUST
    assert found.authority is not None
    assert step.bundle.startswith(found.authority.certificate.pem)


@dataclass
class Replica:
    """Reads the Secret some time after it was written."""

    lag: timedelta
    loaded: list[tuple[datetime, Pair]] = field(default_factory=list)

    def serves(self, now: datetime) -> Pair:
        return [pair for since, pair in self.loaded if since + self.lag <= now][-1]


@settings(max_examples=12, deadline=None)
@given(
    looks=st.lists(st.integers(min_value=1, max_value=20 * 24), min_size=30, max_size=60),
    lag=st.integers(min_value=0, max_value=20),
)
def test_at_no_time_is_anything_served_that_is_not_trusted(looks: list[int], lag: int) -> None:
    """For years, with a controller that looks as seldom as every 20 days and replicas that are up
    to 20 hours late: each one's certificate is valid and trusted before and after every look.
    """
    now, found = NOW, installed()
    replica = Replica(timedelta(hours=lag))
    assert found.serving is not None
    replica.loaded.append((now - replica.lag, found.serving))
    for hours in looks:
        now += timedelta(hours=hours)
        assert served_by(found, replica.serves(now), now)
        found = replace(found, trusted_for=SETTLE if found.bundle else timedelta(0))
        found, _ = steps(found, now)
        assert found.serving is not None
        if found.serving is not replica.loaded[-1][1]:
            replica.loaded.append((now, found.serving))
        assert served_by(found, replica.serves(now), now)
        assert served_by(found, found.serving, now)
