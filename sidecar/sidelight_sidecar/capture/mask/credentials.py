"""Passwords, tokens and keys by the name they are given: `password = ...`, `"api_key": "..."`,
`Authorization: Bearer ...`, `scheme://user:password@host`.

The value alone is masked. Placeholders, types and plain words are none: a password has letters and
a digit or a sign, a token is long and looks random.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from sidelight_sidecar.capture.mask.entropy import bits_per_byte
from sidelight_sidecar.capture.mask.finding import Finding
from sidelight_sidecar.capture.mask.scan import Verdict, compiled, scan, token_end

_PASSWORD = (
    "passwor[dt]|passwd|passphrase|passcode|kennwort|wachtwoord|contraseña|mot de passe|senha|hasło"
    "|пароль|Пароль|密码|密碼|パスワード|비밀번호|pwd"
).encode()
_TOKEN = (
    rb"(?:api|access|account|auth|bearer|client|consumer|encryption|master|private|secret|service|"
    rb"session|shared|signing|webhook)[_ .-]?(?:access[_ .-]?)?(?:key|token|secret)(?:[_ -]?id)?"
    rb"|apikey|secret|token|credentials?|sas|sig"
)
_NAMES_OF_SECRETS = (
    rb"(?i)(?:(?:" + _PASSWORD + rb"|" + _TOKEN + rb")"
    rb"(?:\\?[\"'`]\]?)?(?:[ \t]{0,4}(?::=|=>|[:=])[ \t]{0,4}|[ \t](?:is|ist|est|es):?[ \t])"
    rb"|\b(?:bearer|basic)[ \t]+|://[^\s/:@\"']{0,64}:)"
)
_NAMED = compiled(_NAMES_OF_SECRETS)
# Signs of two bytes are letters with accents, Greek, Cyrillic; of three, Chinese and its full stop.
_BARE = rb"(?:[^\s\"'`,;<>(){}\[\]&|\\\x80-\xff]|[\xc3-\xdf][\x80-\xbf])"
_VALUE = compiled(
    rb"\\?\"(?:[^\"\\\r\n]|\\[^\"\r\n]){1,256}|'(?:[^'\\\r\n]|\\.){1,256}|`[^`\r\n]{1,256}"
    rb"|" + _BARE + rb"{1,256}"
)
_RUN = compiled(_BARE + rb"*")
_TOKEN_VALUE = compiled(rb"[\w.~+/=:%$!@#*-]{8,256}$")

# Python's own `re`, on names of at most 100 and values of at most 256 bytes.
_IS_PASSWORD = re.compile(_PASSWORD, re.IGNORECASE)
_PLACEHOLDER = re.compile(
    rb"(?i)(?:[$%<{\[*].*|x{3,}.*|\.{3,}.*|your[_ -].*|my[_ -]?password.*|example.*|changeme.*"
    rb"|placeholder.*|redacted.*|(?:process\.)?env[.\[].*|os\.(?:environ|getenv).*|none|null)\Z",
    re.DOTALL,
)
_WORDS = re.compile(rb"[a-z]+(?:[-_.][a-z0-9]{1,20})*\Z")
_CODE = re.compile(
    rb"https?://|[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\Z|[A-Za-z]\w{0,19}(?:\.[A-Za-z_]\w{0,19})+\Z"
)
_LEAST_PASSWORD, _LEAST_TOKEN, _LEAST_BITS = 6, 16, 3.0
_DIGITS, _SIGNS = b"0123456789", b"!@#$%^&*?+="
_NO_LETTERS = bytes(code for code in range(128) if not chr(code).isalpha())
_SHOWN = 256  # of a longer value the beginning decides


class Credentials:
    """Finds values that are assigned to names of secrets."""

    names = ("credential",)
    pattern = _NAMES_OF_SECRETS

    def __init__(self, wanted: Collection[str]) -> None:
        del wanted  # it has one name only

    def find(self, data: bytes) -> Iterator[Finding]:
        """Yield the findings in folded bytes."""
        return scan(_NAMED, data, _judge)


def _judge(data: bytes, start: int, end: int) -> Verdict:
    name = data[start:end]
    if name.startswith(b"://"):
        return _in_url(data, end)
    match = _VALUE.match(data, end)
    if match is None:
        return None, end
    first, stop = match.span()
    while first < stop and data[first] in b"\\\"'`":
        first += 1
    quoted = first > match.start()
    value = data[first:stop] if quoted else data[first:stop].rstrip(b".:")  # a sentence's end
    if value.lower() in (b"bearer", b"basic") or _PLACEHOLDER.match(value):
        return None, end
    if data[stop : stop + 1] == b"(" or not _is_secret(name, value):
        return None, end
    # Only now to its end, however far: what is masked is not looked at again.
    stop = first + len(value) if len(value) < _SHOWN else token_end(_RUN, data, stop)
    return Finding(first, stop, "credential"), stop


def _in_url(data: bytes, end: int) -> Verdict:
    """Judge what follows `://user:`: a password if an @ comes before the host ends."""
    match = _URL_PASSWORD.match(data, end)
    if match is None:
        return None, end
    value = data[end : match.end() - 1]
    if _PLACEHOLDER.match(value) or value.lower() in (b"password", b"pass", b"pw", b"secret"):
        return None, end
    return Finding(end, match.end() - 1, "credential"), match.end()


_URL_PASSWORD = compiled(rb"[^\s/@\"'<>]{3,256}@")


def _is_secret(name: bytes, value: bytes) -> bool:
    """Say whether a value looks like what its name says."""
    digits = len(value) - len(value.translate(None, _DIGITS))
    letters = len(value.translate(None, _NO_LETTERS)) > 0
    if _IS_PASSWORD.search(name):
        signs = len(value.translate(None, _SIGNS)) < len(value)
        return len(value) >= _LEAST_PASSWORD and letters and (digits > 0 or signs)
    return (
        len(value) >= _LEAST_TOKEN
        and letters
        and digits > 0
        and not (_WORDS.match(value) and digits < 4)
        and not _CODE.match(value)
        and _TOKEN_VALUE.match(value) is not None
        and bits_per_byte(value) >= _LEAST_BITS
    )
