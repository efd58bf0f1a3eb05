"""What to do next about the certificates: a pure function of what there is and of the time.

Three things are kept: the authority (certificate and key), the serving certificate, and the bundle
that the API server trusts. Rules:
1. Nothing is served that is not trusted already: authority, then bundle, then serving certificate,
   and a while between the last two where another certificate is being served.
2. What was trusted stays trusted until every replica serves the new certificate, by a wide margin.
3. What cannot be read is not there, and is made again.
So a step may be interrupted anywhere, and the next look goes on from what it finds.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sidelight_operator.certificates.make import BACKDATE
from sidelight_operator.certificates.read import Certificate, Pair, read_bundle

RENEW_AUTHORITY = timedelta(days=120)
"""Before its end: longer than a serving certificate lives, so that none is cut short by it."""
RENEW_SERVING = timedelta(days=30)
"""Before its end: a month for somebody to see that the renewal fails."""
SETTLE = timedelta(seconds=30)
"""From an authority's entry into the bundle to the first certificate of it: every API server has
learnt of it by then. They watch the configuration, which takes well under a second."""
OVERLAP = timedelta(hours=24)
"""From a new serving certificate to the end of trust in the authority before it. The kubelet takes
a minute or two to bring a Secret to a pod; a node may be cut off for longer."""
BUNDLE_LIMIT = 5
"""Certificates in the bundle: more than two are strangers or accidents."""


class What(StrEnum):
    """A step."""

    MAKE_AUTHORITY = "make authority"
    TRUST = "trust"
    MAKE_SERVING = "make serving certificate"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do, and why."""

    what: What
    why: str
    bundle: str = ""
    """For TRUST: the whole bundle."""


@dataclass(frozen=True, slots=True)
class Found:
    """What there is."""

    hosts: tuple[str, ...]
    """The names that the API server may call the webhook by."""
    authority: Pair | None
    serving: Pair | None
    bundle: str
    """As it is in the configuration."""
    trusted_for: timedelta = timedelta(0)
    """For how long the authority has been seen in the bundle."""


def next_step(found: Found, now: datetime) -> Step | None:
    """The next step; None: nothing is to be done at the moment."""
    authority = found.authority
    if authority is None:
        return Step(What.MAKE_AUTHORITY, "there is none that can be used")
    if authority.certificate.ends - now < RENEW_AUTHORITY:
        return Step(What.MAKE_AUTHORITY, f"it ends on {authority.certificate.ends:%Y-%m-%d}")
    wanted = wanted_bundle(found, authority, now)
    if wanted != found.bundle:
        return Step(What.TRUST, _why_trust(found, authority), wanted)
    why, urgent = _why_serving(found, authority, now)
    if why and (urgent or found.trusted_for >= SETTLE):
        return Step(What.MAKE_SERVING, why)
    return None


def wanted_bundle(found: Found, authority: Pair, now: datetime) -> str:
    """The authority, and those before it for as long as somebody may serve with them."""
    kept: list[Certificate] = []
    serving = found.serving
    changed = serving is None or not serving.certificate.issued_by(authority.certificate)
    if changed or (serving and now - (serving.certificate.begins + BACKDATE) < OVERLAP):
        kept = [
            known
            for known in read_bundle(found.bundle)
            if known.fingerprint != authority.certificate.fingerprint and known.ends > now
        ]
    return "".join(known.pem for known in [authority.certificate, *kept][:BUNDLE_LIMIT])


def _why_trust(found: Found, authority: Pair) -> str:
    known = {certificate.fingerprint for certificate in read_bundle(found.bundle)}
    if authority.certificate.fingerprint not in known:
        return "the authority is not in the bundle"
    return "the authority before this one is not needed any more"


def _why_serving(found: Found, authority: Pair, now: datetime) -> tuple[str, bool]:
    """Why a new serving certificate is needed, and whether nothing can be lost by it now."""
    if found.serving is None:
        return "there is none that can be used", True
    certificate = found.serving.certificate
    if not certificate.hosts >= set(found.hosts):
        return "it is not for the Service's name", True
    if certificate.ends <= now:
        return "it has ended", True
    if not certificate.issued_by(authority.certificate):
        return "there is a new authority", False
    if certificate.ends - now < RENEW_SERVING:
        return f"it ends on {certificate.ends:%Y-%m-%d}", False
    return "", False
