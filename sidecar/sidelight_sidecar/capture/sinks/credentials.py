"""What a sink that speaks HTTP takes of its Secret: headers, and how to speak TLS.

Rules:
1. Four keys have a meaning of their own: `token`, and for TLS `ca.crt`, `tls.crt` and `tls.key`.
   Every other key is a header.
2. No value is told anywhere: an error says which key, and no more.
"""

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sidelight_sidecar.capture.sinks.secret import Secret, SecretError, read_secret

TOKEN = "token"  # noqa: S105 - the key's name
CA = "ca.crt"
CERTIFICATE = "tls.crt"
KEY = "tls.key"
_FOR_TLS = (CA, CERTIFICATE, KEY)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Those of one version of a Secret."""

    token: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class CredentialsReader:
    """Reads a Secret anew for each batch, so that a rotation needs no restart.

    Args:
        directory: its keys.
        alpn: the protocols that TLS offers.
    """

    def __init__(self, directory: Path, alpn: Sequence[str] = ("http/1.1",)) -> None:
        self._directory = directory
        self._alpn = list(alpn)
        self._of: tuple[str, ...] | None = None
        self._tls: ssl.SSLContext | None = None

    def read(self) -> Credentials:
        """What there is now.

        Raises:
            SecretError: it cannot be used.
        """
        values = {
            key: _checked(key, value)
            for key, value in read_secret(self._directory).values.items()
            if key not in _FOR_TLS
        }
        return Credentials(values.pop(TOKEN, ""), values)

    def tls(self) -> ssl.SSLContext:
        """How to speak TLS now; the same object until its keys change.

        Raises:
            SecretError: it cannot be used.
        """
        secret = read_secret(self._directory)
        of = tuple(secret.values.get(key, "") for key in _FOR_TLS)
        if self._tls is None or of != self._of:
            self._tls, self._of = self._context(secret), of
        return self._tls

    def _context(self, secret: Secret) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cadata=secret.values.get(CA) or None)
            if CERTIFICATE in secret.values:
                context.load_cert_chain(secret.directory / CERTIFICATE, secret.directory / KEY)
        except (OSError, ValueError):  # ssl.SSLError is an OSError
            raise SecretError("secret's certificates cannot be used") from None
        context.set_alpn_protocols(self._alpn)
        return context


def _checked(key: str, value: str) -> str:
    """A value that can be a header's."""
    text = value.strip()
    if not (text.isascii() and text.isprintable()):
        raise SecretError(f"secret's {key} can be no header")
    return text
