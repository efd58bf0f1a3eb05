"""The tokens that protect the sidecars' summaries, derived and not kept.

A token is `HMAC(key, uid of the ObservedModel)`; the key is in one Secret of the operator's own
namespace. The sidecars get the token's SHA-256 with their configuration, which is a ConfigMap:
nobody can call a sidecar with a hash. So no Secret of any other namespace is read or written.

A key lives for a month. Then the one before it is accepted for a day more; and the controller goes
on sending the old token for some minutes, until the kubelet has brought the new hash everywhere.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sidelight_operator.controller.models import format_time, parse_time
from sidelight_operator.kube import Json

KEY_BYTES = 32
ROTATE_AFTER = timedelta(days=30)
SEND_OLD_FOR = timedelta(minutes=10)
"""The kubelet brings a changed ConfigMap within two minutes."""
ACCEPT_OLD_FOR = timedelta(days=1)
_PURPOSE = b"sidelight summary token\0"


@dataclass(frozen=True, slots=True)
class Keys:
    """The key, and the one before it while that is accepted."""

    current: bytes
    since: datetime
    previous: bytes | None = None


@dataclass(frozen=True, slots=True)
class Tokens:
    """For one ObservedModel."""

    send: str
    """What its sidecars are asked with now."""
    accepted: tuple[str, ...]
    """SHA-256, in hexadecimal, of what they are to accept."""


def fresh_key() -> bytes:
    """A new key."""
    return secrets.token_bytes(KEY_BYTES)


def rotated(keys: Keys | None, now: datetime, fresh: Callable[[], bytes] = fresh_key) -> Keys:
    """The keys as they are to be from now on; the same ones when nothing is due."""
    if keys is None or keys.since > now + ROTATE_AFTER:  # a clock that was years ahead
        return Keys(fresh(), now)
    if now - keys.since >= ROTATE_AFTER:
        return Keys(fresh(), now, keys.current)
    if keys.previous is not None and now - keys.since >= ACCEPT_OLD_FOR:
        return Keys(keys.current, keys.since)
    return keys


def tokens_of(keys: Keys, uid: str, now: datetime) -> Tokens:
    """Those of the ObservedModel with this uid."""
    made = [_token(key, uid) for key in (keys.current, keys.previous) if key is not None]
    send = made[-1] if now - keys.since < SEND_OLD_FOR else made[0]
    return Tokens(send, tuple(hashlib.sha256(token.encode()).hexdigest() for token in made))


def read_keys(secret: Json | None) -> Keys | None:
    """The keys in the Secret; None when there are none that can be used."""
    data = (secret or {}).get("data") or {}
    try:
        current = base64.b64decode(data["current"], validate=True)
        previous = base64.b64decode(data["previous"], validate=True) if "previous" in data else None
        since = parse_time(base64.b64decode(data["since"]).decode())
    except (KeyError, ValueError, binascii.Error):
        return None
    if len(current) != KEY_BYTES or since.tzinfo is None:
        return None
    return Keys(current, since, previous)


def key_data(keys: Keys) -> dict[str, str]:
    """The Secret's `data`."""
    data = {"current": keys.current, "since": format_time(keys.since).encode()}
    if keys.previous is not None:
        data["previous"] = keys.previous
    return {key: base64.b64encode(value).decode() for key, value in data.items()}


def _token(key: bytes, uid: str) -> str:
    digest = hmac.digest(key, _PURPOSE + uid.encode(), "sha256")
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
